"""What a hand stopped of the application is put right by the next run; nginx's own is in molecule/nginx_proxy."""

from __future__ import annotations

import pytest
from machine import Machine
from playbook import Outcome, Playbook


@pytest.fixture(scope="module")
def outcome(machines: list[Machine], play: Playbook) -> Outcome:
    for machine in machines:
        unit = machine.unit()
        machine.run(f"systemctl stop {unit} {unit.replace('.service', '.socket')}")
        assert machine.ask("/version").status == 502
    return play(code=0)


def test_the_task_has_changed_the_host(machine: Machine, outcome: Outcome) -> None:
    assert outcome.hosts[machine.name].changed == ["Prepare the release", "Put the release live"]


def test_the_site_is_served(machine: Machine, outcome: Outcome) -> None:
    assert machine.ask("/version").status == 200
    live = machine.slot()
    assert machine.active_slots() == [f"notes@{live}.service", f"notes@{live}.socket"]


def test_the_next_run_changes_nothing(play: Playbook, outcome: Outcome) -> None:
    play().assert_unchanged()
