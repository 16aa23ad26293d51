# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the program with real certificates and a TLS server that reads them as nginx does: at a reload."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import (
    atomic,
    certificate_deploy,
    certificate_renewal,
    certificate_run,
)
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import create_self_signed, read_certificate
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_deploy import Server
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_run import Host, Report, look, work
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_state import Config, Store

MakePair = t.Callable[..., Path]
Later = t.Callable[[int], None]
NAME = "shop.example.com"


class Nginx:
    """Serves what ``current`` of each site pointed at when it was loaded."""

    def __init__(self, tls: Path) -> None:
        self.tls = tls
        self.commands: list[str] = []
        self.broken: str | None = None
        #: The link targets that it does not take, though Python does.
        self.refused: set[str] = set()
        self.deaf = False
        self.active = True
        #: How many connections a worker process of before answers after each reload, when a new one has answered first.
        self.lingering = 0
        self._before: list[dict[str, ssl.SSLContext]] = []
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def load(self) -> None:
        for folder in self.tls.iterdir():
            domains = json.loads((folder / "site.json").read_text(encoding="utf-8"))["domains"]
            for domain in domains:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(folder / "current/fullchain.pem", folder / "current/privkey.pem")
                self._contexts[domain] = context

    def _choose(self, connection: ssl.SSLObject, name: str, _context: ssl.SSLContext) -> None:
        connection.context = (self._before.pop(0) if self._before else self._contexts)[name]

    def _serve(self) -> None:
        while True:
            connection, _address = self._socket.accept()
            with connection, contextlib.suppress(OSError):
                if connection.recv(1, socket.MSG_PEEK) == b"q":
                    return
                first = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                first.sni_callback = self._choose
                first.wrap_socket(connection, server_side=True).close()

    def stop(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"q")
        self._thread.join()
        self._socket.close()

    def run(self, command: list[str], environ_update: dict[str, str] | None = None) -> tuple[int, str, str]:
        line = " ".join(command)
        self.commands.append(line)
        if line.startswith("nginx -t"):
            targets = {os.readlink(folder / "current") for folder in self.tls.iterdir()}
            bad = self.broken or next((f"[emerg] {target}" for target in targets & self.refused), None)
            return (1, "", bad) if bad else (0, "", "[warn] conflicting server name")
        if line.startswith("systemctl is-active --quiet nginx"):
            return (0 if self.active else 3), "", ""
        if line.startswith("systemctl reload"):
            if not self.deaf:
                before = dict(self._contexts)
                self.load()
                self._before = [self._contexts] + [before] * self.lingering if self.lingering else []
            return 0, "", ""
        return 0, "", ""

    def reloads(self) -> int:
        return sum(command.startswith("systemctl reload") for command in self.commands)


class Bench:
    """Two folders: nginx's and certbot's."""

    def __init__(self, folder: Path, make_pair: MakePair) -> None:
        self.tls, self.live, self.renewals = folder / "tls", folder / "live", folder / "renewal"
        for each in (self.tls, self.live, self.renewals):
            each.mkdir()
        self.make_pair = make_pair
        self.store = Store(str(folder / "home"), str(folder / "facts/it.fact"), str(folder / "absent"))
        self.nginx = Nginx(self.tls)
        self.wanted: list[dict[str, t.Any]] | None = []
        self.deploy_command: str | None = None

    def site(self, name: str, *domains: str, **more: t.Any) -> None:
        folder = self.tls / name
        folder.mkdir()
        create_self_signed(str(folder / "bootstrap"), domains)
        (folder / "current").symlink_to("bootstrap")
        text = json.dumps({"domains": list(domains), "source": "certbot", **more})
        (folder / "site.json").write_text(text, encoding="utf-8")
        self.nginx.load()

    def issue(self, name: str, *domains: str, days: int = 90) -> str:
        """Put a new certificate where certbot would. Returns its fingerprint."""
        link = self.live / name
        if link.is_symlink():
            link.unlink()
        link.symlink_to(self.make_pair(*domains, days=days))
        (self.renewals / f"{name}.conf").touch()
        if not (self.renewals / f"{name}.conf").read_text(encoding="utf-8"):
            (self.renewals / f"{name}.conf").write_text("version = 2.1.0\n[renewalparams]\n", encoding="utf-8")
        return read_certificate(str(link / "fullchain.pem")).fingerprint

    def want(self, name: str, *domains: str) -> None:
        self.wanted = [*(self.wanted or []), {"name": name, "domains": list(domains)}]

    def host(self) -> Host:
        config = Config(str(self.tls), self.wanted, deploy_command=self.deploy_command)
        return Host(config, self.store, self.nginx.run, str(self.live), str(self.renewals), self.nginx.port)

    def work(self) -> Report:
        report = work(self.host(), Server(self.nginx.run), None)
        assert self.store.publish(report.state, None) == []
        return report

    def link(self, name: str) -> str:
        return os.readlink(self.tls / name / "current")

    def renewal(self, name: str) -> str:
        return (self.renewals / f"{name}.conf").read_text(encoding="utf-8")


@pytest.fixture
def bench(tmp_path: Path, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Bench]:
    monkeypatch.setattr(atomic, "LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(certificate_run, "timer_problem", lambda _run: None)
    made = Bench(tmp_path, make_pair)
    yield made
    made.nginx.stop()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    now = time.time()
    return lambda days: monkeypatch.setattr(time, "time", lambda: now + days * 86400)


@pytest.fixture
def shop(bench: Bench) -> Bench:
    bench.site("shop", NAME)
    bench.want("shop", NAME)
    return bench


def served(report: Report, lineage: str = "shop", site: str | None = None) -> t.Any:
    return report.state["certificates"][lineage]["sites"][site or lineage]


def test_a_first_certificate_is_served_and_then_all_is_well(shop: Bench) -> None:
    fingerprint = shop.issue("shop", NAME)
    report = shop.work()
    assert report.problems == []
    assert report.changes[0].startswith("shop: nginx serves the certificate from Test authority, valid until ")
    assert report.changes[1:] == ["shop: certbot renews it 720 hours before its end"]
    assert served(report) == {"serves": "certbot", "served": fingerprint}
    assert shop.link("shop") == str(shop.live / "shop")
    shop.nginx.commands.clear()
    assert shop.work()[:3] == ([], [], [])
    assert shop.nginx.commands == []


def test_before_the_first_certificate_the_site_is_named(shop: Bench) -> None:
    report = shop.work()
    assert report.problems == [
        "shop: there is no certificate yet, and nginx serves the self-signed pair for shop: run the playbook, which "
        "orders it"
    ]
    assert served(report)["serves"] == "bootstrap"
    assert shop.nginx.commands == []


def test_absent_on_purpose_is_no_problem(shop: Bench) -> None:
    shop.wanted = []
    report = shop.work()
    assert (report.problems, report.state["certificates"]) == ([], {})


def test_what_is_about_to_be_deleted_is_served_until_then(shop: Bench) -> None:
    shop.wanted = []
    shop.issue("shop", NAME)
    assert len(shop.work().changes) == 1
    assert shop.link("shop") == str(shop.live / "shop")


def test_a_half_deleted_lineage_is_not_touched(shop: Bench) -> None:
    shop.wanted = []
    shop.issue("shop", NAME)
    (shop.live / "shop" / "privkey.pem").unlink()
    assert shop.work()[:2] == ([], [])
    assert shop.link("shop") == "bootstrap"


def test_two_renewals_are_one_reload(shop: Bench) -> None:
    shop.site("blog", "blog.example.com")
    shop.want("blog", "blog.example.com")
    for name in ("shop", "blog"):
        shop.issue(name, f"{name}.example.com")
    assert len(shop.work().changes) == 4
    assert shop.nginx.reloads() == 1
    for name in ("shop", "blog"):
        shop.issue(name, f"{name}.example.com")
    # No new file at the link: only the reload is missing.
    assert len([line for line in shop.work().changes if "nginx serves" in line]) == 2
    assert shop.nginx.reloads() == 2


def test_killed_between_the_flip_and_the_reload(shop: Bench) -> None:
    fingerprint = shop.issue("shop", NAME)
    atomic.flip(str(shop.tls / "shop/current"), str(shop.live / "shop"))
    report = shop.work()
    assert served(report)["served"] == fingerprint
    assert report.problems == []


def test_two_sites_with_one_lineage(shop: Bench) -> None:
    shop.site("memo", "memo.example.com", lineage="shop")
    shop.wanted = [{"name": "shop", "domains": [NAME, "memo.example.com"]}]
    fingerprint = shop.issue("shop", NAME, "memo.example.com")
    report = shop.work()
    assert shop.nginx.reloads() == 1
    assert served(report, "shop", "memo")["served"] == served(report)["served"] == fingerprint
    assert shop.link("memo") == str(shop.live / "shop")


def test_a_site_that_began_with_anothers_lineage_keeps_it_until_its_own_is_there(shop: Bench) -> None:
    shop.issue("shop", NAME, "memo.example.com")
    shop.site("memo", "memo.example.com")
    atomic.flip(str(shop.tls / "memo/current"), str(shop.live / "shop"))
    shop.nginx.load()
    shop.want("memo", "memo.example.com")
    report = shop.work()
    assert report.problems == ["memo: there is no certificate yet: run the playbook, which orders it"]
    assert served(report, "memo")["serves"] == "other"
    assert shop.link("memo") == str(shop.live / "shop")


def test_a_foreign_key_is_never_served(shop: Bench, make_pair: MakePair) -> None:
    shop.issue("shop", NAME)
    (shop.live / "shop/privkey.pem").write_bytes((make_pair(NAME) / "privkey.pem").read_bytes())
    report = shop.work()
    (problem,) = report.problems
    assert problem.startswith("shop: ")
    assert problem.endswith("fullchain.pem; the pair before it stays")
    assert "is not the key of" in problem
    assert served(report)["serves"] == "bootstrap"
    assert shop.nginx.commands == []


def test_an_expired_one_is_not_switched_to(shop: Bench, later: Later) -> None:
    shop.issue("shop", NAME, days=1)
    later(2)
    report = shop.work()
    assert "expired on" in report.problems[0]
    assert shop.link("shop") == "bootstrap"


def test_one_for_other_names_is_not_switched_to(shop: Bench) -> None:
    shop.issue("shop", "other.example.com")
    report = shop.work()
    assert report.problems == [
        f"shop: it does not cover {NAME}, only other.example.com: run the playbook, which orders it anew"
    ]
    assert shop.link("shop") == "bootstrap"


def test_a_renewal_is_served_although_a_name_was_refused_meanwhile(shop: Bench) -> None:
    """Or the one that nginx has would end, and the site with it, while the CA refuses the further name."""
    shop.issue("shop", NAME)
    shop.work()
    text = json.dumps({"domains": [NAME, "new.example.com"], "source": "certbot"})
    (shop.tls / "shop/site.json").write_text(text, encoding="utf-8")
    fingerprint = shop.issue("shop", NAME)
    report = shop.work()
    assert served(report)["served"] == fingerprint
    assert ["does not cover new.example.com" in problem for problem in report.problems] == [True]


def test_nginx_that_was_broken_by_hand(shop: Bench) -> None:
    shop.issue("shop", NAME)
    shop.nginx.broken = 'nginx: [emerg] unknown directive "kaputt"'
    report = shop.work()
    assert report.problems == [
        'shop: nginx -t: nginx: [emerg] unknown directive "kaputt"; the pair before it stays',
    ]
    assert (shop.link("shop"), shop.nginx.reloads()) == ("bootstrap", 0)
    assert served(report)["serves"] == "bootstrap"
    shop.nginx.broken = None
    assert shop.work().problems == []
    assert shop.link("shop") == str(shop.live / "shop")


def test_one_pair_that_nginx_does_not_take_keeps_no_other_waiting(shop: Bench) -> None:
    shop.site("blog", "blog.example.com")
    shop.want("blog", "blog.example.com")
    for name in ("shop", "blog"):
        shop.issue(name, f"{name}.example.com")
    shop.nginx.refused.add(str(shop.live / "blog"))
    report = shop.work()
    (problem,) = report.problems
    assert problem.startswith("blog: nginx -t: [emerg] ")
    assert served(report)["serves"] == "certbot"
    assert shop.link("blog") == "bootstrap"
    assert shop.nginx.reloads() == 1


def test_a_reload_without_effect_is_noticed_and_undone(shop: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.issue("shop", NAME)
    shop.nginx.deaf = True
    deploy = certificate_deploy.deploy
    monkeypatch.setattr(certificate_run, "deploy", lambda sites, server: deploy(sites, server, 0.3))
    report = shop.work()
    assert report.problems == [
        "shop: nginx does not serve the new certificate after a reload; the pair before it stays"
    ]
    assert shop.link("shop") == "bootstrap"
    assert shop.nginx.reloads() == 2


def test_a_worker_of_before_that_still_answers_is_no_problem(shop: Bench) -> None:
    """Seen with nginx 1.26: the reload was confirmed, and the next connection got the certificate before."""
    shop.issue("shop", NAME)
    shop.nginx.lingering = 3
    report = shop.work()
    assert report.problems == []
    assert served(report)["serves"] == "certbot"


def test_a_stopped_nginx_is_not_started(shop: Bench) -> None:
    shop.issue("shop", NAME)
    shop.nginx.active = False
    report = shop.work()
    assert report.problems == ["shop: nginx does not run; when it was started, run asgi-deploy-certificates"]
    assert shop.link("shop") == "bootstrap"


def test_a_play_that_has_nginx_is_waited_for(shop: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.issue("shop", NAME)
    monkeypatch.setattr(certificate_deploy, "_LONGEST_CHANGE", 0)
    with locked(".nginx", "A play"):
        report = shop.work()
    assert "Another change of nginx's configuration is running on this host: process " in report.problems[0]
    assert shop.link("shop") == "bootstrap"


def test_a_link_that_cannot_be_switched(shop: Bench) -> None:
    shop.issue("shop", NAME)
    (shop.tls / "shop/current.new").mkdir()
    report = shop.work()
    assert len(report.problems) == 1
    assert "Is a directory; the pair before it stays" in report.problems[0]
    assert shop.nginx.reloads() == 0


def test_an_end_that_comes_near(shop: Bench, later: Later) -> None:
    shop.issue("shop", NAME, days=90)
    assert shop.work().problems == []
    later(74)
    assert shop.work().problems == []
    later(76)
    (problem,) = shop.work().problems
    assert problem.startswith("shop: it expires on ")
    assert "was to be renewed from" in problem


def test_the_threshold_is_certbots_own_again_with_the_next_certificate(shop: Bench) -> None:
    shop.issue("shop", NAME)
    shop.work()
    assert "renew_before_expiry = 720 hours\n" in shop.renewal("shop")
    changed = shop.renewal("shop").replace("720 hours", "9999 days")
    (shop.renewals / "shop.conf").write_text(changed, encoding="utf-8")
    shop.work()
    assert "renew_before_expiry = 9999 days\n" in shop.renewal("shop")
    shop.issue("shop", NAME, days=6)
    assert "shop: certbot renews it 72 hours before its end" in shop.work().changes
    assert "renew_before_expiry = 72 hours\n" in shop.renewal("shop")


@pytest.mark.parametrize("text", [None, ""])
def test_without_certbots_settings_nothing_renews_it(shop: Bench, text: str | None) -> None:
    shop.issue("shop", NAME)
    (shop.renewals / "shop.conf").unlink()
    if text is not None:
        (shop.renewals / "shop.conf").write_text(text, encoding="utf-8")
    (problem,) = shop.work().problems
    assert "certbot has no settings to renew it by" in problem


def test_a_site_that_a_hand_has_spoilt_keeps_no_other_waiting(shop: Bench) -> None:
    shop.issue("shop", NAME)
    (shop.tls / "bad").mkdir()
    (shop.tls / "bad/site.json").write_text("{", encoding="utf-8")
    host = shop.host()
    assert [site.name for site in host.sites] == ["shop"]
    assert host.problems == [f"{shop.tls}/bad/site.json is not as the role nginx_proxy writes it: run the playbook"]


def test_a_look_changes_nothing_and_sees_what_is_due(shop: Bench) -> None:
    shop.issue("shop", NAME)
    report = look(shop.host(), None)
    assert report.problems == ["shop: nginx serves another certificate; run asgi-deploy-certificates"]
    assert shop.nginx.commands == []
    assert shop.link("shop") == "bootstrap"


def test_a_host_without_nginx(bench: Bench) -> None:
    bench.tls = bench.tls / "absent"
    bench.want("mail", "mail.example.com")
    fingerprint = bench.issue("mail", "mail.example.com")
    report = work(bench.host(), Server(bench.nginx.run), None)
    assert report.problems == []
    assert report.state["certificates"]["mail"]["fingerprint"] == fingerprint


class TestDeployCommand:
    @pytest.fixture
    def seen(self, shop: Bench, tmp_path: Path) -> t.Callable[[], list[str]]:
        shop.deploy_command = f'echo "$ASGI_DEPLOY_NAME $ASGI_DEPLOY_LINEAGE" >>{tmp_path}/seen'

        def read() -> list[str]:
            path = tmp_path / "seen"
            return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

        return read

    def test_it_runs_once_for_each_certificate(self, shop: Bench, seen: t.Callable[[], list[str]]) -> None:
        assert shop.work().changes == []
        shop.issue("shop", NAME)
        assert "shop: certbot_deploy_command has run" in shop.work().changes
        assert shop.work().changes == []
        assert seen() == [f"shop {shop.live}/shop"]
        shop.issue("shop", NAME)
        shop.work()
        assert len(seen()) == 2

    def test_another_command_has_seen_nothing(self, shop: Bench, seen: t.Callable[[], list[str]]) -> None:
        shop.issue("shop", NAME)
        shop.work()
        shop.deploy_command = "true"
        assert shop.work().changes == ["shop: certbot_deploy_command has run"]

    def test_one_that_comes_back_has_seen_nothing_either(self, shop: Bench, seen: t.Callable[[], list[str]]) -> None:
        shop.issue("shop", NAME)
        for command in (shop.deploy_command, None, shop.deploy_command):
            shop.deploy_command = command
            shop.work()
        assert len(seen()) == 2

    def test_it_is_repeated_until_it_succeeds(self, shop: Bench) -> None:
        shop.issue("shop", NAME)
        shop.deploy_command = "echo postfix is; echo ' not there' >&2; false"
        for _each in range(2):
            report = shop.work()
            assert report.problems == [
                "shop: certbot_deploy_command ended with 1, and runs again next time: postfix is / not there"
            ]
            # nginx has it all the same.
            assert served(report)["serves"] == "certbot"

    def test_nginx_broken_by_hand_is_no_reason_to_keep_it_from_others(
        self, shop: Bench, seen: t.Callable[[], list[str]]
    ) -> None:
        shop.issue("shop", NAME)
        shop.nginx.broken = "[emerg] kaputt"
        shop.work()
        assert len(seen()) == 1

    def test_an_unfit_pair_is_given_to_nobody(self, shop: Bench, seen: t.Callable[[], list[str]]) -> None:
        shop.issue("shop", NAME)
        (shop.live / "shop/privkey.pem").unlink()
        shop.work()
        assert seen() == []

    def test_a_record_that_cannot_be_written(
        self, shop: Bench, seen: t.Callable[[], list[str]], tmp_path: Path
    ) -> None:
        shop.issue("shop", NAME)
        (tmp_path / "home").write_text("", encoding="utf-8")
        report = work(shop.host(), Server(shop.nginx.run), None)
        assert "so it will run again" in report.problems[0]


class TestWaiting:
    def test_what_the_timer_mends_is_told_apart(self, shop: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        shop.issue("shop", NAME)
        monkeypatch.setattr(certificate_run, "timer_problem", lambda _run: "certbot.timer is inactive")
        note = {"at": 1795230000, "ok": False, "words": "no answer", "account_unknown": False}
        report = work(shop.host(), Server(shop.nginx.run), note)
        assert report.problems == []
        assert [line.partition(":")[0] for line in report.waiting] == [
            "the last renewal failed on 2026-11-21 03",
            "certbot.timer is inactive",
        ]
        assert report.state["problems"] == report.waiting
        assert report.state["renewal"] == note

    @pytest.mark.parametrize(
        ("active", "enabled", "said"),
        [
            ("active", "enabled", None),
            ("active", "enabled-runtime", None),
            ("inactive", "enabled", "certbot.timer is inactive, so that nothing renews"),
            ("active", "disabled", "certbot.timer is disabled, so that nothing renews"),
            ("inactive", "masked", "certbot.timer is inactive, so that nothing renews"),
        ],
    )
    def test_the_timer(self, fake_run: t.Any, tmp_path: Path, active: str, enabled: str, said: str | None) -> None:
        run = fake_run({"systemctl is-active": (0, active + "\n", ""), "systemctl is-enabled": (0, enabled + "\n", "")})
        problem = certificate_renewal.timer_problem(run, str(tmp_path))
        assert (problem or "").partition(":")[0] == (said or "")
