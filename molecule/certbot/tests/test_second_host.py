"""Two hosts with the same names, of which the DNS knows one; and a timer that fires while a play holds certbot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from lineages import Lineage, assert_visible, assert_well, blog, fact, renew, shop, sites, watch
from machine import Machine
from pebble import Pebble, counted
from playbook import Outcome, Playbook

ONE = "one.example.test"
SILENT = "192.0.2.1"
MORE = ["shop.example.test", "www.shop.example.test"]
GONE = {
    "certbot_certificates": [
        {"name": "shop", "domains": ["shop.example.test"]},
        {"name": "blog", "domains": ["blog.example.test"]},
        {"name": "one", "state": "absent"},
    ]
}

#: What the fact said after each run of the timer's job, and whether its unit succeeded.
Json = dict[str, Any]


def resolve(machine: Machine, name: str, address: str) -> None:
    """Docker has mounted the file: it is written into, and cannot be replaced."""
    machine.run(
        f"sed 's/^[^ \\t]*\\([ \\t]*{name}\\)$/{address}\\1/' /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts"
    )
    assert machine.run(f"getent hosts {name}").split()[0] == address


class TestSameNames:
    """On the first host the name resolves to an address that nobody answers at, as before a spare host takes over.

    One of the other proxies would answer for it: molecule/proxies.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def spare(cls, machines: list[Machine]) -> Iterator[Machine]:
        spare, _other = machines
        resolve(spare, ONE, SILENT)
        yield spare
        resolve(spare, ONE, "127.0.0.1")

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, spare: Machine, machines: list[Machine], play: Playbook) -> tuple[Outcome, Mapping[str, int]]:
        with counted(machines) as orders:
            outcome = play(extra=sites(one=[ONE]), code=2)
        return outcome, orders

    def test_no_order_is_placed_where_the_name_leads_elsewhere(
        self, machines: list[Machine], run: tuple[Outcome, Mapping[str, int]]
    ) -> None:
        spare, other = machines
        assert run[1] == {spare.name: 0, other.name: 1}
        message = run[0].hosts[spare.name].message
        assert ONE in message
        assert "no order was placed" in message
        assert SILENT in message

    def test_the_self_signed_pair_is_served_there_and_the_certificate_here(
        self, machines: list[Machine], run: object
    ) -> None:
        spare, other = (Lineage(machine, "one") for machine in machines)
        assert "Pebble" not in spare.issuer()
        assert spare.link() == "bootstrap"
        assert "Pebble" in other.issuer()
        assert not watch(spare.machine)
        assert_visible(spare.machine, "asgi-deploy-certificates.service", "one: ")
        for machine in machines:
            assert "Pebble" in shop(machine).issuer()

    def test_it_gets_its_own_when_the_name_has_moved(
        self, machines: list[Machine], run: object, spare: Machine, play: Playbook
    ) -> None:
        resolve(spare, ONE, "127.0.0.1")
        with counted(machines) as orders:
            play(extra=sites(one=[ONE]), code=0)
        assert orders == {machines[0].name: 1, machines[1].name: 0}
        for machine in machines:
            # The unit that has failed is not waited for: the play has mended what it failed for.
            assert_well(machine, "shop", "blog", "one")
            assert watch(machine)
        play(extra=GONE, code=0)
        for machine in machines:
            assert_well(machine)


class TestTimerDuringAPlay:
    """The timer's job is started again and again while a play orders, and the CA takes its time."""

    @pytest.fixture(scope="class")
    @classmethod
    def _slow(cls, machines: list[Machine]) -> Iterator[None]:
        with ExitStack() as stack:
            for machine in machines:
                stack.enter_context(Pebble(machine).slow(3))
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def run(
        cls, _slow: None, machines: list[Machine], play: Playbook, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[dict[str, Any], dict[str, list[Json]]]:
        folder = tmp_path_factory.mktemp("play")
        found: dict[str, list[Json]] = {machine.name: [] for machine in machines}
        process = play.begin(folder, extra=sites(shop=MORE))
        try:
            while process.poll() is None:
                for machine in machines:
                    blog(machine).make_due()
                    found[machine.name].append({"ok": renew(machine), **fact(machine)})
        finally:
            process.kill()
            output, _ = process.communicate()
        return {
            "code": process.returncode,
            "output": output,
            **json.loads(Path(folder, "report.json").read_text()),
        }, found

    def test_the_play_succeeds(self, machine: Machine, run: tuple[dict[str, Any], dict[str, list[Json]]]) -> None:
        assert run[0]["code"] == 0, run[0]["output"]
        assert "Hold the certificates" in run[0][machine.name]["changed"]
        assert shop(machine).names() == set(MORE)

    def test_each_run_of_the_timer_renews(
        self, machine: Machine, run: tuple[dict[str, Any], dict[str, list[Json]]]
    ) -> None:
        told = run[1][machine.name]
        assert told
        assert [one["renewal"]["ok"] for one in told] == [True] * len(told)
        # In the seconds in which nginx knows the new name already and the order is not through, that is what it says.
        early = [line for one in told if not one["ok"] for line in one["problems"]]
        assert all("it does not cover www.shop.example.test" in line for line in early), early

    def test_what_the_timer_met_in_between_is_over_with_the_play(self, machine: Machine, run: object) -> None:
        assert_well(machine, "shop", "blog")
        assert renew(machine)

    def test_the_next_play_is_as_ever(self, machines: list[Machine], run: object, play: Playbook) -> None:
        play(code=0)
        for machine in machines:
            assert shop(machine).names() == {"shop.example.test"}
            assert_well(machine)
