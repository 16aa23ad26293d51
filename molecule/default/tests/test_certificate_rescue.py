"""Certificates that the CA refuses, or cannot give: the one before is served."""

from __future__ import annotations

import re

import pytest
from machine import Machine
from playbook import Outcome, Playbook, site

LINEAGE = "/etc/letsencrypt/live/notes/fullchain.pem"


def served(machine: Machine) -> str:
    """Fingerprint and names of the served certificate."""
    return machine.fingerprint(also="-ext subjectAltName")


def names_of(certificate: str) -> set[str]:
    return set(re.findall(r"DNS:([^,\s]+)", certificate))


@pytest.fixture(scope="class")
def before(machines: list[Machine]) -> dict[str, str]:
    return {machine.name: served(machine) for machine in machines}


class TestRefusedByTheCA:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook) -> Outcome:
        return play(extra=site(domains=["notes.example.com", "blocked.example.test"]), code=2)

    def test_the_cas_own_words_are_shown(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        # Pebble says it of the order on Debian 12, and of the name alone on 13.
        words = message.partition("the CA refused: ")[2]
        assert "blocked.example.test" in words
        assert "forbidden" in words
        assert "AttributeError" not in message

    def test_the_certificate_before_is_served(self, machine: Machine, outcome: Outcome, before: dict[str, str]) -> None:
        assert served(machine) == before[machine.name]
        assert machine.ask("/version").status == 200


class TestFurtherName:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, play: Playbook) -> Outcome:
        return play(extra=site(domains=["notes.example.com", "www.notes.example.com"]), code=0)

    def test_the_new_certificate_has_both_names(self, machine: Machine, outcome: Outcome) -> None:
        assert "Hold the certificates" in outcome.hosts[machine.name].changed
        assert names_of(served(machine)) == {"notes.example.com", "www.notes.example.com"}
        assert machine.run("ls /etc/letsencrypt/renewal").split() == ["notes.conf"]

    def test_both_are_answered_and_redirected_to_themselves(self, machine: Machine, outcome: Outcome) -> None:
        # The application knows only the other name, and says so itself: the request reached it.
        answer = machine.ask("https://www.notes.example.com/version")
        assert (answer.code, answer.status, answer.body) == (0, 400, "Invalid host header")
        moved = machine.ask("http://www.notes.example.com/")
        assert moved.header("location") == "https://www.notes.example.com/"


class TestNameRemoved:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, play: Playbook) -> Outcome:
        return play(code=0)

    def test_the_certificate_has_the_one_name_again(self, machine: Machine, outcome: Outcome) -> None:
        assert names_of(served(machine)) == {"notes.example.com"}
        assert machine.both("asgi-deploy-certificates") == (0, "")
        assert machine.ask("https://www.notes.example.com/version").code == 35


class TestCADown:
    """Pebble forgets its accounts when it is started again, which the next order finds out."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Outcome:
        for machine in machines:
            machine.run("systemctl stop pebble.service")
        try:
            return play(extra=site(domains=["notes.example.com", "www.notes.example.com"]), code=2)
        finally:
            for machine in machines:
                machine.run("systemctl start pebble.service")

    def test_the_reason_is_shown(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        assert "https://localhost:14000/dir" in message
        assert "Connection refused" in message

    def test_the_certificate_before_is_served(self, machine: Machine, outcome: Outcome) -> None:
        assert names_of(served(machine)) == {"notes.example.com"}
        assert machine.ask("/version").status == 200

    def test_the_inventory_as_it_was_asks_the_ca_nothing(self, machines: list[Machine], play: Playbook) -> None:
        before = {machine.name: served(machine) for machine in machines}
        outcome = play(code=0)
        for machine in machines:
            # The site's second name goes from nginx; the certificate was never changed.
            assert "Hold the certificates" not in outcome.hosts[machine.name].changed
            assert served(machine) == before[machine.name]
            assert machine.failed_units() == []
