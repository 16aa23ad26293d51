"""Last: a host that is started again brings everything back by itself."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest
from containers import wait_until_booted
from machine import Machine, wait_for


@pytest.fixture(scope="module", autouse=True)
def _restarted(machines: list[Machine]) -> Iterator[None]:
    client = docker.from_env()
    containers = [client.containers.get(machine.name) for machine in machines]
    for container in containers:
        container.restart(timeout=30)
    for container in containers:
        wait_until_booted(container)
    yield
    client.close()


def test_the_site_answers(machine: Machine) -> None:
    wait_for("the site's answer", lambda: machine.ask("/version").status == 200)
    assert machine.ask("/health/ready").json() == {"status": "ready", "database": "ok"}


def test_only_the_live_slot_came_back(machine: Machine) -> None:
    live = machine.slot()
    assert machine.active_slots() == [f"notes@{live}.service", f"notes@{live}.socket"]
    assert machine.failed_units() == []
    assert machine.host.service("certbot.timer").is_running
