"""The way from the proxy to application hosts: who gets in, and what changes without a request being lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hop import UNITS, answering, assert_reloaded_only, units
from machine import Machine
from playbook import Outcome, Playbook
from trial import assert_nothing_lost, load, trial, version, wait_for_one_slot


def complaints(proxy: Machine) -> int:
    """How often nginx has found an application host wanting."""
    words = "upstream prematurely closed|reset by peer|refused|timed out"
    return int(proxy.run(f"grep -cE '{words}' /var/log/nginx/error.log || true"))


def reaches(machine: Machine, other: Machine, port: int = 8000) -> bool:
    return machine.succeeds("curl --silent --max-time 3 http://%s:%s/version", other.name, str(port))


class TestReached:
    def test_requests_go_to_all_hosts_in_turn(self, proxy: Machine, apps: list[Machine]) -> None:
        assert answering(proxy, apps) == apps

    def test_the_application_learns_the_client_s_address(self, proxy: Machine) -> None:
        told = proxy.ask("/process", "-H", "X-Forwarded-For: 203.0.113.66").json()
        assert told["client"][0] == "127.0.0.1"

    def test_nobody_but_the_proxy_gets_in(self, proxy: Machine, apps: list[Machine]) -> None:
        first, second, _third = apps
        assert reaches(proxy, first)
        assert not reaches(second, first)
        # Refused at once: whoever has a right to be there need not wait for a timeout.
        assert second.code("curl --silent --max-time 3 http://%s:8000/", first.name) == 7
        assert first.succeeds("curl --silent --max-time 3 http://127.0.0.1:8000/version")

    def test_the_way_in_is_no_more_than_it_has_to_be(self, apps: list[Machine]) -> None:
        for app in apps:
            told = app.run("systemd-analyze security --no-pager notes-hop@8000.service | tail -n 1")
            assert float(told.split(":")[1].split()[0]) <= 1.5

    def test_a_fence_that_somebody_took_down_is_up_again_after_the_next_run(
        self, apps: list[Machine], play: Playbook
    ) -> None:
        first, second, _third = apps
        first.run("nft delete table inet asgi_deploy_8000")
        assert reaches(second, first)
        outcome = play(code=0)
        assert [name for name, tasks in outcome.hosts.items() if tasks.changed] == [first.name]
        assert not reaches(second, first)


class TestRelease:
    """All hosts switch at once, and the proxy holds connections to all of them."""

    @pytest.fixture(scope="class")
    @classmethod
    def seen(
        cls, proxy: Machine, apps: list[Machine], play: Playbook, tmp_path_factory: pytest.TempPathFactory
    ) -> dict[str, Any]:
        second = trial(tmp_path_factory.mktemp("second"), "second")
        before = complaints(proxy)
        with load([proxy]) as loads:
            play(extra=second, code=0)
            wait_for_one_slot(apps)
            play(code=0)
            wait_for_one_slot(apps)
        return {**loads[proxy.name], "complaints": before}

    def test_nothing_was_lost(self, seen: dict[str, Any]) -> None:
        assert_nothing_lost(seen, 200)
        assert seen["versions"] == ["first", "second"]

    def test_the_proxy_had_nothing_to_repeat(self, proxy: Machine, seen: dict[str, Any]) -> None:
        assert complaints(proxy) == seen["complaints"]


class TestPort:
    """The proxies learn of a port after the hosts: until then the one before has to be open."""

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, proxy: Machine, apps: list[Machine], play: Playbook) -> tuple[Outcome, dict[str, Any]]:
        changed, hosts = {"gunicorn_app_port": 9000}, [app.name for app in apps]
        with load([proxy]) as loads:
            alone = replace(play, hosts=hosts)("--limit", ",".join(hosts), code=0, extra=changed)
            assert f"notes:8000 stays: {proxy.name} may still pass requests on to it" in alone.output
            for app in apps:
                assert app.run(UNITS).split() == sorted(units(8000) + units(9000))
            outcome = play(code=0, extra=changed)
        return outcome, loads[proxy.name]

    def test_nothing_was_lost(self, done: tuple[Outcome, dict[str, Any]]) -> None:
        assert_reloaded_only(done[1])

    def test_the_one_before_is_closed(
        self, proxy: Machine, apps: list[Machine], done: tuple[Outcome, dict[str, Any]]
    ) -> None:
        for app in apps:
            assert app.run(UNITS).split() == units(9000)
            assert app.run("ls /etc/asgi-deploy/fences").split() == ["notes-9000.nft"]
            assert "asgi_deploy_8000" not in app.run("nft list tables")
            assert not reaches(proxy, app)
            assert reaches(proxy, app, 9000)

    def test_again_it_changes_nothing(self, play: Playbook, done: object) -> None:
        play(extra={"gunicorn_app_port": 9000}).assert_unchanged()

    def test_a_port_that_another_program_holds_leaves_the_one_that_is_open(
        self, proxy: Machine, apps: list[Machine], play: Playbook, done: object
    ) -> None:
        apps[0].run("systemd-run --quiet --unit=holder python3 -m http.server --bind 127.0.0.1 8000")
        try:
            outcome = play(code=2)
            assert outcome.hosts[apps[0].name].message.startswith(
                'gunicorn_app_port: "8000" is refused; accepted: a port that nothing else on the host listens on'
            )
            assert not [name for name, tasks in outcome.hosts.items() if tasks.changed]
            assert "asgi_deploy_8000" not in apps[0].run("nft list tables")
            assert version(proxy) == "first"
        finally:
            apps[0].run("systemctl stop holder.service")
        play(code=0)
        for app in apps:
            assert app.run(UNITS).split() == units(8000)


class TestRemoval:
    """Of the application on one host: the proxy passes nothing on to it before it is gone."""

    @pytest.fixture(scope="class")
    @classmethod
    def seen(cls, proxy: Machine, apps: list[Machine], play: Playbook) -> dict[str, Any]:
        gone = f"{{{{ 'absent' if inventory_hostname == '{apps[2].name}' else 'present' }}}}"
        with load([proxy]) as loads:
            alone = replace(play, hosts=[apps[2].name])
            outcome = alone("--limit", apps[2].name, code=0, extra={"gunicorn_app_state": gone})
            assert f"notes stays: {proxy.name} may still pass requests on to it" in outcome.output
            assert apps[2].run(UNITS).split() == units(8000)
            play(code=0, extra={"gunicorn_app_state": gone})
        return dict(loads[proxy.name])

    def test_nothing_was_lost(self, seen: dict[str, Any]) -> None:
        assert_reloaded_only(seen)

    def test_nothing_of_it_is_left_there(self, proxy: Machine, apps: list[Machine], seen: object) -> None:
        gone = apps[2]
        assert gone.run(UNITS) == ""
        assert "asgi_deploy" not in gone.run("nft list tables")
        assert not gone.succeeds("ls /etc/asgi-deploy/fences/*.nft")
        assert not gone.succeeds("test -e /etc/systemd/system/nftables.service.d/asgi-deploy.conf")
        upstream = proxy.run("cat /etc/nginx/deploy/current/sites/notes/upstream.conf")
        assert upstream.count("server ") == 2

    def test_it_comes_back(self, proxy: Machine, apps: list[Machine], play: Playbook, seen: object) -> None:
        play(code=0)
        assert apps[2].run(UNITS).split() == units(8000)
        assert apps[2] in answering(proxy, apps)
