"""Under constant load, GET and POST, kept and new connections, WebSockets and answers that take seconds: good releases,
broken ones, a way back, other settings, processes that are killed. What fails is what a killed process had in hand.

The tests of this file are one sequence; each class begins where the one before it ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
from machine import Machine, wait_for
from playbook import Playbook
from trial import (
    OTHER,
    Deployment,
    assert_nothing_lost,
    dangling,
    deploy,
    gone,
    lives,
    load,
    state,
    trial,
    version,
)

#: Of the inventory: seconds that WebSockets may stay open while their worker drains.
DRAIN = 3


@pytest.fixture(scope="module", autouse=True)
def _as_converged(machines: list[Machine], play: Playbook) -> Iterator[None]:
    yield
    play(code=0)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return trial(tmp_path_factory.mktemp("second"), "second")


def assert_held(machine: Machine, done: Deployment) -> None:
    """Answers that take seconds were complete, and WebSockets came to a clean end at most."""
    held = done.held[machine.name]
    assert [answer for answer in held["answers"] if answer["error"]] == []
    assert [socket for socket in held["sockets"] if socket["error"] or socket["code"] not in (None, 1012)] == []


def assert_switched(machine: Machine, done: Deployment) -> None:
    """It is live in the other slot, alone; the slot before served until then, and drained."""
    before = done.before[machine.name]
    live = machine.slot()
    assert live == OTHER[before.slot]
    assert machine.active_slots() == [f"notes@{live}.service", f"notes@{live}.socket"]
    assert machine.failed_units() == []
    assert dangling(machine) == []
    watched = done.watched[machine.name]
    assert [slot for _, slot in lives(watched)] == [before.slot, live]
    flip = lives(watched)[-1][0]
    assert gone(watched, f"{before.slot} socket", after=0) > flip
    closed = [socket["closed"] for socket in done.held[machine.name]["sockets"] if socket["code"] == 1012]
    assert [DRAIN - 1 < at - flip < DRAIN + 5 for at in closed] == [True], (closed, flip)


class TestGoodRelease:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, second: dict[str, Any]) -> Deployment:
        return deploy(machines, play, code=0, **second)

    def test_it_is_live(self, machine: Machine, done: Deployment) -> None:
        assert_switched(machine, done)
        assert version(machine) == "second"
        assert machine.release() != done.before[machine.name].release
        assert len(machine.releases()) <= 3

    def test_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert_nothing_lost(done.load[machine.name])
        assert_held(machine, done)

    def test_nobody_met_it_before_the_switch(self, machine: Machine, done: Deployment) -> None:
        """Nor the old one when it has ended: connections that nginx has kept move as they answer."""
        flip = lives(done.watched[machine.name])[-1][0]
        spans = done.load[machine.name]["spans"]
        assert set(spans) == {"first", "second"}
        assert spans["second"][0] > flip
        assert spans["first"][1] < flip + DRAIN

    def test_an_answer_that_took_seconds_came_from_the_old_one(self, machine: Machine, done: Deployment) -> None:
        flip = lives(done.watched[machine.name])[-1][0]
        across = [
            told["release"] for told in done.held[machine.name]["answers"] if told["began"] < flip < told["ended"]
        ]
        assert across == ["first"]

    def test_again_it_changes_nothing(self, play: Playbook, done: Deployment, second: dict[str, Any]) -> None:
        play(extra=second).assert_unchanged()


class Broken:
    """Releases of which no user hears, another one on each host: what is wrong with it, and words of the message."""

    KINDS: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]]

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
        folders = {}
        for machine, (behaviour, _) in zip(machines, cls.KINDS, strict=True):
            name = behaviour.partition(":")[0]
            folders[machine.name] = tmp_path_factory.mktemp(name)
            trial(folders[machine.name], name, behaviour)
        source = {"type": "directory", "path": "{{ folders[inventory_hostname] }}"}
        # Long enough for a busy machine; no healthy answer is waited for any longer.
        extra: dict[str, Any] = {
            "folders": {name: str(folder) for name, folder in folders.items()},
            "gunicorn_app_health_timeout": 8,
        }
        return deploy(machines, play, code=2, gunicorn_app_source=source, **extra)

    def test_the_run_fails_with_its_own_last_words(
        self, machines: list[Machine], machine: Machine, done: Deployment
    ) -> None:
        message = done.outcome.hosts[machine.name].message
        words = (*self.KINDS[machines.index(machine)][1], "serves on")
        assert [word for word in words if word not in message] == [], message

    def test_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert_nothing_lost(done.load[machine.name])
        assert_held(machine, done)

    def test_the_release_before_serves_and_nothing_is_left(self, machine: Machine, done: Deployment) -> None:
        assert state(machine) == done.before[machine.name]
        assert dangling(machine) == []

    def test_it_was_never_live(self, machine: Machine, done: Deployment) -> None:
        assert [slot for _, slot in lives(done.watched[machine.name])] == [done.before[machine.name].slot]
        assert list(done.load[machine.name]["spans"]) == ["second"]


class TestThatDoNotStart(Broken):
    KINDS = (
        ("import", ("No module named 'module_that_is_not_there'",)),
        ("lifespan", ("no database",)),
    )


class TestThatAreNotHealthy(Broken):
    KINDS = (
        ("unhealthy", ("GET /health answered 500", "the queue is full")),
        ("liar:1", ("GET /health answered 500", "The queue is full after 1 answers.")),
    )


class TestThatAreHealthyForAMoment(Broken):
    """Three answers prove a release. The fourth is asked for through the flipped link, the fifth through nginx."""

    KINDS = (
        ("liar:3", ("After the switch: GET /health answered 500", "The queue is full after 3 answers.")),
        ("liar:4", ("Through nginx: GET /health was answered 500", "The queue is full after 4 answers.")),
    )

    def test_it_was_never_live(self, machine: Machine, done: Deployment) -> None:
        """But for less than five seconds, in which the slot before was there to go back to."""
        before = done.before[machine.name].slot
        turns = lives(done.watched[machine.name])
        slots = [slot for _, slot in turns]
        # The first host's takes one answer, and may fall between two looks at the link.
        assert slots == [before, OTHER[before], before] or (
            slots == [before] and "After the switch: GET" in done.outcome.hosts[machine.name].message
        )
        assert turns[-1][0] - turns[min(1, len(turns) - 1)][0] < 5
        assert [seen for _, seen in done.watched[machine.name] if seen[f"{before} socket"] is None] == []


class TestOtherSettings:
    """Another environment and another number of workers: the same release, through the same door."""

    EXTRA: ClassVar[dict[str, Any]] = {"gunicorn_app_env": {"TRIAL_GREETING": "hello"}, "gunicorn_app_workers": 3}

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, second: dict[str, Any]) -> Deployment:
        return deploy(machines, play, code=0, **second, **cls.EXTRA)

    def test_they_are_live_without_a_build(self, machine: Machine, done: Deployment) -> None:
        assert_switched(machine, done)
        assert machine.release() == done.before[machine.name].release
        assert machine.ask("/version").json()["greeting"] == "hello"
        assert len(machine.workers()) == 3

    def test_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert_nothing_lost(done.load[machine.name])
        assert_held(machine, done)


def has_workers(machine: Machine, number: int) -> bool:
    """Also false while there is no master."""
    # In brackets, or the shell that runs it would be found as well.
    command = f"pgrep --count --full '/slots/{machine.slot()}/[g]unicorn.conf.py' || true"
    return int(machine.run(command)) == number + 1


class TestKilled:
    """SIGKILL under load, the worst that memory that has run out does to a process."""

    @pytest.fixture(scope="class", params=["worker", "master"])
    @classmethod
    def killed(cls, request: pytest.FixtureRequest, machines: list[Machine]) -> dict[str, Any]:
        """Of each host what the load tells, and when it was killed."""
        times = {}
        with load(machines) as reports:
            time.sleep(1)
            for machine in machines:
                victim = min(machine.workers(), key=int)
                if request.param == "master":
                    victim = machine.run("systemctl show --property=MainPID --value %s", machine.unit()).strip()
                times[machine.name] = int(machine.run(f"kill -9 {victim} && date +%s"))
            for machine in machines:
                wait_for("three workers again", partial(has_workers, machine, 3))
            time.sleep(2)
        return {name: {**report, "killed": times[name]} for name, report in reports.items()}

    def test_only_what_it_had_in_hand_is_lost(self, machine: Machine, killed: dict[str, Any]) -> None:
        """At most the one request of each of the four clients, and at that moment."""
        report = killed[machine.name]
        assert len(report["failures"]) <= 4, report["failures"]
        around = [time.strftime("%H:%M:%S", time.gmtime(report["killed"] + second)) for second in (-1, 0, 1)]
        assert [line for line in report["failures"] if line[:8] not in around or " 502 " not in line] == []
        assert min(report["counts"].values()) > 20

    def test_it_serves_as_before(self, machine: Machine, killed: dict[str, Any]) -> None:
        assert version(machine) == "second"
        assert machine.failed_units() == []


class TestBackToTheFirst:
    """What the inventory says is on the host still: it is live without a build."""

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> Deployment:
        return deploy(machines, play, code=0)

    def test_it_is_live(self, machine: Machine, done: Deployment) -> None:
        assert_switched(machine, done)
        assert version(machine) == "first"
        assert set(machine.releases()) == {line.split("/")[4] for line in done.before[machine.name].files
                                           if "/opt/notes/releases/" in line}  # fmt: skip

    def test_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert_nothing_lost(done.load[machine.name])
        assert_held(machine, done)
