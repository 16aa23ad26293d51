"""DNS-01 with a real name server: a wildcard by RFC 2136, renewed by the timer's unit, and a key that nobody sees."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from lineages import Lineage, assert_well, problems, renew, shop, site
from machine import Machine, wait_for
from pebble import Pebble
from playbook import Outcome, Playbook

#: As tasks/name_server.yml gives it to the name server.
SECRET = base64.b64encode(b"a secret of the tests").decode()
WRONG = base64.b64encode(b"another secret of ours").decode()
SECRETS = {"right": SECRET, "wrong": WRONG}
WORDS = "/root/secret-words"
FILE = "/etc/letsencrypt/asgi-deploy/dns-rfc2136.ini"
NAMES = ["wild.example.test", "*.wild.example.test"]
RENEWAL = "/etc/letsencrypt/renewal/wild.conf"
ZONE = "/var/lib/bind/example.test.zone"


def dns(secret: str = SECRET, **changes: Any) -> dict[str, Any]:
    """The inventory's sites, and one with a wildcard whose certificate is of the third Pebble."""
    sites = [site("shop", ["shop.example.test"]), site("blog", ["blog.example.test"]), site("wild", NAMES)]
    for each in sites[:2]:
        # Their certificates are from another server, and stay as they are.
        each["tls"] = {"source": "self_signed"}
    return {
        "nginx_proxy_sites": sites,
        "certbot_server": "https://localhost:14002/dir",
        "certbot_challenge": "dns",
        "certbot_dns_plugin": "rfc2136",
        "certbot_dns_credentials": {
            "dns_rfc2136_server": "127.0.0.1",
            "dns_rfc2136_name": "acme",
            "dns_rfc2136_secret": secret,
            # The plugin would sign with HMAC-MD5 if it read this.
            "dns_rfc2136_algorithm": "hmac-sha256",
        },
        "certbot_dns_propagation_seconds": 1,
        **changes,
    }


@contextmanager
def watched(machines: Sequence[Machine]) -> Iterator[dict[str, Any]]:
    """Look for the keys in the command lines of all processes while the block runs; reports by host after it."""
    stop, report = "/tmp/secrets.stop", "/tmp/secrets.json"
    reports: dict[str, Any] = {}
    for machine in machines:
        machine.run(f"rm -f {stop} {report}")
        machine.background("watch_secrets.py", stop, report, WORDS)
    try:
        yield reports
    finally:
        for machine in machines:
            machine.run(f"touch {stop}")
    for machine in machines:
        wait_for("the report", partial(machine.succeeds, f"test -e {report}"), 30)
        reports[machine.name] = json.loads(machine.run(f"cat {report}"))


def wild(machine: Machine) -> Lineage:
    return Lineage(machine, "wild")


@pytest.fixture(scope="module", autouse=True)
def _host(machines: list[Machine], play: Playbook) -> Iterator[None]:
    for machine in machines:
        Pebble(machine, "pebble-dns").trust()
        machine.write(WORDS, "".join(f"{secret}\n" for secret in SECRETS.values()))
        machine.run(f"chmod 600 {WORDS}")
    yield
    absent = [{"name": "wild", "state": "absent"}]
    play(extra=dns(certbot_certificates=absent), code=0)
    for machine in machines:
        assert not machine.succeeds(f"test -e {FILE}")
        machine.run(f"rm {WORDS}")
    play(code=0)
    for machine in machines:
        assert_well(machine)


class TestWildcard:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> tuple[Outcome, dict[str, Any]]:
        with watched(machines) as reports:
            outcome = play("-vvv", "--diff", extra=dns(), code=0)
        return outcome, reports

    def test_the_bare_name_and_every_name_below_are_served(self, machine: Machine, done: object) -> None:
        assert wild(machine).names() == set(NAMES)
        for name in ("wild.example.test", "any.wild.example.test"):
            answer = machine.ask(f"https://{name}/", "--resolve", f"{name}:443:127.0.0.1")
            # The site has no such folder; what counts is that curl trusts the certificate.
            assert (answer.code, answer.status) == (0, 404)

    def test_a_second_run_changes_nothing(self, play: Playbook, done: object) -> None:
        play(extra=dns(), code=0).assert_unchanged()

    def test_the_record_is_gone_from_the_zone(self, machine: Machine, done: object) -> None:
        machine.run("rndc sync -clean example.test")
        assert "_acme-challenge" not in machine.run(f"cat {ZONE}")

    def test_the_renewal_finds_the_credentials(self, machine: Machine, done: object) -> None:
        told = wild(machine).renewal()
        assert told["authenticator"] == "dns-rfc2136"
        assert told["dns_rfc2136_credentials"] == FILE
        assert told["dns_rfc2136_propagation_seconds"] == "1"
        before = wild(machine).served()
        wild(machine).make_due()
        assert renew(machine)
        assert wild(machine).served() == wild(machine).on_disk() != before
        assert wild(machine).names() == set(NAMES)

    def test_the_key_is_not_in_the_output(self, done: tuple[Outcome, dict[str, Any]]) -> None:
        assert "dns_rfc2136_secret" not in done[0].output
        assert SECRET not in done[0].output

    def test_the_key_is_not_in_the_list_of_processes(
        self, machine: Machine, done: tuple[Outcome, dict[str, Any]]
    ) -> None:
        report = done[1][machine.name]
        assert report["found"] == []
        assert report["looks"] > 20

    def test_the_key_is_in_one_file_of_roots(self, machine: Machine, done: object) -> None:
        found = machine.run(
            f"grep --recursive --text --files-with-matches --fixed-strings --file={WORDS}"
            " /etc /opt /run /srv /tmp /usr/local /var 2>/dev/null || true"
        )
        # The name server has its own.
        assert sorted(found.split()) == ["/etc/bind/named.conf", FILE]
        assert machine.run(f"stat --format '%U %G %a' {FILE}").strip() == "root root 600"
        assert machine.run(f"stat --format '%U %G %a' {FILE.rpartition('/')[0]}").strip() == "root root 700"

    def test_the_key_is_not_in_units_or_the_journal(self, machine: Machine, done: object) -> None:
        count = f"| grep --text --count --fixed-strings --file={WORDS}"
        for command in ("systemctl show certbot.service; systemctl cat certbot.service", "journalctl --all -o export"):
            assert machine.both(f"({command}) {count}") == (1, "0\n"), command


class TestChangedWait:
    """What says how the names are proven is changed without a new certificate."""

    def test_the_renewal_file_has_it_and_no_order_is_placed(self, machines: list[Machine], play: Playbook) -> None:
        before = {
            machine.name: (wild(machine).served(), Pebble(machine, "pebble-dns").orders()) for machine in machines
        }
        play(extra=dns(certbot_dns_propagation_seconds=0), code=0)
        for machine in machines:
            now = (wild(machine).served(), Pebble(machine, "pebble-dns").orders())
            assert now == before[machine.name]
            assert wild(machine).renewal()["dns_rfc2136_propagation_seconds"] == "0"


class TestWrongKey:
    """A key that the name server does not know, when a name is added and when the timer renews."""

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine]) -> dict[str, str]:
        return {machine.name: wild(machine).served() for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook) -> Outcome:
        more = [{"name": "wild", "domains": [*NAMES, "further.example.test"]}]
        return play("-vvv", "--diff", extra=dns(WRONG, certbot_certificates=more), code=2)

    def test_the_name_servers_words_are_shown(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        assert message.startswith("wild")
        assert "The peer didn't like the signature we sent" in message
        assert [name for name, secret in SECRETS.items() if secret in outcome.output] == []

    def test_the_certificate_before_is_served(self, machine: Machine, outcome: Outcome, before: dict[str, str]) -> None:
        assert wild(machine).served() == before[machine.name]

    def test_the_timers_unit_fails_and_says_it(self, machine: Machine, outcome: Outcome) -> None:
        before = wild(machine).served()
        wild(machine).make_due()
        assert not renew(machine)
        assert wild(machine).served() == before
        assert "The peer didn't like the signature we sent" in problems(machine)

    def test_the_right_key_heals_it(self, machines: list[Machine], play: Playbook, before: dict[str, str]) -> None:
        play(extra=dns(certbot_dns_propagation_seconds=0), code=0)
        for machine in machines:
            wild(machine).make_due()
            assert renew(machine)
            assert wild(machine).served() == wild(machine).on_disk() != before[machine.name]
            assert problems(machine) == ""


class TestNameServerDown:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Iterator[Outcome]:
        for machine in machines:
            machine.run("systemctl stop named.service")
        more = [{"name": "wild", "domains": [*NAMES, "further.example.test"]}]
        try:
            yield play(extra=dns(certbot_certificates=more, certbot_dns_propagation_seconds=0), code=2)
        finally:
            for machine in machines:
                machine.run("systemctl start named.service")

    def test_no_order_is_placed(self, machine: Machine, outcome: Outcome) -> None:
        assert outcome.hosts[machine.name].message == (
            "wild: no order was placed: the name server 127.0.0.1 does not answer on port 53: Connection refused"
        )

    def test_the_certificate_before_is_served(self, machine: Machine, outcome: Outcome) -> None:
        assert wild(machine).names() == set(NAMES)
        assert wild(machine).served() == wild(machine).on_disk()


def test_the_other_certificates_are_untouched(machine: Machine) -> None:
    assert shop(machine).exists()
    assert "14000" in shop(machine).renewal()["server"]
