"""Runs of the role: what changes, what stays, and what comes back when a change cannot be confirmed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from floating import CONFIG, asked, floating, holder_of, holders
from machine import Machine, wait_for
from playbook import Outcome, Playbook

ALONE = str(Path(__file__).resolve().parents[1] / "role_alone.yml")
FILES = ("/etc/keepalived", "/etc/systemd/system/keepalived.service.d", "/usr/local/lib/asgi.deploy/nginx_answers")


def run(play: Playbook, *options: str, code: int = 0, **extra: object) -> Outcome:
    return play(*options, playbook=ALONE, code=code, extra={f"floating_address_{key}": extra[key] for key in extra})


def files(machine: Machine) -> dict[str, str]:
    there = machine.run(f"ls -d {' '.join(FILES)} 2>/dev/null; true").split()
    return machine.files(*there)


def process(machine: Machine) -> str:
    return machine.run("systemctl show --property=MainPID,InvocationID keepalived.service")


def test_check_mode_shows_a_change_and_makes_none(machines: list[Machine], play: Playbook) -> None:
    run(play, "--check").assert_unchanged()
    before = {machine.name: (files(machine), process(machine)) for machine in machines}
    outcome = run(play, "--check", "--diff", router_id=77)
    assert all(len(tasks.changed) == 1 for tasks in outcome.hosts.values())
    assert "+    virtual_router_id 77" in outcome.output
    assert {machine.name: (files(machine), process(machine)) for machine in machines} == before


class TestAnotherAddress:
    """One more, and only that one, then the one before again: keepalived is told, and goes on."""

    def test_it_is_held_beside_the_first(self, machines: list[Machine], play: Playbook) -> None:
        holder, other = holder_of(machines)
        first, second = floating(holder), floating(holder).rpartition(".")[0] + ".201"
        processes = {machine.name: process(machine) for machine in machines}
        with asked(other) as found:
            run(play, addresses=[f"{first}/16", f"{second}/32"])
            assert holders(machines, first) == holders(machines, second)
            run(play, addresses=[f"{second}/16"])
            assert len(holders(machines, second)) == 1
            assert holders(machines, first) == []
            assert run(play).hosts[holder.name].changed
            time.sleep(0.5)
        assert holders(machines, second) == []
        assert len(holders(machines, first)) == 1
        assert {machine.name: process(machine) for machine in machines} == processes
        assert found["pages"], found


@contextmanager
def deaf(machines: list[Machine]) -> Iterator[None]:
    """As with a firewall between the hosts that knows nothing of VRRP: what each sends to the other is lost."""
    addresses = [machine.run("hostname --ip-address").strip() for machine in machines]
    for machine, address in zip(machines, reversed(addresses), strict=True):
        machine.run(f"ip neigh replace {address} lladdr 02:00:00:00:00:01 nud permanent dev eth0")
    try:
        yield
    finally:
        for machine, address in zip(machines, reversed(addresses), strict=True):
            machine.run(f"ip neigh del {address} dev eth0")


class TestHostsThatDoNotHearEachOther:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Iterator[tuple[Outcome, Outcome, str, str]]:
        before = machines[0].run(f"cat {CONFIG}")
        with deaf(machines):
            changed = run(play, code=2, router_id=77)
            after = machines[0].run(f"cat {CONFIG}")
            wait_for("both hold the address", lambda: len(holders(machines)) == 2)
            unchanged = run(play, code=2)
        wait_for("one host holds the address", lambda: len(holders(machines)) == 1)
        yield changed, unchanged, before, after
        run(play)

    def test_a_run_that_finds_the_address_twice_fails(
        self, machines: list[Machine], outcome: tuple[Outcome, Outcome, str, str]
    ) -> None:
        names = " and ".join(sorted(machine.name for machine in machines))
        for one in outcome[:2]:
            for tasks in one.hosts.values():
                assert f"is held by {names} at once: they do not hear each other" in tasks.message
        assert "live again" in outcome[0].hosts[machines[0].name].message
        assert "live again" not in outcome[1].hosts[machines[0].name].message

    def test_the_configuration_before_is_live_again(
        self, machines: list[Machine], outcome: tuple[Outcome, Outcome, str, str]
    ) -> None:
        assert outcome[3] == outcome[2]
        assert "virtual_router_id 51" in outcome[2]


def test_an_address_that_cannot_be_had_leaves_the_one_before(machines: list[Machine], play: Playbook) -> None:
    """The containers have no IPv6: keepalived takes the configuration, and the kernel does not take the address."""
    before = {machine.name: files(machine) for machine in machines}
    first = floating(machines[0])
    outcome = run(play, code=2, addresses=[f"{first}/16", "2001:db8::200/64"])
    for tasks in outcome.hosts.values():
        assert "no host holds 2001:db8::200 after" in tasks.message
        assert "The configuration before is live again." in tasks.message
    assert {name: set(found) for name, found in before.items()} == {m.name: set(files(m)) for m in machines}
    wait_for("one host holds the address", lambda: len(holders(machines)) == 1)


def test_an_address_of_a_host_is_refused_by_all(machines: list[Machine], play: Playbook) -> None:
    """The one whose address it is would be reached no more."""
    before = {machine.name: files(machine) for machine in machines}
    own = machines[1].run("hostname --ip-address").strip()
    for tasks in run(play, code=2, addresses=[f"{own}/16"]).hosts.values():
        assert tasks.message.startswith(f'floating_address_addresses[0]: "{own}')
        assert "accepted: an address that no host has for itself" in tasks.message
    assert {machine.name: files(machine) for machine in machines} == before


def test_an_interface_that_is_not_there_is_refused_before_a_change(machines: list[Machine], play: Playbook) -> None:
    before = {machine.name: files(machine) for machine in machines}
    for name, tasks in run(play, code=2, interface="eth7").hosts.items():
        wanted = 'floating_address_interface: "eth7" is refused; accepted: an interface that the host has: eth0'
        assert tasks.message == wanted, name
    assert {machine.name: files(machine) for machine in machines} == before


def test_a_host_without_nginx_gets_no_configuration(machines: list[Machine], play: Playbook) -> None:
    holder, other = holder_of(machines)
    before, config = files(other), holder.run(f"cat {CONFIG}")
    other.run("systemctl stop nginx")
    try:
        outcome = run(play, code=2, router_id=77)
    finally:
        other.run("systemctl start nginx")
    assert "apply the role nginx_proxy first" in outcome.hosts[other.name].message
    assert files(other) == before
    # With another configuration than that one has, the two would not know each other.
    message = outcome.hosts[holder.name].message
    assert f"{other.name} could not take the configuration, and all proxies need the same" in message
    assert holder.run(f"cat {CONFIG}") == config
    wait_for("nginx answers", lambda: other.succeeds("curl --silent --fail http://127.0.0.1:8099/generation"))
    wait_for("one host holds the address", lambda: len(holders(machines)) == 1)


class TestRemoval:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _removed(cls, machines: list[Machine], play: Playbook) -> Iterator[None]:
        shown = run(play, "--check", state="absent")
        assert all(len(tasks.changed) == 1 for tasks in shown.hosts.values())
        assert len(holders(machines)) == 1
        run(play, state="absent")
        yield
        run(play)
        run(play).assert_unchanged()
        assert len(holders(machines)) == 1

    def test_the_address_is_gone(self, machines: list[Machine]) -> None:
        assert holders(machines) == []

    def test_nothing_of_the_role_is_left(self, machine: Machine) -> None:
        assert set(files(machine)) <= {
            "/etc/keepalived/keepalived.conf.sample",
            "/etc/keepalived/keepalived.config-opts",
        }
        assert machine.code("systemctl is-active keepalived.service") != 0
        assert machine.both("systemctl is-enabled keepalived.service")[1].strip() == "disabled"
        assert machine.failed_units() == []

    def test_a_second_removal_changes_nothing(self, play: Playbook) -> None:
        run(play, state="absent").assert_unchanged()
