"""The rate of orders: a play that cannot succeed, run again and again, does not spend what the CA allows."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lineages import shop
from machine import Machine
from pebble import Pebble, counted
from playbook import Outcome, Playbook

TIMES = 20


def repeated(folder: Path, name: str) -> str:
    """A playbook of as many plays of the role as TIMES, each of which goes on when it has failed.

    One process for all: the start of Ansible is what takes the time.
    """
    wanted = [{"name": "shop", "domains": ["shop.example.test", name]}]
    block = [{"ansible.builtin.import_role": {"name": "asgi.deploy.certbot"}}]
    rescue = [{"ansible.builtin.debug": {"msg": "failed, as it has to"}}]
    one = {
        "name": "Ask for what cannot be had",
        "hosts": "proxies",
        "gather_facts": False,
        "vars": {"certbot_certificates": wanted},
        "tasks": [{"name": "Run the role", "block": block, "rescue": rescue}],
    }
    path = folder / "repeated.yml"
    path.write_text(yaml.safe_dump([one] * TIMES), encoding="utf-8")
    return str(path)


class Quota:
    name: str

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine]) -> dict[str, str]:
        return {machine.name: shop(machine).served() for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def run(
        cls, before: object, machines: list[Machine], play: Playbook, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Outcome, dict[str, int]]:
        playbook = repeated(tmp_path_factory.mktemp("quota"), cls.name)
        with counted(machines) as orders:
            outcome = play(playbook=playbook, code=0)
        return outcome, orders

    def test_each_run_has_said_why(self, machine: Machine, run: tuple[Outcome, dict[str, int]]) -> None:
        told = run[0].hosts[machine.name].failed
        assert len(told) == TIMES
        assert all(self.name in line for line in told), told

    def test_the_certificate_is_served_as_before(
        self, machine: Machine, run: tuple[Outcome, dict[str, int]], before: dict[str, str]
    ) -> None:
        assert shop(machine).served() == before[machine.name]
        assert machine.ask("/").status == 200


class TestUnreachableName(Quota):
    """A name without an address."""

    name = "nowhere.example.test"

    def test_no_order_is_placed(self, machine: Machine, run: tuple[Outcome, dict[str, int]]) -> None:
        assert run[1][machine.name] == 0
        assert all("no order was placed" in line for line in run[0].hosts[machine.name].failed)


class TestRefusedName(Quota):
    """A name that can be reached, and that the CA refuses: only its answer tells."""

    name = "blocked.example.test"

    def test_after_the_third_refusal_no_order_is_placed(
        self, machine: Machine, run: tuple[Outcome, dict[str, int]]
    ) -> None:
        assert run[1][machine.name] == 3
        assert sum("certbot_ignore_cooldown" in line for line in run[0].hosts[machine.name].failed) == TIMES - 3

    def test_the_inventory_as_it_was_heals(
        self, machines: list[Machine], run: tuple[Outcome, dict[str, int]], play: Playbook
    ) -> None:
        with counted(machines) as orders:
            play(code=0)
        assert set(orders.values()) == {0}
        for machine in machines:
            assert Pebble(machine).orders() > 0
            assert machine.failed_units() == []
