"""Accounts at the CA: their address, external ones, and what happens where the CA has forgotten them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from lineages import assert_well, blog, renew, shop
from machine import Machine
from pebble import Pebble, counted
from playbook import Playbook

ALONE = str(Path(__file__).resolve().parents[1] / "role_alone.yml")
ACCOUNTS = "/etc/letsencrypt/accounts/localhost:14000/dir"
#: Causes one order, whatever the account.
ORDER = {
    "certbot_certificates": [
        {"name": "shop", "domains": ["shop.example.test"], "key_type": "rsa"},
        {"name": "blog", "domains": ["blog.example.test"]},
    ]
}

#: Of an external account. Pebble takes both as they are.
KID, HMAC_KEY = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
WRONG = "AAAAZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


def accounts(machine: Machine) -> list[str]:
    return machine.run(f"ls {ACCOUNTS}").split()


def used(machine: Machine) -> set[str]:
    """The accounts that the renewal files name."""
    return {shop(machine).renewal()["account"], blog(machine).renewal()["account"]}


class TestAddress:
    """The CA is told another address once, and not on every run."""

    def told(self, machines: list[Machine]) -> list[int]:
        command = "journalctl --unit pebble.service -o cat | grep -c 'POST /my-account/' || true"
        return [int(machine.run(command)) for machine in machines]

    def test_a_change_is_told_once(self, machines: list[Machine], play: Playbook) -> None:
        before = self.told(machines)
        address = {"certbot_email": "ops@example.com"}
        outcome = play("--check", playbook=ALONE, extra=address, code=0)
        assert all(tasks.changed for tasks in outcome.hosts.values())
        assert self.told(machines) == before
        play(playbook=ALONE, extra=address, code=0)
        assert [now - then for then, now in zip(before, self.told(machines), strict=True)] == [1, 1]
        play(playbook=ALONE, extra=address, code=0).assert_unchanged()
        # None is a change, too.
        play(playbook=ALONE, code=0)
        assert [now - then for then, now in zip(before, self.told(machines), strict=True)] == [2, 2]


class TestForgotten:
    """Pebble keeps its accounts in memory: after a restart it knows none of them, and a new root."""

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, machines: list[Machine], play: Playbook) -> Iterator[dict[str, list[str]]]:
        before = {machine.name: accounts(machine) for machine in machines}
        for machine in machines:
            Pebble(machine).restart(accounts=False)
        play(playbook=ALONE, extra=ORDER, code=0)
        yield before
        play(playbook=ALONE, code=0)

    def test_a_new_one_places_the_order(self, machine: Machine, run: dict[str, list[str]]) -> None:
        [account] = accounts(machine)
        assert account not in run[machine.name]
        assert shop(machine).key_type() == "rsa"
        # The other lineage, which nothing was ordered for, would not be renewed otherwise.
        assert used(machine) == {account}
        assert (
            machine.run("stat --format '%U %a' /etc/letsencrypt/asgi-deploy/forgotten-accounts").strip() == "root 700"
        )

    def test_the_timer_renews_with_it(self, machine: Machine, run: object) -> None:
        before = blog(machine).served()
        blog(machine).make_due()
        assert renew(machine)
        assert blog(machine).served() != before
        assert_well(machine)


class TestExternal:
    """A CA that binds accounts to those of its customers."""

    @pytest.fixture(scope="class")
    @classmethod
    def bound(cls, machines: list[Machine], play: Playbook) -> Iterator[None]:
        keep = [machine.run("cat /etc/pebble/config.json") for machine in machines]
        for machine in machines:
            pebble = Pebble(machine)
            pebble.configure(externalAccountBindingRequired=True, externalAccountMACKeys={KID: HMAC_KEY})
            pebble.restart(accounts=False)
        yield
        for machine, text in zip(machines, keep, strict=True):
            machine.write("/etc/pebble/config.json", text)
            # Another one may have been made, bound to one that the server does not ask for now.
            Pebble(machine).restart()
        play(playbook=ALONE, code=0)

    @pytest.mark.parametrize(("key", "said"), [(None, "external account binding"), (WRONG, "the CA refused: ")])
    def test_without_the_right_key_all_stays_as_it_was(
        self, machines: list[Machine], bound: None, play: Playbook, key: str | None, said: str
    ) -> None:
        before = [(accounts(machine), used(machine), shop(machine).served()) for machine in machines]
        extra = {**ORDER, **({"certbot_eab_kid": KID, "certbot_eab_hmac_key": key} if key else {})}
        outcome = play("-vvv", "--diff", playbook=ALONE, extra=extra, code=2)
        assert WRONG not in outcome.output
        for machine in machines:
            message = outcome.hosts[machine.name].message
            assert message.startswith("shop, from https://localhost:14000/dir: the CA does not know the account: ")
            assert "a new account was not to be had: " in message
            assert said in message
        assert [(accounts(machine), used(machine), shop(machine).served()) for machine in machines] == before

    def test_with_it_the_order_is_placed_and_the_key_is_nowhere(
        self, machines: list[Machine], bound: None, play: Playbook
    ) -> None:
        extra = {**ORDER, "certbot_eab_kid": KID, "certbot_eab_hmac_key": HMAC_KEY}
        with counted(machines) as orders:
            outcome = play("-vvv", "--diff", playbook=ALONE, extra=extra, code=0)
        # The first of the two is the one that the forgotten account placed.
        assert set(orders.values()) == {2}
        assert HMAC_KEY not in outcome.output
        for machine in machines:
            assert shop(machine).key_type() == "rsa"
            [account] = accounts(machine)
            assert used(machine) == {account}
            # A command that looks for it must not find itself.
            places = "/etc/letsencrypt /etc/asgi-deploy /run/asgi-deploy /var/lib/asgi-deploy /var/log /root /tmp"
            machine.write("/run/wanted", HMAC_KEY)
            assert machine.code(f"grep --recursive --quiet --fixed-strings --file=/run/wanted {places}") == 1
            assert machine.code("journalctl | grep --quiet --fixed-strings --file=/run/wanted") == 1
            machine.run("rm /run/wanted")


class TestAccountThatIsGone:
    """A backup without the accounts, or a recovery that was killed: renewals name one that is not there."""

    def test_the_next_play_gives_them_the_one_that_is_there(self, machines: list[Machine], play: Playbook) -> None:
        for machine in machines:
            machine.run(f"sed -i 's/^account = .*/account = 0123/' {blog(machine).renewal_file}")
        with counted(machines) as orders:
            play(playbook=ALONE, code=0)
        assert set(orders.values()) == {0}
        for machine in machines:
            assert used(machine) == set(accounts(machine))
            blog(machine).make_due()
            assert renew(machine)
            assert_well(machine)
            assert json.loads(machine.run("cat /var/lib/asgi-deploy/certificates/orders.json"))["accounts"]

    def test_the_next_play_registers_where_there_is_none(self, machines: list[Machine], play: Playbook) -> None:
        for machine in machines:
            machine.run(f"rm -r {ACCOUNTS}")
        with counted(machines) as orders:
            outcome = play("--check", playbook=ALONE, code=0)
            assert all(tasks.changed for tasks in outcome.hosts.values())
            play(playbook=ALONE, code=0)
            play(playbook=ALONE, code=0).assert_unchanged()
        assert set(orders.values()) == {0}
        for machine in machines:
            [account] = accounts(machine)
            assert used(machine) == {account}
            blog(machine).make_due()
            assert renew(machine)
            assert_well(machine)
