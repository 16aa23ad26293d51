"""What a hand or a package changed or stopped is put right by the next run."""

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
        machine.run("echo 'listen 81;' >>/etc/nginx/deploy/current/sites/notes/locations.conf")
        machine.run("echo 'broken' >/etc/nginx/nginx.conf")
        machine.run("systemctl stop nginx.service")
        assert machine.code("nginx -t") == 1
    return play(code=0)


def test_the_two_tasks_have_changed_the_host(machine: Machine, outcome: Outcome) -> None:
    assert outcome.hosts[machine.name].changed == ["Put the release live", "Put the configuration live"]


def test_the_site_is_served(machine: Machine, outcome: Outcome) -> None:
    assert machine.ask("/version").status == 200
    live = machine.slot()
    assert machine.active_slots() == [f"notes@{live}.service", f"notes@{live}.socket"]
    assert machine.code("nginx -t -q") == 0
    assert "listen 81" not in machine.run("nginx -T 2>/dev/null")
    machine.run("systemctl restart nginx.service")
    assert machine.ask("/version").status == 200


def test_the_next_run_changes_nothing(play: Playbook, outcome: Outcome) -> None:
    play().assert_unchanged()
