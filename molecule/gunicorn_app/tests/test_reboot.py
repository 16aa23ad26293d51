"""Last: a host that is started again between the flip and the end of the slot before."""

from __future__ import annotations

from typing import Any

import docker
import pytest
from containers import wait_until_booted
from machine import Machine, wait_for
from playbook import Playbook
from trial import OTHER, dangling, is_over, trial, version

ACTIVE = "systemctl show --property=ActiveState --value notes@%s.service"


class TestBetweenFlipAndDrain:
    @pytest.fixture(scope="class")
    @classmethod
    def second(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
        return trial(tmp_path_factory.mktemp("second"), "second")

    @pytest.fixture(scope="class")
    @classmethod
    def slots(cls, machines: list[Machine], play: Playbook, second: dict[str, Any]) -> dict[str, str]:
        """The slot that was live before. It drains, as an answer of a minute is not at its end, and is cut off."""
        slots = {machine.name: machine.slot() for machine in machines}
        for machine in machines:
            command = "curl --silent --insecure https://notes.example.com/slow?seconds=70"
            machine.run("setsid sh -c %s >/dev/null 2>&1 </dev/null &", command)
        play(extra=second, code=0)
        for machine in machines:
            slot = slots[machine.name]
            assert machine.slot() == OTHER[slot]
            wait_for("the drain", lambda m=machine, s=slot: m.run(ACTIVE, s).strip() == "deactivating")  # type: ignore[misc]
        client = docker.from_env()
        try:
            containers = [client.containers.get(machine.name) for machine in machines]
            for container in containers:
                container.restart(timeout=3)
            for container in containers:
                wait_until_booted(container)
        finally:
            client.close()
        return slots

    def test_the_new_release_is_back(self, machine: Machine, slots: dict[str, str]) -> None:
        wait_for("the site's answer", lambda: machine.ask("/version").status == 200)
        assert version(machine) == "second"
        assert machine.slot() == OTHER[slots[machine.name]]

    def test_the_slot_before_is_not(self, machine: Machine, slots: dict[str, str]) -> None:
        assert is_over(machine, slots[machine.name])
        assert machine.failed_units() == []
        assert dangling(machine) == []

    def test_the_next_run_changes_nothing(self, play: Playbook, slots: object, second: dict[str, Any]) -> None:
        play(extra=second).assert_unchanged()

    def test_and_the_one_after_it_deploys(self, machines: list[Machine], play: Playbook, slots: object) -> None:
        play(code=0)
        assert [version(machine) for machine in machines] == ["first", "first"]
