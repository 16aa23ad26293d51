"""A site's certificate under another name: sites that share one, and sites that are renamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lineages import SITES, Lineage, assert_well, blog, fact, shop, site
from machine import Machine
from pebble import Pebble, counted
from playbook import Outcome, Playbook

#: The proxy alone: what a run has done that ends before certbot's turn.
PROXY = "- hosts: proxies\n  gather_facts: false\n  roles: [asgi.deploy.nginx_proxy]\n"


def named(**names: str) -> list[dict[str, Any]]:
    """The inventory's sites under other names."""
    return [{**site(name, domains), "name": names.get(name, name)} for name, domains in SITES.items()]


def sharing(name: str) -> list[dict[str, Any]]:
    return [site(each, domains, tls={"lineage": name}) for each, domains in SITES.items()]


def link(machine: Machine, name: str) -> str:
    return machine.run(f"readlink /etc/nginx/tls/{name}/current").strip()


def take_further_away(play: Playbook) -> None:
    """Remove the lineages that these tests have added; the sites have their own certificates all the time."""
    wanted: list[dict[str, Any]] = [{"name": name, "domains": domains} for name, domains in SITES.items()]
    wanted += [{"name": name, "state": "absent"} for name in ("both", "store")]
    play(extra={"certbot_certificates": wanted}, code=0)


@pytest.fixture(autouse=True, scope="module")
def _as_before(machines: list[Machine], play: Playbook) -> Iterator[None]:
    yield
    with counted(machines) as orders:
        take_further_away(play)
    assert set(orders.values()) == {0}
    play().assert_unchanged()
    for machine in machines:
        assert_well(machine)


class TestRenamed:
    """The site shop is store now, and the run ends before its certificate is ordered; then another run."""

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine]) -> dict[str, str]:
        return {machine.name: shop(machine).served() for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def proxy_only(cls, before: dict[str, str], play: Playbook, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
        playbook: Path = tmp_path_factory.mktemp("play") / "proxy.yml"
        playbook.write_text(PROXY, encoding="utf-8")
        return play(extra={"nginx_proxy_sites": named(shop="store")}, playbook=str(playbook), code=0)

    @pytest.fixture(scope="class")
    @classmethod
    def orders(cls, proxy_only: Outcome, machines: list[Machine], play: Playbook) -> dict[str, int]:
        with counted(machines) as orders:
            play(extra={"nginx_proxy_sites": named(shop="store")}, code=0)
        return orders

    def test_the_old_certificate_is_served_at_once(
        self, machine: Machine, before: dict[str, str], proxy_only: Outcome
    ) -> None:
        assert proxy_only.hosts[machine.name].changed == ["Put the configuration live"]
        assert link(machine, "store") == "/etc/letsencrypt/live/shop"
        assert shop(machine).served() == before[machine.name]

    def test_the_new_one_is_ordered_once_and_served(self, machine: Machine, orders: dict[str, int]) -> None:
        store = Lineage(machine, "store")
        assert orders[machine.name] == 1
        assert link(machine, "store") == store.folder
        assert shop(machine).served() == store.on_disk() != shop(machine).on_disk()
        assert set(fact(machine)["certificates"]) == {"store", "blog"}


class TestShared:
    """Both sites have the certificate `both`."""

    @pytest.fixture(scope="class")
    @classmethod
    def orders(cls, machines: list[Machine], play: Playbook) -> dict[str, int]:
        with counted(machines) as orders:
            play(extra={"nginx_proxy_sites": sharing("both")}, code=0)
        return orders

    def test_one_order_for_the_names_of_both(self, machine: Machine, orders: dict[str, int]) -> None:
        both = Lineage(machine, "both")
        assert orders[machine.name] == 1
        for lineage in (shop(machine), blog(machine)):
            assert lineage.link() == both.folder
            assert lineage.served() == both.on_disk()
            assert lineage.names() == {"shop.example.test", "blog.example.test"}
        told = fact(machine)["certificates"]
        assert set(told) == {"both"}
        assert {name: one["serves"] for name, one in told["both"]["sites"].items()} == {
            "shop": "certbot",
            "blog": "certbot",
        }

    def test_a_second_run_changes_nothing(
        self, machines: list[Machine], play: Playbook, orders: dict[str, int]
    ) -> None:
        with counted(machines) as again:
            play(extra={"nginx_proxy_sites": sharing("both")}).assert_unchanged()
        assert set(again.values()) == {0}

    def test_a_renewal_reaches_both_by_one_reload(self, machine: Machine, orders: dict[str, int]) -> None:
        both = Lineage(machine, "both")
        before, reloads = both.on_disk(), reloads_of(machine)
        both.make_due()
        machine.run("systemctl start certbot.service")
        assert shop(machine).served() == blog(machine).served() == both.on_disk() != before
        assert reloads_of(machine) == reloads + 1


class TestOtherSource:
    """The site shop goes from certbot's certificate to the self-signed pair, to plain HTTP, and back."""

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine]) -> dict[str, str]:
        return {machine.name: shop(machine).on_disk() for machine in machines}

    @pytest.mark.parametrize("source", ["self_signed", "none"])
    def test_the_certificate_waits_with_certbot(
        self, machines: list[Machine], play: Playbook, before: dict[str, str], source: str
    ) -> None:
        with counted(machines) as orders:
            play(extra={"nginx_proxy_sites": sourced(source)}, code=0)
        assert set(orders.values()) == {0}
        for machine in machines:
            if source == "none":
                answer = machine.ask("http://shop.example.test/")
                assert (answer.status, answer.body) == (200, "shop\n")
            else:
                assert "asgi.deploy bootstrap" in shop(machine).issuer()
            assert shop(machine).on_disk() == before[machine.name]
            # It is no problem that it is not served.
            assert_well(machine, "blog")

    def test_it_is_served_again_without_an_order(
        self, machines: list[Machine], play: Playbook, before: dict[str, str]
    ) -> None:
        with counted(machines) as orders:
            play(code=0)
        assert set(orders.values()) == {0}
        for machine in machines:
            assert shop(machine).served() == before[machine.name]
            assert_well(machine)


class TestRenamedAndRemoved:
    """The site blog is diary now, and its old certificate is to go in the same run; then the way back."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _alone(cls, play: Playbook) -> None:
        # Another one with the name of the blog would be served, and be no reason to keep the old one.
        take_further_away(play)

    @staticmethod
    def wanted(old: str, new: str) -> dict[str, Any]:
        present = [{"name": "shop", "domains": SITES["shop"]}, {"name": new, "domains": SITES["blog"]}]
        gone = {"name": old, "state": "absent"}
        return {"nginx_proxy_sites": named(blog=new), "certbot_certificates": [gone, *present]}

    def test_the_old_one_stays_while_the_ca_is_down(self, machines: list[Machine], play: Playbook) -> None:
        before = [blog(machine).served() for machine in machines]
        for machine in machines:
            machine.run("systemctl stop pebble.service")
        try:
            outcome = play(extra=self.wanted("blog", "diary"), code=2)
        finally:
            for machine in machines:
                Pebble(machine).restart()
        said = "blog: kept: the site diary is served with it until its own certificate is there"
        assert said in " ".join(outcome.output.split())
        for machine, fingerprint in zip(machines, before, strict=True):
            assert link(machine, "diary") == blog(machine).folder
            assert blog(machine).served() == blog(machine).on_disk() == fingerprint

    @pytest.mark.parametrize(("old", "new"), [("blog", "diary"), ("diary", "blog")])
    def test_the_new_one_is_served_and_the_old_one_gone(
        self, machines: list[Machine], play: Playbook, old: str, new: str
    ) -> None:
        with counted(machines) as orders:
            play(extra=self.wanted(old, new), code=0)
            play(extra=self.wanted(old, new)).assert_unchanged()
        assert set(orders.values()) == {1}
        for machine in machines:
            lineage = Lineage(machine, new)
            assert link(machine, new) == lineage.folder
            assert blog(machine).served() == lineage.on_disk()
            assert not Lineage(machine, old).exists()
            assert_well(machine, "shop")


def sourced(source: str) -> list[dict[str, Any]]:
    return [
        site(name, domains, **({"tls": {"source": source}} if name == "shop" else {}))
        for name, domains in SITES.items()
    ]


def reloads_of(machine: Machine) -> int:
    journal = machine.run("journalctl --unit nginx.service -o cat")
    return journal.count("Reloaded nginx.service")
