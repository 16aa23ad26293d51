"""Certificates that go: nginx serves the self-signed pair first, and what a fault has kept goes with the next run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lineages import Lineage, assert_well, blog, shop, site
from machine import Machine
from pebble import Pebble, counted
from playbook import Playbook

ALONE = str(Path(__file__).resolve().parents[1] / "role_alone.yml")

PRESENT = [{"name": name, "domains": [f"{name}.example.test"]} for name in ("shop", "blog")]
SITES = {
    "nginx_proxy_sites": [
        site("shop", ["shop.example.test"]),
        site("blog", ["blog.example.test"]),
        site("one", ["one.example.test"]),
    ]
}
#: It serves the same name with the certificate of another site, as one does that got another name.
SHARED = {"nginx_proxy_sites": [*SITES["nginx_proxy_sites"], site("two", ["two.example.test"], tls={"lineage": "one"})]}


def wanted(**one: Any) -> dict[str, Any]:
    return {**SITES, "certbot_certificates": [*PRESENT, {"name": "one", **one}]}


def gone(**more: Any) -> dict[str, Any]:
    return wanted(state="absent", **more)


def one(machine: Machine) -> Lineage:
    return Lineage(machine, "one")


def serial(machine: Machine) -> str:
    return machine.run("openssl x509 -in /etc/letsencrypt/live/one/cert.pem -noout -serial").strip().split("=")[1]


def status(machine: Machine, number: str) -> str:
    """What the CA says of a certificate: Valid or Revoked."""
    url = f"{Pebble(machine).management}/cert-status-by-serial/{number}"
    read: dict[str, str] = json.loads(machine.run(f"curl --silent --cacert /etc/pebble/ca.pem {url}"))
    return read["Status"]


def assert_gone(machine: Machine) -> None:
    names = "find /etc/letsencrypt/live /etc/letsencrypt/archive /etc/letsencrypt/renewal -mindepth 1 -maxdepth 1"
    assert sorted(machine.run(names + " -name 'one*'").split()) == []
    assert machine.run("readlink /etc/nginx/tls/one/current").strip() == "bootstrap"
    assert "asgi.deploy bootstrap" in one(machine).issuer()
    assert machine.code("nginx -t") == 0
    assert_well(machine)


@pytest.fixture(scope="module", autouse=True)
def _site(machines: list[Machine], play: Playbook) -> Iterator[None]:
    """A third site for all tests here; its certificate is for each of them."""
    play(extra=wanted(domains=["one.example.test"]), code=0)
    yield
    play(extra={"certbot_certificates": [*PRESENT, {"name": "one", "state": "absent"}]}, code=0)


class Removed:
    """Each begins with a certificate that is served."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _there(cls, machines: list[Machine], play: Playbook) -> None:
        if not all(one(machine).exists() for machine in machines):
            play(playbook=ALONE, extra=wanted(domains=["one.example.test"]), code=0)


class TestRevoked(Removed):
    """Said in check mode, then done, then nothing more to do."""

    def test_check_mode_says_so_and_takes_nothing(self, machines: list[Machine], play: Playbook) -> None:
        outcome = play("--check", "--diff", playbook=ALONE, extra=gone(revoke=True), code=0)
        assert "-/etc/letsencrypt/live/one" in outcome.output
        for machine in machines:
            assert one(machine).served() == one(machine).on_disk()
            assert status(machine, serial(machine)) == "Valid"

    def test_done(self, machines: list[Machine], play: Playbook) -> None:
        numbers = [serial(machine) for machine in machines]
        others = [(shop(machine).served(), blog(machine).served()) for machine in machines]
        with counted(machines) as orders:
            play(playbook=ALONE, extra=gone(revoke=True, revoke_reason="superseded"), code=0)
            play(playbook=ALONE, extra=gone(revoke=True), code=0).assert_unchanged()
        assert set(orders.values()) == {0}
        for machine, number in zip(machines, numbers, strict=True):
            assert_gone(machine)
            assert status(machine, number) == "Revoked"
        assert [(shop(machine).served(), blog(machine).served()) for machine in machines] == others


class TestCADown(Removed):
    """What cannot be revoked is kept, and served."""

    def test_kept_and_then_removed(self, machines: list[Machine], play: Playbook) -> None:
        before = [one(machine).served() for machine in machines]
        for machine in machines:
            machine.run("systemctl stop pebble.service")
        outcome = play(playbook=ALONE, extra=gone(revoke=True), code=2)
        for machine, fingerprint in zip(machines, before, strict=True):
            message = outcome.hosts[machine.name].message
            assert message.startswith("one: it was not revoked, and so not deleted: the CA could not be reached: ")
            assert one(machine).served() == one(machine).on_disk() == fingerprint
            assert one(machine).link() == one(machine).folder
        for machine in machines:
            # It does not know the account any more, either: whoever has the key may revoke.
            Pebble(machine).restart(accounts=False)
        play(playbook=ALONE, extra=gone(revoke=True), code=2)
        for machine in machines:
            # Nor the certificate; Pebble signs with another root after each start.
            assert one(machine).served() == one(machine).on_disk()
            Pebble(machine).restart()
        play(playbook=ALONE, extra=gone(), code=0)
        for machine in machines:
            assert_gone(machine)


class TestForgottenAccount(Removed):
    def test_the_key_of_the_certificate_revokes_it(self, machines: list[Machine], play: Playbook) -> None:
        numbers = [serial(machine) for machine in machines]
        for machine in machines:
            machine.run(f"sed -i 's/^account = .*/account = 0123/' {one(machine).renewal_file}")
        play(playbook=ALONE, extra=gone(revoke=True), code=0)
        for machine, number in zip(machines, numbers, strict=True):
            assert_gone(machine)
            assert status(machine, number) == "Revoked"


class TestHalfDone(Removed):
    """A run that was killed between two of its steps."""

    def test_the_next_run_ends_it(self, machines: list[Machine], play: Playbook) -> None:
        left = ["rm /etc/letsencrypt/renewal/one.conf", "rm -r /etc/letsencrypt/live/one /etc/letsencrypt/archive/one"]
        for machine, command in zip(machines, left, strict=True):
            machine.run(f"ln -sfn bootstrap /etc/nginx/tls/one/current && systemctl reload nginx && {command}")
        play(playbook=ALONE, extra=gone(), code=0)
        play(playbook=ALONE, extra=gone(), code=0).assert_unchanged()
        for machine in machines:
            assert_gone(machine)


class TestNginxBroken(Removed):
    def test_nothing_is_removed(self, machines: list[Machine], play: Playbook) -> None:
        for machine in machines:
            machine.run("cp -a /etc/nginx/nginx.conf /run/nginx.conf && echo 'broken;' >>/etc/nginx/nginx.conf")
        try:
            outcome = play(playbook=ALONE, extra=gone(), code=2)
        finally:
            for machine in machines:
                machine.run("cp -a /run/nginx.conf /etc/nginx/nginx.conf")
        for machine in machines:
            message = outcome.hosts[machine.name].message
            assert "one: nginx did not take the self-signed pair, and nothing was removed: nginx -t: " in message
            assert one(machine).served() == one(machine).on_disk()
            assert one(machine).link() == one(machine).folder

    def test_a_configuration_that_names_the_files_keeps_them(self, machines: list[Machine], play: Playbook) -> None:
        pair = {"certificate": "fullchain", "certificate_key": "privkey"}
        lines = [f"proxy_ssl_{key} {one(machines[0]).folder}/{name}.pem;" for key, name in pair.items()]
        by_hand = gone()
        by_hand["nginx_proxy_sites"] = [
            *SITES["nginx_proxy_sites"][:2],
            site("one", ["one.example.test"], extra=" ".join(lines)),
        ]
        outcome = play(extra=by_hand, code=2)
        for machine in machines:
            message = outcome.hosts[machine.name].message
            assert "one: it was not removed: nginx's configuration names files in /etc/letsencrypt/live/one" in message
            assert one(machine).exists()
            assert machine.code("nginx -t") == 0


class TestShared(Removed):
    """Two sites with one certificate."""

    def test_both_get_their_own_pair_back(self, machines: list[Machine], play: Playbook) -> None:
        both = {"name": "one", "domains": ["one.example.test", "two.example.test"]}
        play(extra={**SHARED, "certbot_certificates": [*PRESENT, both]}, code=0)
        two = "readlink /etc/nginx/tls/two/current"
        assert {machine.run(two).strip() for machine in machines} == {"/etc/letsencrypt/live/one"}
        play(playbook=ALONE, extra={**SHARED, "certbot_certificates": gone()["certbot_certificates"]}, code=0)
        for machine in machines:
            assert machine.run(two).strip() == "bootstrap"
            assert_gone(machine)


class TestWithoutNginx:
    """The role on a host that has no TLS folder of nginx's."""

    def test_removed(self, machines: list[Machine], play: Playbook) -> None:
        options = (
            "--non-interactive --agree-tos --register-unsafely-without-email --force-renewal --webroot -w /var/www/acme"
        )
        server = "--server https://localhost:14000/dir --cert-name solo --domain shop.example.test"
        for machine in machines:
            machine.run(f"REQUESTS_CA_BUNDLE=/etc/pebble/ca.pem certbot certonly {options} {server}")
        extra = {
            "nginx_proxy_sites": [],
            "certbot_tls_dir": "/srv/none",
            "certbot_certificates": [{"name": "solo", "state": "absent", "revoke": True}],
        }
        play(playbook=ALONE, extra=extra, code=0)
        for machine in machines:
            assert machine.run("find /etc/letsencrypt -name 'solo*'") == ""
            assert shop(machine).served() == shop(machine).on_disk()
        play(code=0)
