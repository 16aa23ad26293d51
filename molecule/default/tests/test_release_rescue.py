"""A release that cannot be built, started or proven: never live, nothing left, its own words shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from machine import Machine
from playbook import Outcome, Playbook, environment
from sources import example

LOCK = "/run/asgi-deploy/notes"


@dataclass
class State:
    slot: str
    workers: set[str]
    release: str
    releases: list[str]
    units: list[str]
    failed: list[str]


def state(machine: Machine) -> State:
    return State(
        slot=machine.slot(),
        workers=machine.workers(),
        release=machine.release(),
        releases=machine.releases(),
        units=machine.active_slots(),
        failed=machine.failed_units(),
    )


@pytest.fixture(scope="class")
def before(machines: list[Machine]) -> dict[str, State]:
    return {machine.name: state(machine) for machine in machines}


class Rescue:
    """Run the playbook with EXTRA: it fails with WORDS, and everything is as before."""

    EXTRA: ClassVar[dict[str, Any]] = {}
    WORDS: tuple[str, ...] = ()
    #: It was built, and is gone again.
    CHANGED: ClassVar[list[str]] = ["Prepare the release"]

    @pytest.fixture(scope="class")
    @classmethod
    def extra(cls) -> dict[str, Any]:
        return cls.EXTRA

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook, extra: dict[str, Any]) -> Outcome:
        return play(extra=extra, code=2)

    def test_the_run_fails_with_the_last_words(self, machine: Machine, outcome: Outcome) -> None:
        tasks = outcome.hosts[machine.name]
        assert [word for word in self.WORDS if word not in tasks.message] == [], tasks.message
        assert tasks.changed == self.CHANGED

    def test_the_release_before_serves_on(self, machine: Machine, outcome: Outcome, before: dict[str, State]) -> None:
        assert state(machine) == before[machine.name]
        assert machine.ask("/version").status == 200


class TestBrokenImport(Rescue):
    WORDS = ("ModuleNotFoundError: No module named 'module_that_is_not_there'", "serves on.")

    @pytest.fixture(scope="class")
    @classmethod
    def extra(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
        edits = {"notes/main.py": ("import asyncio\n", "import asyncio\nimport module_that_is_not_there\n")}
        return {"gunicorn_app_source": example(tmp_path_factory.mktemp("source"), edits)}


class TestFailingLifespan(Rescue):
    EXTRA = environment(NOTES_DATABASE="/var/lib/not-there/notes.sqlite3")
    WORDS = ("/var/lib/not-there/notes.sqlite3", "Application startup failed", "serves on.")


class TestUnhealthy(Rescue):
    EXTRA: ClassVar[dict[str, Any]] = {
        "gunicorn_app_health_path": "/health/not-there",
        "gunicorn_app_health_timeout": 8,
    }
    WORDS = ("GET /health/not-there answered 404 instead of 200", "/health/not-there", "serves on.")


class TestWrongHash(Rescue):
    WORDS = ("THESE PACKAGES DO NOT MATCH THE HASHES", "click")
    CHANGED: ClassVar[list[str]] = []

    @pytest.fixture(scope="class")
    @classmethod
    def extra(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
        return source(tmp_path_factory, f"click==8.1.7 --hash=sha256:{'0' * 64}\n")


class TestWithoutGunicorn(Rescue):
    WORDS = ("gunicorn",)
    CHANGED: ClassVar[list[str]] = []

    @pytest.fixture(scope="class")
    @classmethod
    def extra(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
        return source(tmp_path_factory, "# nothing\n")


def source(tmp_path_factory: pytest.TempPathFactory, requirements: str) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("source")
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
    return {"gunicorn_app_source": {"type": "directory", "path": str(folder)}}


class TestSecondDeployment:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, machines: list[Machine], play: Playbook) -> Outcome:
        hold = f"exec 9>>{LOCK}; flock 9; echo $$ >{LOCK}; exec sleep 300"
        for machine in machines:
            machine.run("setsid sh -c %s >/dev/null 2>&1 </dev/null & sleep 0.1", hold)
        try:
            return play(code=2)
        finally:
            for machine in machines:
                machine.run(f"kill $(cat {LOCK})")

    def test_the_second_is_told_who_holds_the_lock(
        self, machine: Machine, outcome: Outcome, before: dict[str, State]
    ) -> None:
        holder = machine.run(f"cat {LOCK}").strip()
        assert holder.isdigit()
        expected = f"Another deployment of notes is running on this host: process {holder}"
        assert outcome.hosts[machine.name].message == expected
        assert state(machine) == before[machine.name]


def test_the_application_cannot_hold_the_lock(machine: Machine) -> None:
    assert machine.succeeds(f"flock --nonblock {LOCK} true")
    assert not machine.succeeds("setpriv --reuid=notes --regid=notes --clear-groups flock --nonblock %s true", LOCK)


class TestAfterwards:
    """Also after what test_proxy_rescue.py did just before."""

    def test_the_next_good_run_changes_nothing(self, play: Playbook) -> None:
        play().assert_unchanged()
