"""From the inventory to certificates that are served: each change places the orders that it needs, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from lineages import assert_well, blog, fact, metrics, shop, sites
from machine import Machine
from pebble import counted
from playbook import Outcome, Playbook

HOLD = "Hold the certificates"
MORE = ["shop.example.test", "www.shop.example.test"]


@dataclass
class Run:
    """A run of the play. What it found and left is by the host's name."""

    outcome: Outcome
    orders: dict[str, int]
    #: Fingerprints of shop and blog as they were served before.
    before: dict[str, tuple[str, str]]

    @classmethod
    def of(cls, machines: Sequence[Machine], play: Playbook, *options: str, **extra: object) -> Run:
        before = {machine.name: (shop(machine).served(), blog(machine).served()) for machine in machines}
        with counted(machines) as orders:
            outcome = play(*options, extra=extra, code=0)
        return cls(outcome, orders, before)


class TestIssued:
    """What converge has left."""

    def test_each_site_serves_its_own(self, machine: Machine) -> None:
        for lineage in (shop(machine), blog(machine)):
            assert "Pebble Intermediate CA" in lineage.issuer()
            assert lineage.names() == {lineage.domain}
            assert lineage.link() == lineage.folder
            assert lineage.key_type() == "ecdsa"
            answer = machine.ask(f"https://{lineage.domain}/")
            assert (answer.code, answer.status, answer.body) == (0, 200, f"{lineage.name}\n")
        assert_well(machine)

    def test_keys_and_accounts_are_roots_alone(self, machine: Machine) -> None:
        find = "find /etc/letsencrypt /etc/nginx/tls -name 'privkey*.pem' -type f -o -name private_key.json"
        found = machine.run(f"{find} | xargs stat --format '%U:%G %a'").splitlines()
        assert len(found) >= 5
        # certbot's own mode for the key of an account is 0400.
        assert set(found) <= {"root:root 600", "root:root 400"}
        assert machine.run("stat --format '%U %a' /etc/letsencrypt/accounts").strip() == "root 700"


class TestSecondRun:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, machines: list[Machine], play: Playbook) -> Run:
        return Run.of(machines, play)

    def test_no_order_is_placed_and_nothing_changes(self, machine: Machine, run: Run) -> None:
        run.outcome.assert_unchanged()
        assert run.orders[machine.name] == 0
        assert (shop(machine).served(), blog(machine).served()) == run.before[machine.name]


class TestFurtherName:
    """A name is added to one of two sites: first in check mode, then for good."""

    @pytest.fixture(scope="class")
    @classmethod
    def checked(cls, machines: list[Machine], play: Playbook) -> Run:
        return Run.of(machines, play, "--check", "--diff", **sites(shop=MORE))

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, checked: Run, machines: list[Machine], play: Playbook) -> Run:
        return Run.of(machines, play, **sites(shop=MORE))

    def test_check_mode_says_what_would_be_ordered_and_orders_nothing(self, machine: Machine, checked: Run) -> None:
        assert HOLD in checked.outcome.hosts[machine.name].changed
        assert "+shop.example.test, www.shop.example.test" in checked.outcome.output
        assert checked.orders[machine.name] == 0

    def test_only_the_site_that_changed_gets_another_certificate(self, machine: Machine, run: Run) -> None:
        served, other = run.before[machine.name]
        assert run.orders[machine.name] == 1
        assert shop(machine).names() == set(MORE)
        assert shop(machine).served() != served
        assert blog(machine).served() == other
        assert machine.run("ls /etc/letsencrypt/renewal").split() == ["blog.conf", "shop.conf"]
        assert_well(machine)

    def test_both_names_are_answered(self, machine: Machine, run: Run) -> None:
        for name in MORE:
            assert machine.ask(f"https://{name}/").status == 200


class TestNameRemoved:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, machines: list[Machine], play: Playbook) -> Run:
        return Run.of(machines, play)

    def test_the_certificate_has_the_one_name_again(self, machine: Machine, run: Run) -> None:
        assert run.orders[machine.name] == 1
        assert shop(machine).names() == {"shop.example.test"}
        assert blog(machine).served() == run.before[machine.name][1]
        assert_well(machine)


class TestKeyType:
    """From one type of key to the other and back; and that the change is no reason for a third order."""

    @pytest.fixture(scope="class")
    @classmethod
    def rsa(cls, machines: list[Machine], play: Playbook) -> Run:
        return Run.of(machines, play, certbot_key_type="rsa")

    @pytest.fixture(scope="class")
    @classmethod
    def again(cls, rsa: Run, machines: list[Machine], play: Playbook) -> Run:
        return Run.of(machines, play, certbot_key_type="rsa")

    @pytest.fixture(scope="class")
    @classmethod
    def back(cls, again: Run, machines: list[Machine], play: Playbook) -> Run:
        return Run.of(machines, play)

    def test_each_certificate_is_ordered_once(
        self, machine: Machine, machines: list[Machine], rsa: Run, again: Run, back: Run
    ) -> None:
        assert (rsa.orders[machine.name], again.orders[machine.name], back.orders[machine.name]) == (2, 0, 2)
        again.outcome.assert_unchanged()

    def test_the_key_is_of_the_first_type_again(self, machine: Machine, back: Run) -> None:
        assert {shop(machine).key_type(), blog(machine).key_type()} == {"ecdsa"}
        assert_well(machine)


class TestThirdSite:
    """A further certificate beside those that are there, and a site that goes."""

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, machines: list[Machine], play: Playbook) -> Run:
        return Run.of(machines, play, **sites(three=["three.example.test", "two.example.test"]))

    def test_it_gets_one_and_the_others_keep_theirs(self, machine: Machine, run: Run) -> None:
        assert run.orders[machine.name] == 1
        assert (shop(machine).served(), blog(machine).served()) == run.before[machine.name]
        assert set(fact(machine)["certificates"]) == {"shop", "blog", "three"}
        assert fact(machine)["certificates"]["three"]["names"] == ["three.example.test", "two.example.test"]
        assert 'asgi_deploy_certificate_problems{certificate="three"}' in metrics(machine)
        assert_well(machine, "shop", "blog", "three")

    def test_absent_takes_it_away(self, machines: list[Machine], run: Run, play: Playbook) -> None:
        wanted = [{"name": name, "domains": [f"{name}.example.test"]} for name in ("shop", "blog")]
        gone = [*wanted, {"name": "three", "state": "absent"}]
        outcome = Run.of(machines, play, certbot_certificates=gone)
        for machine in machines:
            assert outcome.orders[machine.name] == 0
            assert machine.run("ls /etc/letsencrypt/renewal").split() == ["blog.conf", "shop.conf"]
            assert set(fact(machine)["certificates"]) == {"shop", "blog"}
            assert_well(machine)
