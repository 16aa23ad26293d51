"""A slot that a hand or a killed run left in a wrong state is settled by the next run, without another release."""

from __future__ import annotations

import pytest
from machine import Machine, wait_for
from playbook import Outcome, Playbook


class TestLiveSlotChangedByHand:
    @pytest.fixture(scope="class")
    @classmethod
    def slots(cls, machines: list[Machine]) -> dict[str, str]:
        return {machine.name: machine.slot() for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, slots: dict[str, str], machines: list[Machine], play: Playbook) -> Outcome:
        for machine in machines:
            live = slots[machine.name]
            machine.run(f"systemctl disable --quiet notes@{live}.service notes@{live}.socket")
            machine.run("chmod 644 /opt/notes/slots/*/environment")
            machine.run("ln -sfn releases/nowhere /opt/notes/current")
        return play(code=0)

    def test_the_same_slot_serves_on(self, machine: Machine, outcome: Outcome, slots: dict[str, str]) -> None:
        assert outcome.hosts[machine.name].changed == ["Prepare the release"]
        assert machine.slot() == slots[machine.name]
        assert machine.ask("/version").status == 200

    def test_it_starts_at_boot(self, machine: Machine, outcome: Outcome) -> None:
        live = machine.slot()
        assert (
            machine.code(f"systemctl is-enabled notes@{live}.service && systemctl is-enabled notes@{live}.socket") == 0
        )

    def test_the_environment_is_roots_again(self, machine: Machine, outcome: Outcome) -> None:
        assert set(machine.run("stat -c '%U %a' /opt/notes/slots/*/environment").split("\n")) == {"root 600"}

    def test_the_link_for_people_is_right_again(self, machine: Machine, outcome: Outcome) -> None:
        assert machine.succeeds("test -e /opt/notes/current/release.json")


class TestSlotThatNothingPointsAt:
    """As a run leaves it that was killed after the flip: two slots run, and would both start at boot."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Outcome:
        for machine in machines:
            machine.run("rm /opt/notes/current.sock")
        return play(code=0)

    def test_it_is_ended(self, machine: Machine, outcome: Outcome) -> None:
        assert outcome.hosts[machine.name].changed == ["Prepare the release", "Put the release live"]
        live = machine.slot()
        wait_for("one slot", lambda: machine.active_slots() == [f"notes@{live}.service", f"notes@{live}.socket"])
        other = {"blue": "green", "green": "blue"}[live]
        assert machine.code(f"systemctl is-enabled notes@{other}.service") != 0
        assert machine.ask("/version").status == 200

    def test_the_next_run_changes_nothing(self, play: Playbook, outcome: Outcome) -> None:
        play().assert_unchanged()
