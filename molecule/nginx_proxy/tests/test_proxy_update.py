"""asgi.deploy.proxy_update: nginx's configuration on one proxy after the other, and on all of them or on none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from machine import Machine, wait_for
from playbook import Outcome, Playbook
from proxy_sites import only

SITE = "https://smallest.example.test/"
TASK, BACK = "Put the configuration live", "Go back to the generation before"
LOCK = "/run/asgi-deploy/proxies.run"
#: Two sites are enough for each run here.
BASE = only("smallest", "unencrypted")

Update = partial[Outcome]
State = tuple[str, dict[str, str]]


def changed(**keys: Any) -> dict[str, Any]:
    """The two sites, the first with other keys."""
    first, *others = BASE["nginx_proxy_sites"]
    return {"nginx_proxy_sites": [{**first, **keys}, *others]}


def live(machine: Machine) -> str:
    """The folder of the generation that is live; nginx serves it, too."""
    name = machine.run("basename $(readlink /etc/nginx/deploy/current)").strip()
    assert name.endswith(machine.ask("http://127.0.0.1:8099/generation").body.strip())
    assert machine.ask(SITE).status == 200
    return name


def state(machine: Machine) -> State:
    """What must be as before: the live generation, and its very files and those around nginx."""
    name = live(machine)
    folders = (f"/etc/nginx/deploy/generations/{name}", "/etc/nginx/nginx.conf", "/etc/systemd", "/usr/local")
    return name, machine.files(*folders)


def hold_lock(machine: Machine) -> None:
    """As a run from elsewhere has it."""
    taken = {"by": "ann@elsewhere, process 7", "place": "", "pid": 7, "token": "x", "since": time.time()}
    machine.write(LOCK, json.dumps(taken))


def summary(outcome: Outcome) -> str:
    """What the last task says, however it was wrapped."""
    return " ".join(outcome.output.partition("TASK [Say what became of each proxy]")[2].split())


def assert_unlocked(machines: list[Machine]) -> None:
    for machine in machines:
        assert not machine.succeeds(f"test -e {LOCK}")


@pytest.fixture(scope="module")
def update(play: Playbook) -> Iterator[Update]:
    """Run the playbook. At the end the hosts are as converge left them."""
    run = partial(play, playbook="asgi.deploy.proxy_update")
    yield run
    run(code=0)


@pytest.fixture(scope="module", autouse=True)
def first(machines: list[Machine], update: Update) -> tuple[list[str], Outcome]:
    """The generations before, and a good update of all."""
    before = [live(machine) for machine in machines]
    return before, update(extra=BASE, code=0)


class TestGood:
    def test_it_is_live_on_all_proxies(self, machines: list[Machine], first: tuple[list[str], Outcome]) -> None:
        before, outcome = first
        after = [live(machine) for machine in machines]
        for machine, old, new in zip(machines, before, after, strict=True):
            assert old != new
            assert outcome.hosts[machine.name].changed == [TASK]
            assert f"{machine.name}: {old} -> {new}: updated" in summary(outcome)
        assert_unlocked(machines)

    def test_one_after_the_other(self, first: tuple[list[str], Outcome]) -> None:
        _before, outcome = first
        assert outcome.output.count("PLAY [One proxy after the other puts it live]") == 2

    def test_again_changes_nothing(self, machines: list[Machine], update: Update) -> None:
        before = [state(machine) for machine in machines]
        outcome = update(extra=BASE)
        outcome.assert_unchanged()
        assert [state(machine) for machine in machines] == before
        for machine, (name, _files) in zip(machines, before, strict=True):
            assert f"{machine.name}: {name} -> {name}: unchanged" in summary(outcome)
        assert_unlocked(machines)

    def test_check_mode_says_what_would_be(self, machines: list[Machine], update: Update) -> None:
        before = [state(machine) for machine in machines]
        outcome = update("--check", "--diff", extra=changed(body_size="77m"), code=0)
        # Once for each proxy, and not once more for the trial.
        assert outcome.output.count("+    client_max_body_size 77m;") == len(machines)
        assert [state(machine) for machine in machines] == before
        for machine in machines:
            assert outcome.hosts[machine.name].changed == [TASK]
        assert summary(outcome).count(": would be updated") == len(machines)
        assert_unlocked(machines)


class TestFailsOnTheSecondOnly:
    """`nginx -t` does not try the ports, so both proxies pass the trial."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def outcome(cls, machines: list[Machine], update: Update) -> Outcome:
        second = machines[1]
        second.run(
            "setsid python3 -m http.server --bind 127.0.0.1 8098 >/dev/null 2>&1 </dev/null & echo $! >/run/holder"
        )
        wait_for("the port is held", partial(second.succeeds, "ss -Hltn | grep -q 127.0.0.1:8098"))
        cls.before = [state(machine) for machine in machines]
        try:
            return update(extra={**BASE, "nginx_proxy_status_port": 8098}, code=2)
        finally:
            second.run("kill $(cat /run/holder)")

    before: list[State]

    def test_all_are_as_before(self, machines: list[Machine]) -> None:
        assert [state(machine) for machine in machines] == self.before
        assert_unlocked(machines)

    def test_it_says_why(self, machines: list[Machine], outcome: Outcome) -> None:
        said = summary(outcome)
        assert f"{machines[1].name}: nginx was reloaded, but the new generation does not answer" in said
        assert "127.0.0.1:8098 failed (98: Address already in use)" in said
        assert "All proxies serve what they served before." in said
        assert f"{machines[0].name}: {self.before[0][0]} -> {self.before[0][0]}: gone back" in said

    def test_the_first_was_updated_and_is_back(self, machines: list[Machine], outcome: Outcome) -> None:
        assert outcome.hosts[machines[0].name].changed == [TASK, BACK]
        assert "gone back from" in machines[0].run("asgi-deploy-nginx-rollback --list")


def test_what_one_refuses_before_any_change_is_on_none(machines: list[Machine], update: Update) -> None:
    """The first one its configuration, the second one the run itself, for another is on its way."""
    broken = "/etc/nginx/conf.d/broken.conf"
    machines[0].write(broken, "no_such_directive on;\n")
    hold_lock(machines[1])
    before = [state(machine) for machine in machines]
    try:
        outcome = update(extra={**BASE, "nginx_proxy_includes": ["/etc/nginx/conf.d/*.conf"]}, code=2)
        assert machines[1].run(f"cat {LOCK}")
    finally:
        machines[0].run("rm %s", broken)
        machines[1].run(f"rm -f {LOCK}")
    assert f'unknown directive "no_such_directive" in {broken}:1' in outcome.hosts[machines[0].name].failed[0]
    message = outcome.hosts[machines[1].name].failed[0]
    assert message.startswith("Another asgi.deploy.proxy_update is running, started by ann@elsewhere, process 7 at ")
    assert "\n" not in message
    assert [outcome.hosts[machine.name].changed for machine in machines] == [[], []]
    assert [state(machine) for machine in machines] == before
    assert_unlocked(machines)


def test_a_proxy_that_goes_away_in_the_midst(machines: list[Machine], update: Update, tmp_path: Path) -> None:
    """It is reached for the trial, and not any more once the first has been updated."""
    before = [state(machine) for machine in machines]
    gone = f"hostvars['{machines[0].name}'].__proxy_updated is defined"
    inventory = {
        machines[1].name: {
            "ansible_connection": f"{{{{ 'ssh' if {gone} else 'community.docker.docker' }}}}",
            "ansible_host": f"{{{{ '127.0.0.1' if {gone} else inventory_hostname }}}}",
            # Nobody listens there.
            "ansible_port": 1,
        }
    }
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"hosts": inventory}}), encoding="utf-8")
    hold_lock(machines[0])
    extra = {**changed(body_size="79m"), "take_over": "true"}
    outcome = update(f"--inventory={tmp_path / 'inventory.json'}", extra=extra, code=2)
    said = summary(outcome)
    assert "Connection refused" in said
    assert f"Look at {machines[1].name}: what nginx serves there is not known." in said
    assert outcome.hosts[machines[0].name].changed == [TASK, BACK]
    assert [state(machine) for machine in machines] == before
    # On the other one the lock could not be given back. The next run, at this module's end, finds its holder dead.
    assert_unlocked(machines[:1])
    assert machines[1].succeeds(f"test -e {LOCK}")
