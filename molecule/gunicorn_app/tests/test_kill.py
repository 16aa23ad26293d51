"""A deployment is killed in the midst of its work, on the host or on the controller: what was live serves, or what was
to be; the next run completes it, and nothing is left behind.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from machine import Machine, wait_for
from playbook import Playbook
from trial import OTHER, dangling, is_setting, trial, version, wait_for_one_slot

LOCK = "/run/asgi-deploy/notes"
JOURNAL = "/var/lib/notes/hooks.jsonl"
#: What a run has just done on each of the hosts when it is killed, three times; see inside/kill_release.py.
STEPS = (("building", "started", "confirmed"), ("building", "switched", "confirmed"))
#: Who answers then: the link decides.
THEN = (("first", "one", "one"), ("first", "two", "one"))
#: All that may lie in an application's folder.
ROOT = {"current", "current.sock", "history.json", "releases", "slots"}


class Row(NamedTuple):
    """What became of one run: whether it was killed, whether it failed, who answered then, and after the next run."""

    killed: bool
    failed: bool
    then: str
    healed: str
    left: list[str]


def left_behind(machine: Machine) -> list[str]:
    """What a deployment that was completed does not leave."""
    live = machine.slot()
    found = dangling(machine) + machine.failed_units()
    found += sorted(set(machine.run("ls -A /opt/notes").split()) - ROOT)
    for slot in ("blue", "green"):
        names = machine.run("ls -A /opt/notes/slots/%s", slot).split()
        found += [f"{slot}/{name}" for name in names if not is_setting(name)]
    unfinished = "cd /opt/notes/releases && for each in *; do test -e $each/release.json || echo $each; done"
    found += machine.run(unfinished).split()
    expected = [f"notes@{live}.service", f"notes@{live}.socket"]
    found += [unit for unit in machine.active_slots() if unit not in expected]
    found += machine.run("systemctl list-units --all --plain --no-legend 'notes-*'").split()
    enabled = "systemctl is-enabled notes@%s.service notes@%s.socket"
    found += [word for word in machine.both(enabled, OTHER[live], OTHER[live])[1].split() if word == "enabled"]
    return found


def settled(machine: Machine) -> str:
    """Who answers when the connections that nginx has kept to the slot before are used up, one by each request."""
    return [version(machine) for _ in range(8)][-1]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return {name: trial(tmp_path_factory.mktemp(name), name) for name in ("one", "two", "three")}


@pytest.fixture(scope="module", autouse=True)
def _as_converged(machines: list[Machine], play: Playbook) -> Iterator[None]:
    yield
    play(code=0)
    wait_for_one_slot(machines)


class TestKilledOnTheHost:
    @pytest.fixture(scope="class")
    @classmethod
    def history(
        cls, machines: list[Machine], play: Playbook, releases: dict[str, dict[str, Any]]
    ) -> dict[str, list[Row]]:
        """Of each host, a row for each step. All hosts are killed in the same run."""
        found: dict[str, list[Row]] = {machine.name: [] for machine in machines}
        for steps, name in zip(zip(*STEPS, strict=True), ("one", "two", "one"), strict=True):
            with ThreadPoolExecutor() as pool:
                killers = [
                    pool.submit(machine.python, "kill_release.py", step)
                    for machine, step in zip(machines, steps, strict=True)
                ]
                outcome = play(extra=releases[name])
                killed = [killer.result() for killer in killers]
            then = [settled(machine) for machine in machines]
            play(extra=releases[name], code=0)
            wait_for_one_slot(machines)
            for machine, kill, served in zip(machines, killed, then, strict=True):
                failed = bool(outcome.hosts[machine.name].failed)
                found[machine.name].append(Row(kill, failed, served, version(machine), left_behind(machine)))
        return found

    def test_it_was_killed(self, machine: Machine, history: dict[str, list[Row]]) -> None:
        """Or nothing of the rest says anything."""
        assert [(row.killed, row.failed) for row in history[machine.name]] == [(True, True)] * 3

    def test_the_old_or_the_new_one_serves(
        self, machines: list[Machine], machine: Machine, history: dict[str, list[Row]]
    ) -> None:
        assert tuple(row.then for row in history[machine.name]) == THEN[machines.index(machine)]

    def test_the_next_run_completes_it(self, machine: Machine, history: dict[str, list[Row]]) -> None:
        assert [row.healed for row in history[machine.name]] == ["one", "two", "one"]

    def test_nothing_is_left_behind(self, machine: Machine, history: dict[str, list[Row]]) -> None:
        assert [row.left for row in history[machine.name]] == [[], [], []]


class TestKilledBeforeTheConfirmation:
    """The next run asks through nginx what the killed one has not."""

    #: It takes so long that the kill comes before its answer.
    SLOW: ClassVar = {"gunicorn_app_smoke_path": "/slow?seconds=2"}

    def kill(self, machines: list[Machine], play: Playbook, extra: dict[str, Any]) -> None:
        with ThreadPoolExecutor() as pool:
            killers = [pool.submit(machine.python, "kill_release.py", "switched") for machine in machines]
            play(extra={**extra, **self.SLOW})
            assert [killer.result() for killer in killers] == [True] * len(machines)

    def test_one_that_is_no_good_is_left(self, machines: list[Machine], play: Playbook, tmp_path: Path) -> None:
        play(code=0)
        wait_for_one_slot(machines)
        before = [machine.release() for machine in machines]
        broken = trial(tmp_path / "broken", "broken", "smoke")
        self.kill(machines, play, broken)
        assert [settled(machine) for machine in machines] == ["broken", "broken"]
        outcome = play(extra={**broken, "gunicorn_app_smoke_path": "/smoke"}, code=2)
        wait_for_one_slot(machines)
        for machine, release in zip(machines, before, strict=True):
            message = outcome.hosts[machine.name].message
            assert "After the switch: Through nginx: GET /smoke was answered 500 by the new release" in message
            assert f"The release before it, {release}, serves on." in message
            assert (settled(machine), machine.release(), left_behind(machine)) == ("first", release, [])
        play().assert_unchanged()

    def test_a_good_one_gets_its_hooks(self, machines: list[Machine], play: Playbook, tmp_path: Path) -> None:
        good = trial(tmp_path / "good", "good")
        self.kill(machines, play, good)
        for machine in machines:
            machine.run(f"rm -f {JOURNAL}")
        words = {"announce": True, "fill": False}
        hooks = [{"command": ["python", "-m", "trial.hook", word], "once": once} for word, once in words.items()]
        extra = {**good, "gunicorn_app_smoke_path": "/smoke", "gunicorn_app_hooks": {"after": hooks}}
        checked = play("--check", extra=extra, code=0)
        assert [bool(checked.hosts[machine.name].changed) for machine in machines] == [True, True]
        play(extra=extra, code=0)
        wait_for_one_slot(machines)
        ran = [
            [json.loads(line)["word"] for line in machine.run(f"cat {JOURNAL}").splitlines()] for machine in machines
        ]
        assert ran == [["announce", "fill"], ["fill"]]
        assert [(version(machine), left_behind(machine)) for machine in machines] == [("good", []), ("good", [])]
        play(extra=extra).assert_unchanged()


def is_building(machine: Machine, before: set[str]) -> bool:
    return bool(set(machine.releases()) - before)


def is_starting(machine: Machine, slot: str) -> bool:
    return machine.run("systemctl is-active notes@%s.service || true", slot).strip() == "activating"


def is_free(machine: Machine) -> bool:
    return machine.succeeds(f"flock --nonblock {LOCK} true")


class TestKilledOnTheController:
    """The whole of ansible-playbook, as a runner of a CI system is that has lost its patience."""

    @staticmethod
    def kill(play: Playbook, folder: Path, extra: dict[str, Any], when: list[Callable[[], bool]]) -> None:
        process = play.begin(folder, extra=extra, apart=True)
        try:
            for condition in when:
                wait_for("the moment to kill it", condition, 90)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert process.returncode == -signal.SIGKILL

    def test_while_it_builds(
        self, machines: list[Machine], play: Playbook, releases: dict[str, dict[str, Any]], tmp_path: Path
    ) -> None:
        when: list[Callable[[], bool]] = [partial(is_building, each, set(each.releases())) for each in machines]
        served = [version(machine) for machine in machines]
        self.kill(play, tmp_path, releases["three"], when)
        assert [version(machine) for machine in machines] == served
        self.assert_completed(machines, play, releases["three"], "three")

    def test_while_it_starts(self, machines: list[Machine], play: Playbook, tmp_path: Path) -> None:
        # Long enough that both hosts are seen in it.
        slow = trial(tmp_path / "slow", "slow", "slow:6")
        when: list[Callable[[], bool]] = [partial(is_starting, each, OTHER[each.slot()]) for each in machines]
        (tmp_path / "play").mkdir()
        self.kill(play, tmp_path / "play", slow, when)
        assert {version(machine) for machine in machines} <= {"three", "slow"}
        self.assert_completed(machines, play, slow, "slow")

    @staticmethod
    def assert_completed(machines: list[Machine], play: Playbook, extra: dict[str, Any], name: str) -> None:
        # What the module has begun it ends by itself, unless it misses its standard output.
        for machine in machines:
            wait_for("the end of what was begun", partial(is_free, machine), 90)
        play(extra=extra, code=0)
        wait_for_one_slot(machines)
        assert [(version(machine), left_behind(machine)) for machine in machines] == [(name, []), (name, [])]
