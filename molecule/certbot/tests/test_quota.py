"""The rate of orders: plays that cannot succeed, run again and again, do not spend what the CA allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from lineages import assert_well, blog, shop, sites
from machine import Machine
from pebble import counted
from playbook import Outcome, Playbook

TIMES = 20
REFUSALS = "/var/lib/asgi-deploy/certificates/orders.json"
#: Of the site shop: a name without an address. Of blog: one that can be reached, and only the CA's answer tells.
UNREACHABLE, REFUSED = "nowhere.example.test", "blocked.example.test"


def repeated(folder: Path) -> str:
    """A playbook of as many plays of the role as TIMES, each of which goes on when it has failed.

    One process for all: the start of Ansible is what takes the time. nginx learns the names before the first of them.
    """
    proxy = [{"ansible.builtin.import_role": {"name": "asgi.deploy.nginx_proxy"}}]
    block = [{"ansible.builtin.import_role": {"name": "asgi.deploy.certbot"}}]
    rescue = [{"ansible.builtin.debug": {"msg": "failed, as it has to"}}]
    wanted = sites(shop=["shop.example.test", UNREACHABLE], blog=["blog.example.test", REFUSED])
    common = {"hosts": "proxies", "gather_facts": False, "vars": wanted}
    first = {"name": "Serve the names", **common, "tasks": proxy}
    once = {"name": "Run the role", "block": block, "rescue": rescue}
    path = folder / "repeated.yml"
    path.write_text(yaml.safe_dump([first, *[{"name": "Ask for them", **common, "tasks": [once]}] * TIMES]), "utf-8")
    return str(path)


class TestTwentyTimes:
    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine]) -> Iterator[dict[str, tuple[str, str]]]:
        # Other tests have the CA refuse the same name.
        for machine in machines:
            machine.run("rm -f %s", REFUSALS)
        yield {machine.name: (shop(machine).served(), blog(machine).served()) for machine in machines}
        for machine in machines:
            machine.run("rm -f %s", REFUSALS)

    @pytest.fixture(scope="class")
    @classmethod
    def run(
        cls, before: object, machines: list[Machine], play: Playbook, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Outcome, dict[str, int]]:
        playbook = repeated(tmp_path_factory.mktemp("quota"))
        with counted(machines) as orders:
            outcome = play(playbook=playbook, code=0)
        return outcome, orders

    def told(self, machine: Machine, run: tuple[Outcome, dict[str, int]], lineage: str) -> list[str]:
        """What each of the plays said of a lineage."""
        failed = run[0].hosts[machine.name].failed
        assert len(failed) == TIMES
        lines = [[line for line in message.splitlines() if line.startswith(lineage)] for message in failed]
        assert [len(found) for found in lines] == [1] * TIMES, lines
        return [line for found in lines for line in found]

    def test_for_an_unreachable_name_no_order_is_placed(
        self, machine: Machine, run: tuple[Outcome, dict[str, int]]
    ) -> None:
        for line in self.told(machine, run, "shop"):
            assert "no order was placed" in line
            assert UNREACHABLE in line

    def test_for_a_refused_one_none_after_the_third_refusal(
        self, machine: Machine, run: tuple[Outcome, dict[str, int]]
    ) -> None:
        lines = self.told(machine, run, "blog")
        assert all(REFUSED in line for line in lines)
        assert ["certbot_ignore_cooldown" in line for line in lines] == [False] * 3 + [True] * (TIMES - 3)
        # All that Pebble was asked for: the other lineage's are none.
        assert run[1][machine.name] == 3

    def test_what_was_served_is_served(
        self, machine: Machine, run: tuple[Outcome, dict[str, int]], before: dict[str, tuple[str, str]]
    ) -> None:
        assert (shop(machine).served(), blog(machine).served()) == before[machine.name]
        assert machine.ask("/").status == 200

    def test_the_inventory_as_it_was_heals_without_an_order(
        self, machines: list[Machine], run: tuple[Outcome, dict[str, int]], play: Playbook
    ) -> None:
        with counted(machines) as orders:
            play(code=0)
        assert set(orders.values()) == {0}
        for machine in machines:
            assert_well(machine)
