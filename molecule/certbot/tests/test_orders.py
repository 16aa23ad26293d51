"""What causes an order, what only changes a renewal, and what is done before an order is placed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lineages import Lineage, assert_well, blog, renew, shop, site
from machine import Machine
from pebble import Pebble, counted
from playbook import Outcome, Playbook

ALONE = str(Path(__file__).resolve().parents[1] / "role_alone.yml")
ORDERS = "/var/lib/asgi-deploy/certificates/orders.json"

STAGING = "https://localhost:14001/dir"
#: The inventory's two, and one that a test orders.
BOTH = [{"name": name, "domains": [f"{name}.example.test"]} for name in ("shop", "blog")]


def one(*domains: str) -> dict[str, Any]:
    """A third certificate. Port 80 answers for any name of the third site."""
    return {
        "nginx_proxy_sites": [
            site("shop", ["shop.example.test"]),
            site("blog", ["blog.example.test"]),
            site("one", domains),
        ]
    }


def key(machine: Machine, name: str) -> str:
    text = machine.run(f"openssl x509 -in /etc/letsencrypt/live/{name}/cert.pem -noout -text")
    return next(line.split(":")[1].strip() for line in text.splitlines() if "ASN1 OID" in line)


class TestCurve:
    """certbot itself would keep the key's curve: it compares only the type."""

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, machines: list[Machine], play: Playbook) -> dict[str, tuple[int, int]]:
        extra = {"certbot_elliptic_curve": "secp384r1"}
        with counted(machines) as first:
            play(playbook=ALONE, extra=extra, code=0)
        with counted(machines) as second:
            play(playbook=ALONE, extra=extra, code=0).assert_unchanged()
        return {machine.name: (first[machine.name], second[machine.name]) for machine in machines}

    def test_each_certificate_is_ordered_once(self, machine: Machine, run: dict[str, tuple[int, int]]) -> None:
        assert run[machine.name] == (2, 0)
        assert {key(machine, "shop"), key(machine, "blog")} == {"secp384r1"}
        assert shop(machine).renewal()["elliptic_curve"] == "secp384r1"
        assert_well(machine)

    def test_renewals_keep_the_curve(self, machine: Machine, run: object) -> None:
        shop(machine).make_due()
        assert renew(machine)
        assert key(machine, "shop") == "secp384r1"

    def test_back(self, machines: list[Machine], run: object, play: Playbook) -> None:
        with counted(machines) as orders:
            play(playbook=ALONE, code=0)
        assert set(orders.values()) == {2}
        for machine in machines:
            assert {key(machine, "shop"), key(machine, "blog")} == {"prime256v1"}


class TestWebroot:
    """Another folder for challenges: no order, and the next renewal writes there."""

    @pytest.fixture(scope="class")
    @classmethod
    def moved(cls, machines: list[Machine], play: Playbook) -> Iterator[tuple[Outcome, Outcome, dict[str, int]]]:
        extra = {"certbot_webroot": "/srv/acme", "nginx_proxy_acme_webroot": "/srv/acme"}
        with counted(machines) as orders:
            checked = play("--check", "--diff", "--tags=all", playbook=ALONE, extra=extra, code=0)
            outcome = play(extra=extra, code=0)
        yield checked, outcome, orders
        play(code=0)

    def test_nothing_is_ordered_and_the_renewals_are_edited(
        self, machine: Machine, moved: tuple[Outcome, Outcome, dict[str, int]]
    ) -> None:
        checked, _outcome, orders = moved
        assert orders[machine.name] == 0
        assert "+webroot_path = /srv/acme," in checked.output
        for lineage in (shop(machine), blog(machine)):
            assert lineage.renewal()["webroot_path"] == "/srv/acme,"
            # certbot's map, which need not have the name, says nothing else.
            assert machine.code(f"grep --quiet /var/www/acme {lineage.renewal_file}") == 1

    def test_the_timer_renews_by_it(self, machine: Machine, moved: object) -> None:
        before = shop(machine).served()
        shop(machine).make_due()
        assert renew(machine)
        assert shop(machine).served() != before
        assert_well(machine)


class TestWebrootThatNobodyServes:
    def test_the_renewals_stay_as_they_were(self, machines: list[Machine], play: Playbook) -> None:
        outcome = play(playbook=ALONE, extra={"certbot_webroot": "/srv/nobody"}, code=2)
        for machine in machines:
            message = outcome.hosts[machine.name].message
            assert message.count("its renewals were not changed: ") == 2, message
            assert shop(machine).renewal()["webroot_path"] == "/var/www/acme,"


class TestRehearsal:
    """An order is tried at the server for trials first, which leaves nothing of it."""

    @pytest.fixture(autouse=True)
    def _clear(self, machines: list[Machine], play: Playbook) -> Iterator[None]:
        yield
        play(extra={"certbot_certificates": [*BOTH, {"name": "one", "state": "absent"}]}, code=0)

    def counts(self, machines: list[Machine]) -> list[tuple[int, int]]:
        return [(Pebble(machine).orders(), Pebble(machine, "pebble-staging").orders()) for machine in machines]

    def test_both_are_asked(self, machines: list[Machine], play: Playbook) -> None:
        before = self.counts(machines)
        play(extra={**one("one.example.test"), "certbot_staging_server": STAGING}, code=0)
        after = self.counts(machines)
        # For a rehearsal certbot gives up what the CA took for valid, and orders again.
        assert [(now[0] - then[0], now[1] > then[1]) for then, now in zip(before, after, strict=True)] == [
            (1, True)
        ] * 2
        for machine in machines:
            assert machine.run("ls /etc/letsencrypt/renewal").split() == ["blog.conf", "one.conf", "shop.conf"]
            assert Lineage(machine, "one").renewal()["server"] == Pebble(machine).server

    def test_what_fails_there_is_not_ordered(self, machines: list[Machine], play: Playbook) -> None:
        for machine in machines:
            staging = Pebble(machine, "pebble-staging")
            staging.configure(domainBlocklist=["two.example.test"])
            staging.restart(accounts=False)
        with counted(machines) as orders:
            extra = {**one("one.example.test", "two.example.test"), "certbot_staging_server": STAGING}
            outcome = play(extra=extra, code=2)
        assert set(orders.values()) == {0}
        for machine in machines:
            message = outcome.hosts[machine.name].message
            assert f"one: no order was placed, for its rehearsal at {STAGING} failed: the CA refused: " in message
            assert "two.example.test" in message
            staging = Pebble(machine, "pebble-staging")
            staging.configure(domainBlocklist=["blocked.example.test"])
            staging.restart(accounts=False)

    def test_a_server_for_trials_that_is_down_is_no_obstacle(self, machines: list[Machine], play: Playbook) -> None:
        for machine in machines:
            machine.run("systemctl stop pebble-staging.service")
        with counted(machines) as orders:
            outcome = play(extra={**one("one.example.test"), "certbot_staging_server": STAGING}, code=0)
        assert set(orders.values()) == {1}
        # The warning is broken into lines.
        assert "one: not rehearsed at" in " ".join(outcome.output.split())
        for machine in machines:
            machine.run("systemctl start pebble-staging.service")


class TestStaging:
    """From the server for trials to the real one, and not back."""

    @pytest.fixture(scope="class")
    @classmethod
    def trial(cls, machines: list[Machine], play: Playbook) -> Iterator[None]:
        """A host that has only ever ordered from the server for trials."""
        for machine in machines:
            machine.run("mv /etc/letsencrypt /etc/letsencrypt.kept")
            Pebble(machine, "pebble-staging").trust()
        play(extra={"certbot_staging_server": STAGING, "certbot_staging": True}, code=0)
        yield
        play(code=0)

    def test_certificates_for_trials_are_served(self, machine: Machine, trial: None) -> None:
        assert shop(machine).renewal()["server"] == STAGING
        assert shop(machine).served() == shop(machine).on_disk()

    def test_one_step_makes_them_real_ones(self, machines: list[Machine], trial: None, play: Playbook) -> None:
        with counted(machines) as orders:
            play(extra={"certbot_staging_server": STAGING}, code=0)
        assert set(orders.values()) == {2}
        for machine in machines:
            assert shop(machine).renewal()["server"] == Pebble(machine).server
            assert_well(machine)

    def test_there_is_no_way_back(self, machines: list[Machine], trial: None, play: Playbook) -> None:
        before = [shop(machine).served() for machine in machines]
        outcome = play(extra={"certbot_staging_server": STAGING, "certbot_staging": True}, code=2)
        for machine in machines:
            assert not outcome.hosts[machine.name].changed
            assert "certbot_staging" in outcome.hosts[machine.name].message
        assert [shop(machine).served() for machine in machines] == before

    def test_the_scenarios_own_come_back(self, machines: list[Machine], trial: None, play: Playbook) -> None:
        for machine in machines:
            machine.run("rm -r /etc/letsencrypt && mv /etc/letsencrypt.kept /etc/letsencrypt")
        play(code=0)
        for machine in machines:
            assert_well(machine)


class TestCooldown:
    """What three refusals do is in test_quota.py."""

    @pytest.fixture
    def refused(self, machines: list[Machine]) -> None:
        """As three runs leave it that the CA has refused."""
        entries = [{"at": time.time() - 60 * minutes, "words": "not yours"} for minutes in (50, 40, 30)]
        for machine in machines:
            known = json.loads(machine.run(f"cat {ORDERS}"))
            known["refusals"] = {Pebble(machine).server: {"two.example.test": entries}}
            machine.write(ORDERS, json.dumps(known))

    def test_an_order_is_held_back_until_it_is_asked_for(
        self, machines: list[Machine], refused: None, play: Playbook
    ) -> None:
        certificates = [*BOTH, {"name": "one", "domains": ["one.example.test", "two.example.test"]}]
        extra = {**one("one.example.test", "two.example.test"), "certbot_certificates": certificates}
        with counted(machines) as orders:
            outcome = play(extra=extra, code=2)
        assert set(orders.values()) == {0}
        for machine in machines:
            message = outcome.hosts[machine.name].message
            assert message.startswith(f"one: no order was placed: {Pebble(machine).server} refused two.example.test 3 ")
            assert "it said: not yours" in message
            assert "-e certbot_ignore_cooldown=true" in message

        with counted(machines) as orders:
            play(playbook=ALONE, extra={**extra, "certbot_ignore_cooldown": True}, code=0)
        assert set(orders.values()) == {1}
        for machine in machines:
            # What succeeded is not held against anybody.
            assert "refusals" not in json.loads(machine.run(f"cat {ORDERS}"))
        play(extra={"certbot_certificates": [*BOTH, {"name": "one", "state": "absent"}]}, code=0)


class TestHalfALineage:
    """certbot would order, fail to store what came, or store it as shop-0001."""

    def test_without_its_renewal_file(self, machines: list[Machine], play: Playbook) -> None:
        for machine in machines:
            machine.run("rm /etc/letsencrypt/renewal/shop.conf")
        with counted(machines) as orders:
            play(playbook=ALONE, code=0)
        assert set(orders.values()) == {1}
        for machine in machines:
            assert machine.run("ls /etc/letsencrypt/live").split() == ["README", "blog", "shop"]
            assert_well(machine)

    def test_with_an_empty_renewal_file_and_without_files(self, machines: list[Machine], play: Playbook) -> None:
        for machine in machines:
            machine.run("rm -r /etc/letsencrypt/live/shop && : >/etc/letsencrypt/renewal/shop.conf")
        with counted(machines) as orders:
            play(code=0)
        assert set(orders.values()) == {1}
        for machine in machines:
            assert machine.run("ls /etc/letsencrypt/live").split() == ["README", "blog", "shop"]
            assert machine.run("ls /etc/letsencrypt/asgi-deploy/remains").startswith("shop-")
            assert_well(machine)


class TestAnotherCertbot:
    """Whoever holds certbot's lock is waited for."""

    def test_the_order_comes_after_it(self, machines: list[Machine], play: Playbook) -> None:
        holder = "import fcntl, time; f = open('/etc/letsencrypt/.certbot.lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX)"
        for machine in machines:
            machine.run("systemd-run --quiet python3 -c %s", holder + "; time.sleep(20)")
        # certbot itself would fail at once.
        play(playbook=ALONE, extra={"certbot_key_type": "rsa"}, code=0)
        for machine in machines:
            assert shop(machine).key_type() == "rsa"
        play(playbook=ALONE, code=0)
        for machine in machines:
            assert_well(machine)
