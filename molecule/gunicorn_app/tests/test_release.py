"""A release over both hosts, one after the other: finished, stopped at the second, taken back, refused, killed.

The classes of this file are one sequence; each begins where the one before it ended.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from machine import Machine, wait_for
from playbook import ROOT, Outcome, Playbook
from trial import (
    OTHER,
    Deployment,
    State,
    assert_nothing_lost,
    deploy,
    lives,
    state,
    trial,
    wait_for_one_slot,
)

RELEASE = str(ROOT / "playbooks/release.yml")
ROLLBACK = str(ROOT / "playbooks/rollback.yml")
LEASE = "/run/asgi-deploy/notes.release"
#: What the third release needs, and only the first host has.
FILE = "/var/lib/notes/only-here"
SOMEBODY = {"id": "theirs", "by": "alice@laptop", "since": 1796000000, "until": int(time.time()) + 4 * 3600}


class Told(NamedTuple):
    """What a run did, and its report."""

    outcome: Outcome
    report: dict[str, Any]

    def column(self, name: str) -> list[Any]:
        """One value of each host, in the order of the play."""
        return [row[name] for row in self.report["hosts"]]


class Play:
    """Runs a playbook with a report."""

    def __init__(self, play: Playbook, folder: Path) -> None:
        self.play = play
        self.path = folder / "report.json"

    def __call__(self, *options: str, playbook: str = RELEASE, code: int = 0, **extra: Any) -> Told:
        return self.told(self.play(*options, extra=self.extra(**extra), code=code, playbook=playbook))

    def extra(self, **extra: Any) -> dict[str, Any]:
        self.path.unlink(missing_ok=True)
        return {"release_report": str(self.path), **extra}

    def told(self, outcome: Outcome) -> Told:
        return Told(outcome, json.loads(self.path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def run(play: Playbook, tmp_path_factory: pytest.TempPathFactory) -> Play:
    return Play(play, tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return trial(tmp_path_factory.mktemp("second"), "second")


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Its code fails where a file is missing."""
    folder = tmp_path_factory.mktemp("third")
    made = trial(folder, "third")
    main = folder / "trial/main.py"
    main.write_text(main.read_text(encoding="utf-8") + f'\nopen("{FILE}").close()\n', encoding="utf-8")
    return made


@pytest.fixture(scope="module", autouse=True)
def _as_converged(machines: list[Machine], play: Playbook) -> Iterator[None]:
    machines[0].run(f"touch {FILE}")
    yield
    for machine in machines:
        machine.run(f"rm -f {LEASE} {FILE}")
    play(code=0)
    wait_for_one_slot(machines)


def own_version(machine: Machine) -> str:
    """What the host's own application answers: a proxy may ask that of the other host."""
    asked = machine.run("curl --silent --unix-socket /opt/notes/current.sock http://localhost/version")
    return str(json.loads(asked)["version"])


def states(machines: list[Machine]) -> dict[str, State]:
    return {machine.name: state(machine) for machine in machines}


def leases(machines: list[Machine]) -> list[str]:
    """The hosts on which the lock is held."""
    return [machine.name for machine in machines if machine.succeeds(f"test -e {LEASE}")]


class TestFinished:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, run: Play, second: dict[str, Any]) -> Deployment:
        return deploy(machines, play, playbook=RELEASE, code=0, **run.extra(**second, release_serial="1,100%"))

    def test_all_hosts_serve_it_and_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert own_version(machine) == "second"
        assert_nothing_lost(done.load[machine.name])

    def test_the_second_host_came_after_the_first(self, machines: list[Machine], done: Deployment) -> None:
        switched = [lives(done.watched[machine.name]) for machine in machines]
        assert [len(changes) for changes in switched] == [2, 2]
        # The first was confirmed, and then drained, before the other one began.
        begun = next(at for at, seen in done.watched[machines[1].name] if seen[f"{OTHER[switched[1][0][1]]} socket"])
        assert begun > switched[0][1][0]

    def test_the_report_tells_of_each_host(self, machines: list[Machine], run: Play, done: Deployment) -> None:
        told = run.told(done.outcome)
        assert told.column("host") == [machine.name for machine in machines]
        assert told.column("result") == ["live", "live"]
        assert told.column("from") == [done.before[machine.name].release for machine in machines]
        assert told.column("to") == [machine.release() for machine in machines]
        assert told.column("lost") == [0, 0]
        assert min(told.column("seconds")) > 0
        assert (told.report["stopped"], told.report["not_counted"]) == (None, None)

    def test_the_table_is_printed(self, machines: list[Machine], done: Deployment) -> None:
        lines = [line.split() for line in done.outcome.output.splitlines()]
        for machine in machines:
            wanted = [machine.name, done.before[machine.name].release, machine.release()]
            assert [line[4:6] for line in lines if line[:3] == wanted] == [["live", "0"]]

    def test_the_lock_was_given_back(self, machines: list[Machine], done: Deployment) -> None:
        assert leases(machines) == []

    def test_again_changes_nothing(self, run: Play, done: Deployment, second: dict[str, Any]) -> None:
        told = run(**second)
        told.outcome.assert_unchanged()
        assert told.column("result") == ["unchanged", "unchanged"]


class TestCheckMode:
    @pytest.fixture(scope="class")
    @classmethod
    def told(cls, machines: list[Machine], run: Play, third: dict[str, Any]) -> tuple[dict[str, State], Told]:
        return states(machines), run("--check", **third)

    def test_it_says_what_would_be_done(self, told: tuple[dict[str, State], Told]) -> None:
        assert told[1].column("result") == ["would be built and go live"] * 2
        assert told[1].column("from") == [state.release for state in told[0].values()]

    def test_nothing_was_done(self, machines: list[Machine], told: tuple[dict[str, State], Told]) -> None:
        assert states(machines) == told[0]
        assert leases(machines) == []


class TestStopped:
    """At the second host: the first one stays, as nothing else is asked for."""

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, run: Play, third: dict[str, Any]) -> Deployment:
        return deploy(machines, play, playbook=RELEASE, code=2, **run.extra(**third))

    def test_each_host_serves_what_it_can(self, machines: list[Machine], done: Deployment) -> None:
        assert [own_version(machine) for machine in machines] == ["third", "second"]
        assert state(machines[1]) == done.before[machines[1].name]

    def test_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert_nothing_lost(done.load[machine.name])

    def test_the_end_tells_why(self, machines: list[Machine], run: Play, done: Deployment) -> None:
        told = run.told(done.outcome)
        assert told.column("result") == ["live", "failed"]
        assert told.column("to") == [machine.release() for machine in machines]
        assert told.report["stopped"] == "1 of 2 hosts failed"
        last = done.outcome.hosts[machines[0].name].message
        for words in ("1 of 2 hosts failed", machines[1].name, f"No such file or directory: '{FILE}'", "serves on"):
            assert words in last

    def test_the_lock_was_given_back(self, machines: list[Machine], done: Deployment) -> None:
        assert leases(machines) == []


class TestBackFromHalf:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, run: Play) -> Deployment:
        return deploy(machines, play, playbook=ROLLBACK, code=0, **run.extra())

    def test_the_first_goes_back_and_the_second_is_left_alone(
        self, machines: list[Machine], run: Play, done: Deployment
    ) -> None:
        assert run.told(done.outcome).column("result") == ["went back", "unchanged"]
        assert [own_version(machine) for machine in machines] == ["second", "second"]
        assert state(machines[1]) == done.before[machines[1].name]

    def test_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert_nothing_lost(done.load[machine.name])


class TestStoppedAndTakenBack:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, run: Play, third: dict[str, Any]) -> Deployment:
        return deploy(machines, play, playbook=RELEASE, code=2, **run.extra(**third, release_on_failure="back"))

    def test_all_serve_what_they_did(self, machines: list[Machine], run: Play, done: Deployment) -> None:
        told = run.told(done.outcome)
        assert told.column("result") == ["went back", "failed"]
        assert told.column("to") == told.column("from") == [each.release for each in done.before.values()]
        assert [own_version(machine) for machine in machines] == ["second", "second"]

    def test_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert_nothing_lost(done.load[machine.name])


class TestMigrationFails:
    """On the first host, as everywhere: nothing is switched on any."""

    @pytest.fixture(scope="class")
    @classmethod
    def told(cls, machines: list[Machine], run: Play, third: dict[str, Any]) -> tuple[dict[str, State], Told]:
        hooks = {"before": [{"command": ["python", "-m", "trial.hook", "migrate", "fail"], "once": True}]}
        return states(machines), run(code=2, **third, gunicorn_app_hooks=hooks)

    def test_nothing_was_switched(self, machines: list[Machine], told: tuple[dict[str, State], Told]) -> None:
        assert told[1].column("result") == ["failed", "untouched"]
        assert told[1].report["stopped"] == "1 of 2 hosts failed before anything was switched"
        now = states(machines)
        assert {name: (each.slot, each.release, each.workers) for name, each in now.items()} == {
            name: (each.slot, each.release, each.workers) for name, each in told[0].items()
        }
        assert leases(machines) == []


class TestHeld:
    """By somebody else, on the second host: the first one's lock was to be had, and is given back."""

    @pytest.fixture(scope="class")
    @classmethod
    def told(cls, machines: list[Machine], run: Play, third: dict[str, Any]) -> tuple[dict[str, State], Told]:
        before = states(machines)
        machines[1].write(LEASE, json.dumps(SOMEBODY))
        return before, run(code=2, **third)

    def test_who_holds_it_is_told(self, machines: list[Machine], told: tuple[dict[str, State], Told]) -> None:
        last = told[1].outcome.hosts[machines[0].name].message
        for words in (machines[1].name, "alice@laptop, since 2026-11-30T", "-e release_lock=break"):
            assert words in last
        assert told[1].column("result") == ["untouched", "failed"]

    def test_nothing_was_done(self, machines: list[Machine], told: tuple[dict[str, State], Told]) -> None:
        assert states(machines) == told[0]
        assert leases(machines) == [machines[1].name]

    def test_the_whole_stack_waits_too(
        self, machines: list[Machine], play: Playbook, told: tuple[dict[str, State], Told], third: dict[str, Any]
    ) -> None:
        outcome = play(extra=third, code=2)
        assert "alice@laptop" in outcome.hosts[machines[1].name].message
        assert states(machines)[machines[1].name] == told[0][machines[1].name]


class TestKilled:
    """On the controller, between the two hosts. What was held is taken over by whoever says so."""

    @pytest.fixture(scope="class")
    @classmethod
    def refused(
        cls, machines: list[Machine], play: Playbook, run: Play, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[dict[str, Any], Told]:
        for machine in machines:
            machine.run(f"rm -f {LEASE}")
        fourth = trial(tmp_path_factory.mktemp("fourth"), "fourth")
        before = machines[0].slot()
        process = play.begin(tmp_path_factory.mktemp("killed"), extra=fourth, apart=True, playbook=RELEASE)
        try:
            wait_for("the switch of the first host", lambda: machines[0].slot() != before, 240)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for machine in machines:
            # The module ends by itself what it has begun.
            wait_for("its end", partial(machine.succeeds, "flock --nonblock /run/asgi-deploy/notes true"), 60)
        return fourth, run(code=2, **fourth)

    def test_the_next_one_is_told_of_it(self, machines: list[Machine], refused: tuple[dict[str, Any], Told]) -> None:
        assert own_version(machines[0]) == "fourth"
        assert "Another release of notes holds its lock: " in refused[1].outcome.hosts[machines[0].name].failed[-1]
        assert leases(machines) == [machine.name for machine in machines]

    def test_it_is_completed(self, machines: list[Machine], run: Play, refused: tuple[dict[str, Any], Told]) -> None:
        told = run(**refused[0], release_lock="break")
        assert told.column("result")[0] == "unchanged"
        wait_for_one_slot(machines)
        assert [own_version(machine) for machine in machines] == ["fourth", "fourth"]
        assert leases(machines) == []
