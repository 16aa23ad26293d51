"""How names are proven over HTTP: what the probe finds before an order, and hosts without nginx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from lineages import Lineage, assert_well, blog, renew, shop, sites
from machine import Machine
from pebble import counted
from playbook import Outcome, Playbook

#: Nobody has these; no answer comes.
SILENT4, SILENT6 = "192.0.2.1", "2001:db8::1"
TOKENS = "/var/www/acme/.well-known/acme-challenge"

#: Names of the tests, each with its addresses; None is that of the other host of the scenario.
NAMES: dict[str, list[str | None]] = {
    "silent": [SILENT4],
    "half": ["127.0.0.1", SILENT4],
    # Let's Encrypt turns to IPv4 when IPv6 is silent. Pebble takes the first address.
    "old": ["127.0.0.1", SILENT6],
    "elsewhere": [None],
    "nowhere": [],
}


def domain(name: str) -> str:
    return f"{name}.example.test"


def address(machine: Machine) -> str:
    return machine.run("hostname --all-ip-addresses").split()[0]


class TestProbe:
    """A certificate for each name. Only what the CA could prove is ordered, and the others are told apart."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _names(cls, machines: list[Machine], play: Playbook) -> Iterator[None]:
        before = {machine.name: machine.run("cat /etc/hosts") for machine in machines}
        for machine, other in zip(machines, reversed(machines), strict=True):
            pairs = [(each or address(other), domain(name)) for name, found in NAMES.items() for each in found]
            # Written, not replaced: Docker has mounted it.
            lines = [before[machine.name], *(f"{found} {name}" for found, name in pairs)]
            machine.run("printf '%%s\n' %s >/etc/hosts", "\n".join(lines))
        yield
        for machine in machines:
            machine.run("printf '%%s\n' %s >/etc/hosts", before[machine.name])
        gone = [{"name": name, "state": "absent"} for name in NAMES]
        play(extra={"certbot_certificates": [*gone, *kept()]}, code=0)

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> tuple[Outcome, dict[str, int]]:
        for machine in machines:
            # What a run that was killed an hour ago has left, and what is certbot's own.
            machine.run(
                f"umask 022 && mkdir -p {TOKENS} && touch -d '-1 hour' {TOKENS}/asgi-deploy-left {TOKENS}/other"
            )
        with counted(machines) as orders:
            outcome = play(extra=sites(**{name: [domain(name)] for name in NAMES}), code=2)
        return outcome, orders

    def said(self, machine: Machine, done: tuple[Outcome, dict[str, int]], name: str) -> str:
        lines = done[0].hosts[machine.name].message.splitlines()
        found = [line for line in lines if line.startswith(f"{name}: ")]
        assert len(found) == 1, lines
        return found[0]

    @pytest.mark.parametrize("name", ["silent", "half"])
    def test_an_address_that_does_not_answer(
        self, machine: Machine, done: tuple[Outcome, dict[str, int]], name: str
    ) -> None:
        said = self.said(machine, done, name)
        beginning = (
            f"{name}: no order was placed: {SILENT4}, an address of {domain(name)}, does not answer on port 80: "
        )
        assert said.startswith(beginning)
        assert said.endswith("set certbot_probe: local)")

    def test_the_name_leads_to_the_other_host(
        self, machine: Machine, machines: list[Machine], done: tuple[Outcome, dict[str, int]]
    ) -> None:
        (other,) = [each for each in machines if each is not machine]
        # The token is not in its webroot: it asks this one for it, the other of the proxies.
        assert address(other) in machine.run("getent ahosts elsewhere.example.test")
        elsewhere = Lineage(machine, "elsewhere")
        assert elsewhere.served() == elsewhere.on_disk()
        assert "elsewhere: " not in done[0].hosts[machine.name].message

    def test_a_name_without_an_address(self, machine: Machine, done: tuple[Outcome, dict[str, int]]) -> None:
        said = self.said(machine, done, "nowhere")
        assert said == "nowhere: no order was placed: nowhere.example.test has no address in DNS"

    def test_a_dead_ipv6_address_is_forgiven_and_no_order_is_placed_in_vain(
        self, machine: Machine, done: tuple[Outcome, dict[str, int]]
    ) -> None:
        # For this one and for `elsewhere`.
        assert done[1][machine.name] == 2
        old = Lineage(machine, "old")
        assert old.served() == old.on_disk()
        assert old.names() == {"old.example.test"}

    def test_the_others_are_served_with_what_they_had(
        self, machine: Machine, done: tuple[Outcome, dict[str, int]]
    ) -> None:
        assert not Lineage(machine, "silent").exists()
        assert "asgi.deploy bootstrap" in Lineage(machine, "silent").issuer()
        assert shop(machine).served() == shop(machine).on_disk()

    def test_no_token_is_left(self, machine: Machine, done: tuple[Outcome, dict[str, int]]) -> None:
        assert machine.run(f"ls {TOKENS}").split() == ["other"]
        machine.run(f"rm {TOKENS}/other")

    def test_this_host_only(self, machines: list[Machine], play: Playbook, done: object) -> None:
        """The CA here takes the name's first address, which answers."""
        with counted(machines) as orders:
            play(extra={**sites(half=[domain("half")]), "certbot_probe": "local"}, code=0)
        for machine in machines:
            assert orders[machine.name] == 1
            assert Lineage(machine, "half").served() == Lineage(machine, "half").on_disk()


def kept() -> list[dict[str, Any]]:
    return [{"name": site["name"], "domains": site["domains"]} for site in sites()["nginx_proxy_sites"]]


class TestStandalone:
    """A host without nginx: certbot answers on port 80 itself."""

    @pytest.fixture(scope="class")
    @classmethod
    def alone(cls, tmp_path_factory: pytest.TempPathFactory) -> str:
        """A play of the role certbot alone, on a host that has no sites."""
        one = {
            "name": "Hold a certificate on a host without nginx",
            "hosts": "proxies",
            "gather_facts": False,
            "roles": ["asgi.deploy.certbot"],
        }
        path = tmp_path_factory.mktemp("alone") / "alone.yml"
        path.write_text(yaml.safe_dump([one]), encoding="utf-8")
        return str(path)

    @staticmethod
    def wanted(**certificate: Any) -> dict[str, Any]:
        names = [domain("one"), domain("two")]
        return {
            "nginx_proxy_sites": [],
            "certbot_tls_dir": "/srv/no-nginx",
            "certbot_certificates": [{"name": "alone", "domains": names, "challenge": "standalone", **certificate}],
        }

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _without_nginx(cls, machines: list[Machine], play: Playbook, alone: str) -> Iterator[None]:
        yield
        play(playbook=alone, extra=cls.wanted(state="absent"), code=0)
        for machine in machines:
            machine.run("systemctl start nginx.service")
        play(code=0)
        for machine in machines:
            assert_well(machine)

    def test_a_port_that_is_taken_is_named(self, machines: list[Machine], play: Playbook, alone: str) -> None:
        with counted(machines) as orders:
            outcome = play(playbook=alone, extra=self.wanted(), code=2)
        for machine in machines:
            process = machine.run("cat /run/nginx.pid").strip()
            message = outcome.hosts[machine.name].message
            assert f"port 80 is taken by nginx (process {process}), and certbot has to listen there" in message
            assert orders[machine.name] == 0

    def test_a_free_port_is_enough(self, machines: list[Machine], play: Playbook, alone: str) -> None:
        for machine in machines:
            machine.run("systemctl stop nginx.service")
        with counted(machines) as orders:
            play(playbook=alone, extra=self.wanted(), code=0)
        assert set(orders.values()) == {1}
        play(playbook=alone, extra=self.wanted(), code=0).assert_unchanged()

    def test_the_timers_unit_renews_it(self, machine: Machine) -> None:
        lineage = Lineage(machine, "alone")
        assert lineage.renewal()["authenticator"] == "standalone"
        before = lineage.on_disk()
        lineage.make_due()
        assert renew(machine)
        assert lineage.on_disk() != before
        # Certificates of the host's other life were none of its business.
        assert blog(machine).exists()
