"""Last: hosts that die under load. What is lost is at most what they had in hand, and they come back by themselves."""

from __future__ import annotations

from typing import Any

import docker
import pytest
from containers import wait_until_booted
from cut import cut_off
from machine import Machine, wait_for
from trial import load, version

#: Each of the clients of load.py has one request under way.
CLIENTS = 4


def restart(machine: Machine) -> None:
    client = docker.from_env()
    try:
        container = client.containers.get(machine.name)
        container.restart(timeout=10)
        wait_until_booted(container)
    finally:
        client.close()


def asked_by(proxy: Machine, app: Machine) -> int:
    """How many requests the proxy's log has that this host answered."""
    address = proxy.run("getent ahostsv4 %s", app.name).split()[0]
    # The log is written once a second.
    return int(proxy.run(f'sleep 1.5; grep -c \'"upstream":"[^"]*{address}:8000"\' /var/log/nginx/access.log || true'))


class TestCut:
    @pytest.fixture(scope="class")
    @classmethod
    def seen(cls, proxy: Machine, apps: list[Machine]) -> dict[str, Any]:
        with load([proxy]) as loads:
            proxy.run("sleep 2")
            with cut_off(apps[0]):
                proxy.run("sleep 8")
            before = asked_by(proxy, apps[0])
            wait_for("requests to the host", lambda: asked_by(proxy, apps[0]) > before + 10, 20)
        return dict(loads[proxy.name])

    def test_no_more_is_lost_than_was_in_flight(self, seen: dict[str, Any]) -> None:
        assert len(seen["failures"]) <= CLIENTS, seen["failures"]
        assert min(seen["counts"].values()) > 100

    def test_nobody_else_waits_for_long(self, seen: dict[str, Any]) -> None:
        """A second for the connection that is not made. What was sent to the host already waits until it is back."""
        assert seen["slow"] <= CLIENTS, seen


class TestReboot:
    @pytest.fixture(scope="class")
    @classmethod
    def seen(cls, proxy: Machine, apps: list[Machine]) -> dict[str, Any]:
        with load([proxy]) as loads:
            proxy.run("sleep 2")
            restart(apps[1])
            before = asked_by(proxy, apps[1])
            wait_for("requests to the host", lambda: asked_by(proxy, apps[1]) > before + 10, 30)
        return dict(loads[proxy.name])

    def test_no_more_is_lost_than_was_in_flight(self, seen: dict[str, Any]) -> None:
        assert len(seen["failures"]) <= CLIENTS, seen["failures"]
        assert min(seen["counts"].values()) > 100

    def test_the_host_is_as_it_was(self, proxy: Machine, apps: list[Machine], seen: object) -> None:
        app = apps[1]
        assert app.failed_units() == []
        assert app.succeeds("systemctl is-active notes-hop@8000.socket notes-fence@8000.service")
        assert app.run("ls /run/systemd/generator.late 2>/dev/null; nft list tables").count("asgi_deploy_8000") == 1
        assert version(proxy) == "first"


class TestFence:
    """Debian's nftables.service forgets all rules. Docker's go as well, so the container is started again after it."""

    @pytest.mark.parametrize("verb", ["restart", "reload", "stop"])
    def test_the_fence_is_there_whatever_becomes_of_the_other_rules(
        self, proxy: Machine, apps: list[Machine], verb: str
    ) -> None:
        app = apps[2]
        address = proxy.run("getent ahostsv4 %s", app.name).split()[0]
        app.run(f"systemctl {verb} nftables.service")
        assert "asgi_deploy_8000" in app.run("nft list tables")
        assert proxy.succeeds("curl --silent --max-time 3 http://%s:8000/version", address)
        assert not apps[0].succeeds("curl --silent --max-time 3 http://%s:8000/version", address)

    def test_a_stopped_fence_takes_the_port_with_it(self, proxy: Machine, apps: list[Machine]) -> None:
        app = apps[2]
        app.run("systemctl stop notes-fence@8000.service")
        assert not proxy.succeeds("curl --silent --max-time 3 http://%s:8000/version", app.name)
        restart(app)
        wait_for("the port", lambda: proxy.succeeds("curl --silent --max-time 3 http://%s:8000/version", app.name))
