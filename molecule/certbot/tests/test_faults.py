"""Faults between a host and its CA. After each the certificate before is served, the host says what is wrong, and the
next run heals: of the timer where nothing but the fault was in its way, of the play where names had changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lineages import assert_visible, assert_well, blog, fact, later, metrics, renew, shop, sites, watch
from machine import Machine
from pebble import DAY, Pebble, counted
from playbook import Outcome, Playbook

MORE = ["shop.example.test", "www.shop.example.test"]


class TestCADown:
    @pytest.fixture
    def before(self, machine: Machine) -> Iterator[str]:
        served = shop(machine).served()
        shop(machine).make_due()
        machine.run("systemctl stop pebble.service")
        yield served
        if not machine.succeeds("systemctl is-active pebble.service"):
            Pebble(machine).restart()

    def test_the_timers_run_fails_aloud_and_the_next_one_heals(self, machine: Machine, before: str) -> None:
        assert not renew(machine)
        assert shop(machine).served() == before
        assert_visible(machine, "certbot.service", "localhost:14000")
        assert fact(machine)["renewal"]["ok"] is False
        assert metrics(machine)["asgi_deploy_certificates_renewal_ok"] == 0
        # It does not look well again because somebody else ran the program.
        assert not watch(machine)

        Pebble(machine).restart()
        assert renew(machine)
        assert shop(machine).served() != before
        assert watch(machine)
        assert_well(machine)


class TestClockNearExpiry:
    """A certificate of six days that nobody could renew for five. The clock is moved as in test_renewal.py."""

    @pytest.fixture
    def before(self, machine: Machine) -> Iterator[str]:
        with Pebble(machine).configured(certificateValidityPeriod=6 * DAY):
            shop(machine).make_due()
            assert renew(machine)
        machine.run("systemctl stop pebble.service")
        yield shop(machine).served()
        if not machine.succeeds("systemctl is-active pebble.service"):
            Pebble(machine).restart()

    def test_it_is_told_before_it_is_too_late(self, machine: Machine, before: str) -> None:
        assert watch(machine)
        with later(machine, 5 * DAY):
            # Nobody has tried to renew yet: the one that only watches notices.
            assert not watch(machine)
            assert_visible(machine, "asgi-deploy-certificates.service", "shop: ", "expire")
            assert not renew(machine)
            assert_visible(machine, "certbot.service", "localhost:14000")
            assert shop(machine).served() == before
            assert machine.ask("/").status == 200

            Pebble(machine).restart()
            assert renew(machine)
            assert watch(machine)
            assert shop(machine).served() == shop(machine).on_disk() != before
        assert_well(machine)


class TestAccountsForgotten:
    """Pebble forgets them with each start; of others it is known after they restored a backup."""

    def test_the_timer_heals_by_itself(self, machine: Machine) -> None:
        before = shop(machine).served()
        shop(machine).make_due()
        Pebble(machine).restart(accounts=False)
        assert not renew(machine)
        assert shop(machine).served() == before
        assert_visible(machine, "certbot.service", "account")

        assert renew(machine)
        assert shop(machine).served() == shop(machine).on_disk() != before
        assert_well(machine)

    def test_the_others_are_renewed_with_the_same_account(self, machine: Machine) -> None:
        blog(machine).make_due()
        assert renew(machine)
        assert blog(machine).renewal()["account"] == shop(machine).renewal()["account"]
        assert_well(machine)


class TestNamesChangedInVain:
    """A name that the CA refuses, then a CA that is down: what is served changes only with what succeeds."""

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine]) -> dict[str, str]:
        return {machine.name: shop(machine).served() for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def refused(cls, before: object, machines: list[Machine], play: Playbook) -> Outcome:
        return play(extra=sites(shop=[*MORE, "blocked.example.test"]), code=2)

    def test_one_of_three_refused_is_told_in_the_cas_words(
        self, machine: Machine, refused: Outcome, before: dict[str, str]
    ) -> None:
        message = refused.hosts[machine.name].message
        # Pebble says it of the order on Debian 12, and of the name alone on 13.
        words = message.partition("the CA refused: ")[2]
        assert "blocked.example.test" in words
        assert "forbidden" in words
        assert shop(machine).served() == before[machine.name]
        assert machine.ask("/").status == 200
        # Between two plays too: nginx has names that its certificate has not.
        assert not watch(machine)
        assert_visible(machine, "asgi-deploy-certificates.service", "shop: ", "www.shop.example.test")

    @pytest.fixture(scope="class")
    @classmethod
    def without(cls, refused: object, machines: list[Machine], play: Playbook) -> dict[str, int]:
        with counted(machines) as orders:
            play(extra=sites(shop=MORE), code=0)
        return orders

    def test_without_the_refused_name_the_next_play_heals(self, machine: Machine, without: dict[str, int]) -> None:
        assert without[machine.name] == 1
        assert shop(machine).names() == set(MORE)
        assert watch(machine)
        assert_well(machine)

    @pytest.fixture(scope="class")
    @classmethod
    def down(cls, without: object, machines: list[Machine], play: Playbook) -> Outcome:
        for machine in machines:
            machine.run("systemctl stop pebble.service")
        try:
            return play(code=2)
        finally:
            for machine in machines:
                Pebble(machine).restart()

    def test_with_the_ca_down_the_play_says_so_and_leaves_what_is_served(self, machine: Machine, down: Outcome) -> None:
        message = down.hosts[machine.name].message
        assert "https://localhost:14000/dir" in message
        assert "shop" in message
        assert shop(machine).names() == set(MORE)
        assert machine.ask("/").status == 200

    def test_with_the_ca_up_the_next_play_heals(self, machines: list[Machine], down: object, play: Playbook) -> None:
        with counted(machines) as orders:
            play(code=0)
        for machine in machines:
            assert orders[machine.name] == 1
            assert shop(machine).names() == {"shop.example.test"}
            assert_well(machine)
