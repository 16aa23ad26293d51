# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done for certificates that differ, and what people are told of it: with a certbot that is scripted."""

from __future__ import annotations

import itertools
import json
import shutil
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import (
    acme_account,
    atomic,
    certbot_order,
    certbot_turn,
    certificate_orders,
    lineage,
    lineage_mend,
    lineage_removal,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_orders import Outcome, Plan, Work
from ansible_collections.asgi.deploy.plugins.module_utils.cooldown import Orders

Fixture = t.Any

SERVER = "https://ca.example.com/dir"
TRIAL = "https://staging.example.com/dir"
PARAMS: dict[str, t.Any] = {
    "certificates": [], "certbot": "certbot", "environment": {}, "email": None, "eab_kid": None, "eab_hmac_key": None,
    "server": SERVER, "staging": False, "rehearsal": None, "webroot": "/var/www/acme", "dns": None, "tls_dir": "/none",
    "probe": "resolved", "ignore_cooldown": False,
}  # fmt: skip
BUSY_CA = "ValueError: Requesting ca: Connection refused\n"
FORGOTTEN = "accountDoesNotExist"


def certificate(name: str, *domains: str, state: str = "present") -> dict[str, t.Any]:
    return {
        "name": name, "domains": list(domains), "state": state, "revoke": False, "revoke_reason": "unspecified",
        "challenge": "webroot", "key_type": "ecdsa", "elliptic_curve": "secp256r1", "rsa_key_size": None,
        "profile": None,
    }  # fmt: skip


class Host:
    """A host whose certbot answers as it is told, and puts certificates where certbot does."""

    def __init__(self, home: Path, make_pair: Callable[..., Path]) -> None:
        self.home = home
        self._make_pair = make_pair
        self.commands: list[str] = []
        #: What certbot says to a command that has these words, each once.
        self.refusals: list[tuple[str, str]] = []
        self.unanswered: dict[str, str] = {}
        self.orders = Orders(str(home / "orders.json"))

    def __call__(self, command: list[str], environ_update: t.Any = None) -> tuple[int, str, str]:
        line = " ".join(command)
        if command[0] != "certbot":
            return (1, "", "") if command[0] == "openssl" else (0, "inactive", "")
        self.commands.append(line)
        for index, (words, said) in enumerate(self.refusals):
            if words in line:
                del self.refusals[index]
                return 1, "", self._log(said)
        if command[1] == "delete":
            (self.home / "renewal" / f"{command[3]}.conf").unlink()
            return 0, "", ""
        server = command[command.index("--server") + 1]
        if command[1] == "register" or not acme_account.accounts_at(server):
            self.account(server, f"new-{len(self.commands)}")
        if command[1] == "certonly" and "--dry-run" not in command:
            self.have(command[command.index("--cert-name") + 1], *self._after(command, "--domain"), server=server)
        return 0, "", ""

    def _log(self, said: str) -> str:
        if " " in said:
            return said
        problem = {"type": "urn:ietf:params:acme:error:" + said, "detail": "said " + said}
        start = "2026-11-20 11:00:00,000:DEBUG:certbot:"
        with (self.home / "certbot.log").open("a") as stream:
            body = json.dumps(problem)
            stream.write(
                f"{start}certbot version: 4\n{start}Received response:\nHTTP 400\nA: b\n\n{body}\n{start}end\n"
            )
        return "An unexpected error occurred"

    @staticmethod
    def _after(command: list[str], option: str) -> list[str]:
        return [word for before, word in itertools.pairwise(command) if before == option]

    def account(self, server: str, name: str) -> None:
        folder = self.home / "accounts" / server[len("https://") :] / name
        folder.mkdir(parents=True)
        for file in ("meta.json", "private_key.json", "regr.json"):
            (folder / file).write_text("{}")

    def have(self, name: str, *domains: str, server: str = SERVER) -> None:
        """Put a lineage there. Its renewals prove the names by the folder that is wanted."""
        shutil.rmtree(self.home / "live" / name, ignore_errors=True)
        archive = self.home / "archive" / name
        shutil.rmtree(archive, ignore_errors=True)
        shutil.copytree(self._make_pair(*domains), archive)
        for kind in ("cert", "chain"):
            shutil.copy(archive / "fullchain.pem", archive / f"{kind}.pem")
        links = {kind: self.home / "live" / name / f"{kind}.pem" for kind in lineage_mend.KINDS}
        for kind, link in links.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(archive / f"{kind}.pem")
        account = acme_account.account_of(server) or "gone"
        lines = [f"{kind} = {link}" for kind, link in links.items()]
        lines += ["[renewalparams]", f"account = {account}", f"server = {server}", "authenticator = webroot"]
        lines += ["webroot_path = /var/www/acme,", "key_type = ecdsa", "[[webroot_map]]"]
        lines += [f"{domain} = /var/www/acme" for domain in domains]
        path = self.home / "renewal" / f"{name}.conf"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")

    def run(self, *certificates: dict[str, t.Any], **params: t.Any) -> Outcome:
        wanted = {**PARAMS, "certificates": list(certificates), **params}
        return Work(self, wanted, self.orders).carry_out(Plan(self, wanted))

    def placed(self) -> list[str]:
        """The names of the lineages that were ordered."""
        words = [line.split() for line in self.commands]
        orders = [line for line in words if line[1] == "certonly" and "--dry-run" not in line]
        return [line[line.index("--cert-name") + 1] for line in orders]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_pair: Fixture) -> Host:
    made = Host(tmp_path, make_pair)
    for module in (acme_account, lineage, lineage_mend, lineage_removal):
        monkeypatch.setattr(module, "HOME", str(tmp_path))
    monkeypatch.setattr(certbot_order, "LOG", str(tmp_path / "certbot.log"))
    monkeypatch.setattr(certbot_turn, "CERTBOT_LOCK", str(tmp_path / "none"))
    monkeypatch.setattr(atomic, "LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(certificate_orders, "STATE", str(tmp_path / "state.json"))
    monkeypatch.setattr(
        certificate_orders,
        "problems_of",
        lambda domains, *_more: {name: said for name, said in made.unanswered.items() if name in domains},
    )
    return made


ONE, TWO = certificate("one", "one.example.com"), certificate("two", "two.example.com")


def test_ordered_once(host: Host) -> None:
    outcome = host.run(ONE, TWO)
    assert (outcome.ordered, outcome.complaints, outcome.is_changed()) == (["one", "two"], [], True)
    outcome = host.run(ONE, TWO)
    assert (outcome.is_changed(), outcome.complaints) == (False, [])
    assert host.placed() == ["one", "two"]


def test_one_failure_keeps_no_other_waiting(host: Host) -> None:
    host.have("one", "old.example.com")
    host.refusals = [("--cert-name one", "rejectedIdentifier")]
    outcome = host.run(ONE, TWO)
    assert outcome.ordered == ["two"]
    assert outcome.complaints == [
        f"one, from {SERVER}: the CA refused: said rejectedIdentifier; mend that and run the play again; the "
        "certificate before it stays"
    ]


def test_what_the_timer_renewed_in_between_has_not_failed(host: Host) -> None:
    """What is said of its deployment is news, and the only line there is."""
    host.have("one", "old.example.com")
    wanted = {**PARAMS, "certificates": [ONE, TWO]}
    plan = Plan(host, wanted)
    host.have("one", "one.example.com")
    host.refusals = [("--cert-name two", "rejectedIdentifier")]
    outcome = Work(host, wanted, host.orders).carry_out(plan)
    assert (outcome.ordered, outcome.failed) == ([], ["two"])


def test_a_name_that_does_not_answer_is_not_ordered(host: Host) -> None:
    host.unanswered = {"one.example.com": "one.example.com has no address in DNS"}
    outcome = host.run(ONE, TWO)
    assert outcome.failed == ["one"]
    assert (outcome.ordered, host.placed()) == (["two"], ["two"])
    assert outcome.complaints == ["one: no order was placed: one.example.com has no address in DNS"]


def test_orders_pause_after_three_refusals(host: Host) -> None:
    host.refusals = [("--cert-name one", "rejectedIdentifier")] * 9
    for _run in range(5):
        outcome = host.run(ONE)
    assert len(host.placed()) == 3
    [said] = outcome.complaints
    assert said.startswith(f"one: no order was placed: {SERVER} refused one.example.com 3 times within an hour")
    assert said.endswith("; mend that and wait, or place one with -e certbot_ignore_cooldown=true")
    host.run(ONE, ignore_cooldown=True)
    assert len(host.placed()) == 4


def test_a_server_that_is_down_does_not_count(host: Host) -> None:
    host.refusals = [("--cert-name one", BUSY_CA)] * 4
    for _run in range(4):
        [said] = host.run(ONE).complaints
        assert said.endswith("Connection refused; run the play again when it answers")
    assert host.run(ONE).ordered == ["one"]


class TestRehearsal:
    def test_first_there(self, host: Host) -> None:
        assert host.run(ONE, rehearsal=TRIAL).ordered == ["one"]
        assert [f"--server {TRIAL}" in line and "--dry-run" in line for line in host.commands] == [True, False]

    def test_refused_there(self, host: Host) -> None:
        for _run in range(4):
            host.refusals = [("--dry-run", "unauthorized")]
            [said] = host.run(ONE, rehearsal=TRIAL).complaints
            assert said == (
                f"one: no order was placed, for its rehearsal at {TRIAL} failed: the CA refused: said unauthorized; "
                "mend that and run the play again"
            )
        # It costs nothing there, so nothing pauses.
        assert host.placed() == []
        assert host.run(ONE, rehearsal=TRIAL).ordered == ["one"]

    @pytest.mark.parametrize("said", [BUSY_CA, "rateLimited"])
    def test_what_says_nothing_of_the_names(self, host: Host, said: str) -> None:
        host.refusals = [("--dry-run", said)]
        outcome = host.run(ONE, rehearsal=TRIAL)
        assert (outcome.ordered, len(outcome.warnings)) == (["one"], 1)

    def test_an_account_that_is_forgotten_there(self, host: Host) -> None:
        host.account(TRIAL, "old")
        host.refusals = [("--dry-run", FORGOTTEN)]
        outcome = host.run(ONE, rehearsal=TRIAL)
        assert (outcome.ordered, outcome.warnings) == (["one"], [])
        assert acme_account.accounts_at(TRIAL) != ["old"]


class TestAccount:
    def test_a_forgotten_one_is_replaced_and_the_order_placed_again(self, host: Host) -> None:
        host.account(SERVER, "old")
        host.have("two", "two.example.com")
        host.refusals = [("--cert-name one", FORGOTTEN)]
        outcome = host.run(ONE, TWO)
        assert (outcome.ordered, outcome.complaints, outcome.account) == (["one"], [], True)
        [account] = acme_account.accounts_at(SERVER)
        assert account != "old"
        assert lineage.Lineage(TWO).renewal.get("account") == account

    def test_a_second_time_is_a_failure(self, host: Host) -> None:
        host.account(SERVER, "old")
        host.refusals = [("--cert-name one", FORGOTTEN)] * 2
        [said] = host.run(ONE).complaints
        assert said.startswith(f"one, from {SERVER}: the CA does not know the account: said {FORGOTTEN}")
        assert len(host.placed()) == 2

    def test_what_the_timer_found_out_is_mended(self, host: Host) -> None:
        host.account(SERVER, "old")
        host.have("one", "one.example.com")
        renewal = {"at": 1_900_000_000, "ok": False, "words": "x", "account_unknown": True, "server": SERVER}
        state = {"renewal": renewal}
        # Of another server, which the inventory had before: the account here is good.
        (host.home / "state.json").write_text(json.dumps({"renewal": {**renewal, "server": TRIAL}}))
        assert not host.run(ONE).is_changed()
        (host.home / "state.json").write_text(json.dumps(state))
        assert host.run(ONE).account
        assert acme_account.accounts_at(SERVER) != ["old"]
        # The timer has not been there since then, and still says so.
        (host.home / "state.json").write_text(json.dumps({"renewal": {**state["renewal"], "at": 1}}))
        assert not host.run(ONE).is_changed()

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"renewal": null}', '{"renewal": {}}'])
    def test_a_state_that_says_nothing(self, host: Host, text: str) -> None:
        host.account(SERVER, "old")
        (host.home / "state.json").write_text(text)
        host.run()
        assert acme_account.accounts_at(SERVER) == ["old"]

    def test_the_address_is_told_when_it_changes(self, host: Host) -> None:
        host.run(ONE, email="a@example.com")
        assert not any("update_account" in line for line in host.commands)
        assert not host.run(ONE, email="a@example.com").is_changed()
        assert host.run(ONE, email="b@example.com").account
        assert "update_account" in host.commands[-1]
        assert not host.run(ONE, email="b@example.com").is_changed()
        assert host.run(ONE).account

    def test_of_an_account_that_nobody_wrote_down(self, host: Host) -> None:
        """As after an upgrade: one with an address is told it once, one without is left alone."""
        host.account(SERVER, "old")
        assert not host.run().is_changed()
        other = "https://other.example.com/dir"
        host.account(other, "old")
        assert host.run(email="a@example.com", server=other).account

    def test_an_address_that_is_refused_is_tried_again(self, host: Host) -> None:
        host.account(SERVER, "old")
        host.refusals = [("update_account", "invalidContact")]
        [said] = host.run(email="a@example.com").complaints
        assert said.startswith(f"the account at {SERVER}: its address was not changed: the CA refused: ")
        assert host.run(email="a@example.com").account

    def test_renewals_without_their_account(self, host: Host) -> None:
        host.have("one", "one.example.com")
        host.account(SERVER, "here")
        assert host.run(ONE).edited == ["one"]
        assert not host.run(ONE).is_changed()

    def test_renewals_at_a_server_without_any_account(self, host: Host) -> None:
        """As after a restore without accounts/: there is no order that would register, and no renewal could succeed."""
        host.have("one", "one.example.com")
        work = Work(host, {**PARAMS, "certificates": [ONE], "email": "a@example.com"}, host.orders)
        assert work.would_change_account()
        assert host.run(ONE, email="a@example.com").account
        [account] = acme_account.accounts_at(SERVER)
        assert [line.split()[1] for line in host.commands] == ["register"]
        assert lineage.Lineage(ONE).renewal.get("account") == account
        assert not work.would_change_account()
        assert not host.run(ONE, email="a@example.com").is_changed()

    def test_an_account_that_is_not_to_be_had(self, host: Host) -> None:
        host.have("one", "one.example.com")
        host.refusals = [("register", BUSY_CA)]
        [said] = host.run(ONE).complaints
        assert said.startswith(f"the account at {SERVER}: a new account was not to be had: the CA could not be reached")
        assert host.run(ONE).account

    def test_none_is_registered_for_what_goes(self, host: Host) -> None:
        host.have("one", "one.example.com")
        gone = certificate("one", state="absent")
        assert not Work(host, {**PARAMS, "certificates": [gone]}, host.orders).would_change_account()


class TestEdits:
    def test_another_folder_needs_no_order(self, host: Host) -> None:
        host.account(SERVER, "here")
        host.have("one", "one.example.com")
        outcome = host.run(ONE, webroot="/srv/acme")
        assert (outcome.ordered, outcome.edited) == ([], ["one"])
        assert lineage.Lineage(ONE).renewal.get("webroot_path") == "/srv/acme,"
        assert not host.run(ONE, webroot="/srv/acme").is_changed()

    def test_not_where_it_would_not_be_answered(self, host: Host) -> None:
        host.account(SERVER, "here")
        host.have("one", "one.example.com")
        host.unanswered = {"one.example.com": "no site serves it"}
        outcome = host.run(ONE, webroot="/srv/acme")
        assert (outcome.edited, outcome.complaints) == ([], ["one: its renewals were not changed: no site serves it"])


def test_staging_replaces_nothing_valid(host: Host) -> None:
    host.have("one", "one.example.com")
    [said] = host.run(ONE, server=TRIAL, staging=True).complaints
    assert said == f"one: no order was placed: a staging certificate would replace the one from {SERVER}"
    assert host.run(ONE, server=TRIAL, staging=True).failed == ["one"]
    assert host.commands == []


def test_a_diff_says_why(host: Host) -> None:
    host.have("one", "old.example.com")
    host.have("two", "two.example.com")
    gone = certificate("two", state="absent")
    plan = Plan(host, {**PARAMS, "certificates": [ONE, gone]})
    order, removal = plan.diff()
    assert (order["before"], order["after"]) == ("it is for old.example.com\n", "one.example.com\n")
    assert removal["before"].splitlines()[0] == str(host.home / "live" / "two")
    assert removal["after"] == ""


class TestRenamed:
    """The site one is two now, and its old certificate is to go in the same run."""

    GONE = certificate("one", state="absent")

    @pytest.fixture
    def link(self, host: Host, write: Fixture, monkeypatch: pytest.MonkeyPatch) -> Path:
        """As nginx_proxy leaves it: served with the old one until the new one is there."""
        host.account(SERVER, "here")
        host.have("one", "two.example.com")
        folder = host.home / "tls" / "two"
        write(folder / "site.json", json.dumps({"domains": ["two.example.com"], "source": "certbot"}))
        (folder / "current").symlink_to(host.home / "live" / "one")
        monkeypatch.setattr(lineage_removal, "PATIENCE", 0.2)
        monkeypatch.setattr(lineage_removal.Site, "is_served", lambda _site: True)
        return folder / "current"

    def run(self, host: Host, link: Path, *certificates: dict[str, t.Any], serves: bool = True) -> Outcome:
        """:param serves: whether nginx takes the new certificate"""
        wanted = {**PARAMS, "certificates": [*certificates], "tls_dir": str(host.home / "tls")}

        def deploy() -> None:
            host.commands.append("asgi-deploy-certificates")
            if serves and (host.home / "live" / "two").exists():
                link.unlink()
                link.symlink_to(host.home / "live" / "two")

        return Work(host, wanted, host.orders).carry_out(Plan(host, wanted), deploy)

    def test_the_new_one_is_served_before_the_old_one_goes(self, host: Host, link: Path) -> None:
        outcome = self.run(host, link, self.GONE, TWO)
        assert (outcome.ordered, outcome.removed, outcome.warnings) == (["two"], ["one"], [])
        assert link.readlink() == host.home / "live" / "two"
        assert not (host.home / "live" / "one").exists()
        words = [line.split()[1] if " " in line else line for line in host.commands]
        assert words == ["certonly", "asgi-deploy-certificates", "delete"]

    @pytest.mark.parametrize("fault", ["order", "nginx"])
    def test_the_old_one_stays_while_it_is_served(self, host: Host, link: Path, fault: str) -> None:
        if fault == "order":
            host.refusals = [("--cert-name two", "rejectedIdentifier")]
        outcome = self.run(host, link, self.GONE, TWO, serves=fault != "nginx")
        assert (outcome.removed, len(outcome.complaints)) == ([], 1 if fault == "order" else 0)
        assert outcome.warnings == ["one: kept: the site two is served with it until its own certificate is there"]
        assert link.readlink() == host.home / "live" / "one"
        assert (host.home / "renewal" / "one.conf").exists()
        # The next run goes on from here.
        assert self.run(host, link, self.GONE, TWO).removed == ["one"]

    def test_a_key_that_others_may_have_is_not_served_on(self, host: Host, link: Path) -> None:
        host.refusals = [("--cert-name two", "rejectedIdentifier")]
        assert self.run(host, link, {**self.GONE, "revoke": True}, TWO).removed == ["one"]
        assert str(link.readlink()) == "bootstrap"
        # It waits for no order either.
        assert [line.split()[1] for line in host.commands if " " in line][:3] == ["revoke", "delete", "certonly"]

    @pytest.mark.parametrize(
        "site",
        [
            {"source": "gone", "was": "certbot"},
            # Its own is the one that goes, or none that anybody would order.
            {"source": "certbot", "lineage": "one"},
            {"source": "certbot", "lineage": "other"},
        ],
    )
    def test_a_site_that_waits_for_no_other_keeps_nothing(
        self, host: Host, link: Path, write: Fixture, site: dict[str, str]
    ) -> None:
        write(link.parent / "site.json", json.dumps({"domains": ["two.example.com"], **site}))
        host.refusals = [("--cert-name two", "rejectedIdentifier")]
        assert self.run(host, link, self.GONE, TWO).removed == ["one"]
        assert "asgi-deploy-certificates" not in host.commands
        assert str(link.readlink()) == "bootstrap"

    def test_nobody_is_served_with_half_a_certificate(self, host: Host, link: Path) -> None:
        (host.home / "live" / "one" / "privkey.pem").unlink()
        host.refusals = [("--cert-name two", "rejectedIdentifier")]
        assert self.run(host, link, self.GONE, TWO).removed == ["one"]
        assert str(link.readlink()) == "bootstrap"

    def test_a_diff_does_not_take_the_site_with_it(self, host: Host, link: Path) -> None:
        wanted = {**PARAMS, "certificates": [self.GONE, TWO], "tls_dir": str(host.home / "tls")}
        before = Plan(host, wanted).diff()[-1]["before"].splitlines()
        assert str(host.home / "live" / "one") in before
        assert str(link) not in before
        alone = Plan(host, {**wanted, "certificates": [self.GONE]}).diff()[-1]["before"].splitlines()
        assert str(link) in alone

    def test_a_folder_that_is_not_ours_is_told_of_once(self, host: Host, link: Path) -> None:
        (link.parent / "site.json").unlink()
        outcome = self.run(host, link, self.GONE, TWO)
        [said] = outcome.complaints
        assert said.endswith("site.json is not as the role nginx_proxy writes it")


def test_a_memory_that_cannot_be_written_hides_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device", "/var/lib/asgi-deploy")

    monkeypatch.setattr(host.orders, "save", full)
    host.refusals = [("--cert-name one", "rejectedIdentifier")]
    first, second = host.run(ONE).complaints
    assert "said rejectedIdentifier" in first
    assert second == "what the CA said was not kept: /var/lib/asgi-deploy: No space left on device"
