"""Hosts without nginx: certbot answers challenges itself, and a command brings certificates to what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs_examples import DOCS, examples
from fresh import fresh_hosts, play_on
from lineages import fact, renew
from machine import TRUST, Machine
from pebble import Pebble, counted
from playbook import Playbook

PLAY = "- hosts: edge\n  gather_facts: false\n  roles: [asgi.deploy.certbot]\n"
PEM = "/etc/haproxy/certs/edge.pem"


def documented() -> str:
    """The command for HAProxy, as people copy it."""
    pages = [path for path in DOCS if path.name == "other-services.md"]
    commands = [example.variables["certbot_deploy_command"] for example in examples(pages)]
    (command,) = [command for command in commands if "haproxy" in command]
    return str(command)


def variables(command: str) -> dict[str, Any]:
    return {
        "certbot_server": "https://localhost:14000/dir",
        "certbot_ca_bundle": "/etc/pebble/ca.pem",
        "certbot_challenge": "standalone",
        "certbot_certificates": [{"name": "edge", "domains": ["shop.example.test", "blog.example.test"]}],
        "certbot_deploy_command": command,
    }


@pytest.fixture(scope="module")
def edges() -> Iterator[list[Machine]]:
    with fresh_hosts("edge") as hosts:
        for machine in hosts:
            Pebble(machine).trust()
            machine.run("apt-get -q update && apt-get -q -y install --no-install-recommends haproxy")
            machine.run("mkdir -m 0700 /etc/haproxy/certs")
            # Without a certificate it would not start; whoever sets it up puts some pair there first.
            machine.run(
                "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=first -days 9 -keyout /tmp/k -out /tmp/c"
                f" 2>/dev/null && cat /tmp/c /tmp/k >{PEM}"
            )
            site = [
                "",
                "frontend edge",
                "  mode http",
                f"  bind :443 ssl crt {PEM}",
                "  http-request return status 200",
            ]
            machine.run("printf '%%s\\n' %s >>/etc/haproxy/haproxy.cfg", "\n".join(site))
            machine.run("systemctl restart haproxy")
        yield hosts


@pytest.fixture(scope="module")
def play(edges: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Playbook:
    return play_on(edges, tmp_path_factory.mktemp("inventory"), group="edge")


@pytest.fixture(scope="module")
def playbook(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("play") / "edge.yml"
    path.write_text(PLAY, encoding="utf-8")
    return str(path)


class TestEdge:
    def test_a_command_that_fails_fails_the_play_and_is_repeated(
        self, edges: list[Machine], play: Playbook, playbook: str
    ) -> None:
        with counted(edges) as orders:
            outcome = play(extra=variables("echo the disk is on fire; exit 3"), playbook=playbook, code=2)
        for machine in edges:
            assert orders[machine.name] == 1
            message = outcome.hosts[machine.name].message
            assert "edge: certbot_deploy_command ended with 3" in message
            assert "the disk is on fire" in message
            # Not only the play sees it.
            assert machine.code("asgi-deploy-certificates") == 1
            assert "the disk is on fire" in fact(machine)["problems"][0]

    def test_the_documented_command_brings_it_to_haproxy(
        self, edges: list[Machine], play: Playbook, playbook: str
    ) -> None:
        with counted(edges) as orders:
            play(extra=variables(documented()), playbook=playbook, code=0)
        for machine in edges:
            assert orders[machine.name] == 0
            answer = machine.ask("https://blog.example.test/")
            assert (answer.code, answer.status) == (0, 200)
            assert machine.run(f"stat --format '%a %U' {PEM}").strip() == "600 root"
            assert machine.run("ls -A /etc/haproxy/certs").split() == ["edge.pem"]
            # nginx is nowhere, and nobody asks for it.
            assert machine.code("command -v nginx") != 0
            assert machine.both("asgi-deploy-certificates") == (0, "")
        again = play(extra=variables(documented()), playbook=playbook)
        again.assert_unchanged()

    def test_a_renewal_by_the_timer_reaches_haproxy(self, edges: list[Machine]) -> None:
        for machine in edges:
            before = machine.fingerprint()
            machine.run("sed -i /^renew_before_expiry/d /etc/letsencrypt/renewal/edge.conf")
            machine.run("sed -i '1i renew_before_expiry = 9999 days' /etc/letsencrypt/renewal/edge.conf")
            assert renew(machine)
            assert machine.fingerprint() == machine.fingerprint("/etc/letsencrypt/live/edge/cert.pem") != before
            assert machine.ask("https://shop.example.test/", "--cacert", TRUST).status == 200
            # It ran once for this certificate, not again in the next run.
            assert machine.both("asgi-deploy-certificates") == (0, "")
