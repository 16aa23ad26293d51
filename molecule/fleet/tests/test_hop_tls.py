"""Mutual TLS between the proxy and application hosts: who gets in, and what changes without a request being lost.

The classes of this file are one sequence; the last leaves the hosts as converge did.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import hop_pki
import pytest
from hop import UNITS, answering, assert_reloaded_only, units
from machine import Machine, wait_for
from playbook import ROOT, Outcome, Playbook
from trial import assert_nothing_lost, background, load, trial, version, wait_for_one_slot

PORT = 8443
RELEASE = str(ROOT / "playbooks/release.yml")
FILES = "ls /etc/asgi-deploy/hops"
#: Where a test puts certificates on a host, to show them to another one.
SHOWN = "/root/hop"


def complaints(proxy: Machine) -> int:
    """How often nginx has found an application host wanting."""
    words = "upstream prematurely closed|reset by peer|refused|timed out|SSL"
    return int(proxy.run(f"grep -cE '{words}' /var/log/nginx/error.log || true"))


def certificate_of(app: Machine) -> str:
    served = f"openssl s_client -connect 127.0.0.1:{PORT} </dev/null 2>/dev/null"
    return app.run(f"{served} | openssl x509 -noout -fingerprint -sha256")


def certificate_in(folder: Path, app: Machine) -> str:
    text = (folder / "notes.pem").read_text(encoding="ascii")
    return app.run("echo %s | openssl x509 -noout -fingerprint -sha256", text)


def shown(proxy: Machine, app: Machine, name: str | None, scheme: str = "https") -> bool:
    """Whether the proxy's host gets an answer from an application host that it shows this certificate."""
    address = proxy.run("getent ahostsv4 %s", app.name).split()[0]
    pair = f"--cert {SHOWN}/{name}.pem --key {SHOWN}/{name}.key" if name else ""
    way = f"--cacert {SHOWN}/ca.pem --connect-to notes:{PORT}:{address}:{PORT}"
    return proxy.succeeds(f"curl --silent --fail --max-time 5 {way} {pair} {scheme}://notes:{PORT}/version")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hop_pki.make(tmp_path_factory.mktemp("hop"))


@pytest.fixture(scope="module")
def tls(folder: Path) -> dict[str, Any]:
    return {"gunicorn_app_port": PORT, **hop_pki.variables(folder)}


@pytest.fixture(scope="module", autouse=True)
def _as_converged(proxy: Machine, apps: list[Machine], play: Playbook) -> Iterator[None]:
    yield
    proxy.run(f"rm -rf {SHOWN}; DEBIAN_FRONTEND=noninteractive apt-get purge -qq python3-websockets")
    play(code=0)
    wait_for_one_slot(apps)


class TestOpened:
    """A port of its own, beside the one that the proxy still uses."""

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, proxy: Machine, play: Playbook, tls: dict[str, Any]) -> tuple[Outcome, dict[str, Any]]:
        with load([proxy]) as loads:
            outcome = play("--diff", code=0, extra=tls)
        return outcome, loads[proxy.name]

    def test_nothing_was_lost(self, done: tuple[Outcome, dict[str, Any]]) -> None:
        assert_reloaded_only(done[1])

    def test_no_key_was_shown(self, done: tuple[Outcome, dict[str, Any]], folder: Path) -> None:
        assert "PRIVATE KEY" not in done[0].output
        for name in ("notes", "proxies"):
            lines = (folder / f"{name}.key").read_text(encoding="ascii").splitlines()[1:-1]
            assert not [line for line in lines if line in done[0].output]

    def test_requests_go_to_all_hosts(self, proxy: Machine, apps: list[Machine], done: object) -> None:
        assert answering(proxy, apps) == apps

    def test_the_application_learns_the_client_s_address(self, proxy: Machine, done: object) -> None:
        told = proxy.ask("/process", "-H", "X-Forwarded-For: 203.0.113.66").json()
        assert (told["client"][0], told["scheme"]) == ("127.0.0.1", "https")

    def test_the_plain_port_is_closed(self, apps: list[Machine], done: object) -> None:
        for app in apps:
            assert app.run(UNITS).split() == units(PORT)
            assert app.run("nft list tables").count("asgi_deploy_") == 1

    def test_the_key_is_nobody_s_but_stunnel_s(self, apps: list[Machine], done: object) -> None:
        for app in apps:
            path = f"/etc/asgi-deploy/hops/notes-{PORT}.pem"
            assert app.run("stat --format '%%U %%G %%a' %s", path).split() == ["root", "stunnel4", "640"]
            assert not app.succeeds("setpriv --reuid=notes --regid=notes --init-groups cat %s", path)
            assert app.run("ps -o user= -C stunnel4 | sort -u").split() == ["stunnel4"]

    def test_debian_s_own_service_of_stunnel_does_nothing(self, apps: list[Machine], done: object) -> None:
        for app in apps:
            assert app.run("pgrep -c stunnel4").strip() == "1"
            assert app.failed_units() == []

    def test_the_way_in_is_no_more_than_it_has_to_be(self, apps: list[Machine], done: object) -> None:
        for app in apps:
            told = app.run(f"systemd-analyze security --no-pager notes-hop@{PORT}.service | tail -n 1")
            assert float(told.split(":")[1].split()[0]) <= 1.5

    def test_again_it_changes_nothing(self, play: Playbook, tls: dict[str, Any], done: object) -> None:
        play(extra=tls).assert_unchanged()


class TestWhoGetsIn:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _certificates(cls, proxy: Machine, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        strangers = hop_pki.make(tmp_path_factory.mktemp("strangers"))
        proxy.run(f"mkdir -p {SHOWN}")
        files = {path.name: path for path in folder.iterdir()}
        files |= {f"stranger{path.suffix}": path for path in strangers.glob("proxies.*")}
        for name, path in files.items():
            proxy.write(f"{SHOWN}/{name}", path.read_text(encoding="ascii"))

    @pytest.mark.parametrize(
        ("name", "enters"),
        # The last one is the application hosts' own, signed by the same CA.
        [("proxies", True), (None, False), ("stranger", False), ("notes", False)],
    )
    def test_by_certificate(self, proxy: Machine, apps: list[Machine], name: str | None, enters: bool) -> None:
        for app in apps:
            assert shown(proxy, app, name) is enters, app

    def test_not_by_plain_http(self, proxy: Machine, apps: list[Machine]) -> None:
        assert not shown(proxy, apps[0], "proxies", scheme="http")

    def test_not_by_an_old_protocol(self, apps: list[Machine]) -> None:
        """By what was agreed on: nobody is let in without a certificate, which TLS 1.3 tells after that."""
        asked = f"openssl s_client -connect 127.0.0.1:{PORT} %s </dev/null 2>/dev/null | grep 'Cipher is'"
        assert "(NONE)" in apps[0].run(asked % "-tls1_1 -cipher ALL@SECLEVEL=0")
        assert "TLSv1.3" in apps[0].run(asked % "-tls1_3")

    def test_the_fence_is_there_as_well(self, apps: list[Machine]) -> None:
        first, second, _third = apps
        assert second.code(f"curl --silent --insecure --max-time 3 https://{first.name}:{PORT}/") == 7

    def test_the_proxy_asks_for_the_hosts_certificates(self, proxy: Machine) -> None:
        """nginx is not content with whoever answers at the address."""
        text = proxy.run("cat /etc/nginx/deploy/current/snippets/app_tls.conf")
        assert "proxy_ssl_verify on;" in text
        assert "proxy_ssl_name notes;" in proxy.run("cat /etc/nginx/deploy/current/sites/notes/locations.conf")


class TestRelease:
    """All hosts switch their slots, and the proxy, which holds connections to them, is asked for what was lost."""

    @pytest.fixture(scope="class")
    @classmethod
    def seen(
        cls,
        proxy: Machine,
        apps: list[Machine],
        play: Playbook,
        tls: dict[str, Any],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        third = trial(tmp_path_factory.mktemp("third"), "third")
        path = tmp_path_factory.mktemp("report") / "report.json"
        before = complaints(proxy)
        with load([proxy]) as loads:
            play(extra={**tls, **third, "release_report": str(path)}, code=0, playbook=RELEASE)
            wait_for_one_slot(apps)
        seen = {**loads[proxy.name], "complaints": complaints(proxy) - before}
        return json.loads(path.read_text(encoding="utf-8")), seen

    def test_nothing_was_lost(self, seen: tuple[dict[str, Any], dict[str, Any]]) -> None:
        assert_nothing_lost(seen[1], 100)
        assert seen[1]["versions"] == ["first", "third"]

    def test_the_proxy_had_nothing_to_repeat(self, seen: tuple[dict[str, Any], dict[str, Any]]) -> None:
        assert seen[1]["complaints"] == 0

    def test_nginx_has_counted_it_for_each_host(self, seen: tuple[dict[str, Any], dict[str, Any]]) -> None:
        assert [(row["result"], row["lost"]) for row in seen[0]["hosts"]] == [("live", 0)] * 3

    def test_it_is_live(self, proxy: Machine, seen: object) -> None:
        assert version(proxy) == "third"


class TestRenewal:
    """First of the application hosts alone: nginx has no part in it, and no connection ends."""

    @pytest.fixture(scope="class")
    @classmethod
    def seen(
        cls, proxy: Machine, play: Playbook, tls: dict[str, Any], folder: Path, apps: list[Machine]
    ) -> dict[str, Any]:
        proxy.run("DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends python3-websockets")
        before = complaints(proxy)
        pids = [app.run("pgrep stunnel4") for app in apps]
        play(extra=tls, code=0)
        # The proxy's as they are, and as texts.
        files = tls["nginx_proxy_app_tls"].items()
        kept = {"nginx_proxy_app_tls": {key: Path(path).read_text(encoding="ascii") for key, path in files}}
        with load([proxy]) as loads, background([proxy], "hold_open.py", "hold") as held:
            hop_pki.renew(folder)
            outcome = play("--diff", extra={**tls, **kept}, code=0)
        return {
            "outcome": outcome,
            "load": loads[proxy.name],
            "held": held[proxy.name],
            "complaints": complaints(proxy) - before,
            "same": pids == [app.run("pgrep stunnel4") for app in apps],
        }

    def test_the_new_one_is_served(self, apps: list[Machine], folder: Path, seen: object) -> None:
        for app in apps:
            assert certificate_of(app) == certificate_in(folder, app)

    def test_only_application_hosts_were_changed(
        self, proxy: Machine, apps: list[Machine], seen: dict[str, Any]
    ) -> None:
        hosts = seen["outcome"].hosts
        assert {name for name, tasks in hosts.items() if tasks.changed} == {app.name for app in apps}
        assert "PRIVATE KEY" not in seen["outcome"].output

    def test_nothing_was_lost(self, seen: dict[str, Any]) -> None:
        assert_nothing_lost(seen["load"], 100)
        assert seen["complaints"] == 0

    def test_what_was_open_stayed_open(self, seen: dict[str, Any]) -> None:
        assert seen["same"]
        assert [told["error"] for told in seen["held"]["sockets"]] == [None]
        assert {told["error"] for told in seen["held"]["answers"]} == {None}

    def test_the_proxy_s_too(
        self, proxy: Machine, play: Playbook, tls: dict[str, Any], folder: Path, seen: object
    ) -> None:
        with load([proxy]) as loads:
            outcome = play(extra=tls, code=0)
        assert [name for name, tasks in outcome.hosts.items() if tasks.changed] == [proxy.name]
        assert_reloaded_only(loads[proxy.name])
        pair = proxy.run("cat /etc/nginx/deploy/current/app_tls/pair.pem")
        assert (folder / "proxies.pem").read_text(encoding="ascii").strip() in pair


class TestDrift:
    def test_a_run_that_was_killed_before_stunnel_was_told(
        self, apps: list[Machine], play: Playbook, tls: dict[str, Any]
    ) -> None:
        """The files are right, and what is served is not: of a CA nobody could tell but the time of the file."""
        app = apps[1]
        app.run(f"sleep 1.1; touch /etc/asgi-deploy/hops/notes-{PORT}.ca.pem")
        outcome = play(extra=tls, code=0)
        assert [name for name, tasks in outcome.hosts.items() if tasks.changed] == [app.name]
        play("--check", extra=tls).assert_unchanged()


class TestHealthChecks:
    """They reach the hosts as nginx does: with its certificate, and by the name that all of them have."""

    CHECKS: ClassVar[dict[str, Any]] = {"nginx_proxy_health_checks": {"interval": 2, "timeout": 1}}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _checked(cls, play: Playbook, tls: dict[str, Any]) -> None:
        play(code=0, extra={**tls, **cls.CHECKS})

    def test_all_hosts_answer(self, proxy: Machine, apps: list[Machine]) -> None:
        told = f"asgi-deploy-health --status | grep -c ':{PORT}  up$' || true"
        wait_for("an answer of each host", lambda: proxy.run(told).strip() == str(len(apps)), 15)

    def test_one_that_does_not_is_left_out_until_it_does(self, proxy: Machine, apps: list[Machine]) -> None:
        marks = "grep -c ' down; #' /etc/nginx/deploy/current/http/applications.conf || true"
        apps[1].run(f"systemctl stop notes-hop@{PORT}.socket notes-hop@{PORT}.service")
        try:
            wait_for("its mark", lambda: proxy.run(marks).strip() == "1", 15)
        finally:
            apps[1].run(f"systemctl start notes-hop@{PORT}.socket")
        wait_for("the end of its mark", lambda: proxy.run(marks).strip() == "0", 15)


class TestRefused:
    """Before anything changes on any host."""

    def test_another_kind_of_way_by_the_same_port(self, proxy: Machine, play: Playbook) -> None:
        outcome = play(code=2, extra={"gunicorn_app_port": PORT})
        for name, tasks in outcome.hosts.items():
            assert tasks.changed == []
            if name != proxy.name:
                assert tasks.message.startswith(
                    f'gunicorn_app_port: "{PORT}" is refused; accepted: another port; this one is open with TLS'
                )

    def test_certificates_of_another_ca(
        self, proxy: Machine, play: Playbook, tls: dict[str, Any], tmp_path: Path
    ) -> None:
        other = hop_pki.variables(hop_pki.make(tmp_path))["nginx_proxy_app_tls"]
        outcome = play(code=2, extra={**tls, "nginx_proxy_app_tls": other})
        assert not [name for name, tasks in outcome.hosts.items() if tasks.changed]
        assert "nginx_proxy_app_tls.certificate of" in outcome.output


class TestRemoval:
    """Of the application on one host, TLS and all."""

    @pytest.fixture(scope="class")
    @classmethod
    def seen(cls, proxy: Machine, apps: list[Machine], play: Playbook, tls: dict[str, Any]) -> dict[str, Any]:
        gone = f"{{{{ 'absent' if inventory_hostname == '{apps[2].name}' else 'present' }}}}"
        with load([proxy]) as loads:
            play(code=0, extra={**tls, "gunicorn_app_state": gone})
        return dict(loads[proxy.name])

    def test_nothing_was_lost(self, seen: dict[str, Any]) -> None:
        assert_reloaded_only(seen)

    def test_nothing_of_it_is_left_there(self, apps: list[Machine], seen: object) -> None:
        gone = apps[2]
        assert gone.run(UNITS) == ""
        assert gone.run(FILES) == ""
        assert not gone.succeeds("pgrep stunnel4")


class TestBack:
    """To plain HTTP, by another port."""

    @pytest.fixture(scope="class")
    @classmethod
    def seen(cls, proxy: Machine, play: Playbook) -> dict[str, Any]:
        with load([proxy]) as loads:
            play(code=0)
        return dict(loads[proxy.name])

    def test_nothing_was_lost(self, seen: dict[str, Any]) -> None:
        assert_reloaded_only(seen)

    def test_nothing_of_tls_is_left(self, proxy: Machine, apps: list[Machine], seen: object) -> None:
        for app in apps:
            assert app.run(UNITS).split() == units(8000)
            assert app.run(FILES) == ""
        assert not proxy.succeeds("ls /etc/nginx/deploy/current/app_tls")
