"""Renewals by the timer and its unit, for each lifetime that certificates have or will have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest
from lineages import assert_well, blog, drop_in, fact, later, metrics, problems, renew, shop, watch
from machine import Machine, wait_for
from pebble import DAY, Pebble, counted
from playbook import Playbook

#: Days that a certificate is valid for, and the hours before its end in which it has to be renewed: a third of its
#: life, and half where it lives less than ten days, as certbot has it from 4.1 on.
LIFETIMES = {64: 512, 45: 360, 6: 72, 90: 720}


class TestUnit:
    """The unit that the timer starts."""

    def test_it_renews_nothing_that_is_not_due(self, machine: Machine) -> None:
        before = shop(machine).on_disk()
        with counted([machine]) as orders:
            assert renew(machine)
        assert orders[machine.name] == 0
        assert shop(machine).on_disk() == before
        assert_well(machine)

    def test_what_is_due_is_renewed_and_served(self, machine: Machine) -> None:
        before, other = shop(machine).served(), blog(machine).served()
        shop(machine).make_due()
        with counted([machine]) as orders:
            assert renew(machine)
        assert orders[machine.name] == 1
        assert shop(machine).served() not in (before, other)
        assert blog(machine).served() == other
        assert_well(machine)

    def test_it_says_that_it_has(self, machine: Machine) -> None:
        told = fact(machine)
        assert told["renewal"]["ok"] is True
        assert metrics(machine)["asgi_deploy_certificates_renewal_ok"] == 1
        assert abs(told["renewal"]["at"] - int(machine.run("date +%s"))) < 600

    def test_the_new_key_is_roots_alone(self, machine: Machine) -> None:
        keys = machine.run("stat --format '%U %a' /etc/letsencrypt/archive/shop/privkey*.pem").splitlines()
        assert len(keys) >= 2
        assert set(keys) == {"root 600"}


class TestTimer:
    """Debian's timer, the only one that renews."""

    def test_it_is_the_only_one(self, machine: Machine) -> None:
        timers = machine.run("systemctl list-timers --all --plain --no-legend").splitlines()
        ours = {word for line in timers for word in line.split() if "cert" in word and word.endswith(".timer")}
        assert ours == {"certbot.timer", "asgi-deploy-certificates.timer"}
        assert machine.run("systemctl is-enabled certbot.timer").strip() == "enabled"
        # Debian's package brings a job that does nothing where systemd runs.
        jobs = machine.run("grep -rlE '^[^#].*(certbot|letsencrypt)' /etc/cron* || true").split()
        assert jobs == ["/etc/cron.d/certbot"]
        assert "! -d /run/systemd/system" in machine.run("cat /etc/cron.d/certbot")

    @pytest.fixture
    def soon(self, machine: Machine) -> Iterator[None]:
        # An empty value takes Debian's times away.
        text = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nRandomizedDelaySec=0\nAccuracySec=100ms\n"
        with drop_in(machine, "certbot.timer", text):
            machine.run("systemctl restart certbot.timer")
            yield
        machine.run("systemctl restart certbot.timer")
        # It may have begun a run in the moment before.
        wait_for("the end of certbot.service", lambda: not machine.succeeds("systemctl is-active certbot.service"))

    @pytest.mark.usefixtures("soon")
    def test_it_fires_and_renews(self, machine: Machine) -> None:
        before = shop(machine).served()
        with counted([machine]) as orders:
            shop(machine).make_due()
            wait_for("a renewal by the timer", lambda: shop(machine).served() != before, 60)
            wait_for("two further runs", partial(runs, machine, 2), 60)
        assert orders[machine.name] == 1
        assert machine.failed_units() == []

    def test_it_is_as_before(self, machine: Machine) -> None:
        assert "*-*-* 00,12:00:00" in machine.run("systemctl show certbot.timer --property=TimersCalendar")
        assert_well(machine)


def runs(machine: Machine, least: int) -> bool:
    """Whether certbot.service ended as often as this in the last seconds."""
    text = machine.run("journalctl --unit certbot.service -o cat --since '-12s' | grep -c '^Finished' || true")
    return int(text) >= least


@dataclass
class Renewed:
    #: Hours, by the lifetime in days.
    thresholds: dict[int, int]
    alarms: dict[int, str]


class TestLifetimes:
    @pytest.fixture(scope="class")
    @classmethod
    def renewed(cls, machines: list[Machine]) -> dict[str, Renewed]:
        found = {machine.name: Renewed({}, {}) for machine in machines}
        for machine in machines:
            for days in LIFETIMES:
                with Pebble(machine).configured(certificateValidityPeriod=days * DAY):
                    shop(machine).make_due()
                    assert renew(machine)
                found[machine.name].thresholds[days] = shop(machine).threshold()
                found[machine.name].alarms[days] = problems(machine)
        return found

    def test_each_has_its_threshold(self, machine: Machine, renewed: dict[str, Renewed]) -> None:
        # A certificate's life is a second shorter than what Pebble is told.
        found = renewed[machine.name].thresholds
        assert {LIFETIMES[days] - hours for days, hours in found.items()} <= {0, 1}, found

    def test_none_is_an_alarm_on_its_first_day(self, machine: Machine, renewed: dict[str, Renewed]) -> None:
        assert set(renewed[machine.name].alarms.values()) == {""}

    def test_the_fact_names_the_time(self, machine: Machine, renewed: dict[str, Renewed]) -> None:
        told = fact(machine)["certificates"]["shop"]
        hours = (told["not_after"] - told["renew_at"]) / 3600
        # The last one was for 90 days.
        assert abs(hours - 720) < 1
        renew_at = metrics(machine)['asgi_deploy_certificate_renew_at_timestamp_seconds{certificate="shop"}']
        assert renew_at == int(told["renew_at"])


class TestSixDays:
    """A certificate for six days. The clock is moved for certbot and for the program alone, by libfaketime: a container
    has its host's. The CA's and nginx's stay, so what is renewed "in three days" is valid from today on.
    """

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _short(cls, machines: list[Machine]) -> Iterator[None]:
        with ExitStack() as stack:
            for machine in machines:
                stack.enter_context(Pebble(machine).configured(certificateValidityPeriod=6 * DAY))
                shop(machine).make_due()
                assert renew(machine)
            yield
        for machine in machines:
            shop(machine).make_due()
            assert renew(machine)

    def test_runs_of_the_play_order_nothing(self, machines: list[Machine], play: Playbook) -> None:
        with counted(machines) as orders:
            play(code=0).assert_unchanged()
        assert set(orders.values()) == {0}

    @pytest.mark.parametrize("hours", [0, 24, 71])
    def test_before_half_its_life_no_run_renews_it(self, machine: Machine, hours: int) -> None:
        before = shop(machine).on_disk()
        with counted([machine]) as orders, later(machine, hours * 3600):
            assert renew(machine)
        assert orders[machine.name] == 0
        assert shop(machine).on_disk() == before

    def test_after_half_its_life_it_is_renewed_by_itself_and_once(self, machine: Machine) -> None:
        before = shop(machine).served()
        with counted([machine]) as orders, later(machine, 73 * 3600):
            assert renew(machine)
        assert orders[machine.name] == 1
        assert shop(machine).served() == shop(machine).on_disk() != before
        assert "renew_before_expiry" in shop(machine).renewal()
        with counted([machine]) as orders:
            assert renew(machine)
            assert watch(machine)
        assert orders[machine.name] == 0
        assert_well(machine)
