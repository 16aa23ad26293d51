"""Hooks: in which order, where, as whom and how often they run, and what becomes of the release when one fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from machine import Machine
from playbook import ROOT, Outcome, Playbook
from trial import OTHER, State, dangling, state, trial, version

RELEASE = str(ROOT / "playbooks/release.yml")
JOURNAL = "/var/lib/notes/hooks.jsonl"


def hook(word: str, *more: str, **settings: Any) -> dict[str, Any]:
    """A hook that notes what it was run with; see apps/trial/trial/hook.py."""
    return {"command": ["python", "-m", "trial.hook", word, *more], **settings}


def noted(machine: Machine) -> list[dict[str, Any]]:
    return [json.loads(line) for line in machine.run(f"cat {JOURNAL} 2>/dev/null || true").splitlines()]


def forget(machines: list[Machine]) -> None:
    for machine in machines:
        machine.run(f"rm -f {JOURNAL}")


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return trial(tmp_path_factory.mktemp("hooked"), "hooked")


@pytest.fixture
def before(machines: list[Machine]) -> dict[str, State]:
    return {machine.name: state(machine) for machine in machines}


class Failing:
    """A hook before the switch fails: no host has the release live, on none it is in the way."""

    HOOK: dict[str, Any]
    WORDS: tuple[str, ...] = ()

    @pytest.fixture(scope="class")
    @classmethod
    def states(cls, machines: list[Machine]) -> dict[str, State]:
        return {machine.name: state(machine) for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, states: object, machines: list[Machine], play: Playbook, hooked: dict[str, Any]) -> Outcome:
        forget(machines)
        return play(extra={**hooked, "gunicorn_app_hooks": {"before": [cls.HOOK, hook("never")]}}, code=2)

    def test_the_first_host_says_why(self, machines: list[Machine], outcome: Outcome) -> None:
        message = outcome.hosts[machines[0].name].message
        assert [word for word in self.WORDS if word not in message] == [], message

    def test_none_comes_after_it(self, machines: list[Machine], outcome: Outcome) -> None:
        assert [[entry["word"] for entry in noted(machine)] for machine in machines] == [["migrate"], []]

    def test_the_release_before_serves(self, machine: Machine, outcome: Outcome, states: dict[str, State]) -> None:
        now, then = state(machine), states[machine.name]
        assert (now.slot, now.release, now.workers, now.units) == (then.slot, then.release, then.workers, then.units)
        assert (now.failed, now.timers, now.processes, dangling(machine)) == ([], [], [], [])
        assert version(machine) == "first"

    def test_nothing_is_left_where_it_ran(
        self, machines: list[Machine], outcome: Outcome, states: dict[str, State]
    ) -> None:
        assert state(machines[0]) == states[machines[0].name]


class TestFailing(Failing):
    HOOK = hook("migrate", "fail")
    WORDS = (
        "gunicorn_app_hooks.before[0] failed (exit code 7)",
        "python -m trial.hook migrate fail",
        "The hook migrate has run for nobody.",
        "column notes.title already exists",
        "serves on",
    )


class TestHanging(Failing):
    """Also the child that it waits for is ended."""

    HOOK = hook("migrate", "hang", timeout=2)
    WORDS = ("gunicorn_app_hooks.before[0] failed", "longer than 2 s", "waiting for a lock on the table notes")

    def test_all_of_it_is_ended(self, machines: list[Machine], outcome: Outcome) -> None:
        for machine in machines:
            assert machine.both("pgrep --full 'sleep 98765[4]'") == (1, "")


class TestOrder:
    @pytest.fixture(scope="class")
    @classmethod
    def slots(cls, machines: list[Machine]) -> dict[str, str]:
        return {machine.name: machine.slot() for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, slots: object, machines: list[Machine], play: Playbook, hooked: dict[str, Any]) -> Outcome:
        forget(machines)
        hooks = {
            "before": [hook("migrate"), hook("seed", once=False)],
            "after": [hook("announce", once=True), hook("fill", "fail")],
        }
        extra = {**hooked, "gunicorn_app_hooks": hooks, "gunicorn_app_env": {"TRIAL_GREETING": "to the hooks"}}
        return play(extra=extra, code=2)

    def test_each_runs_in_its_place(self, machines: list[Machine], outcome: Outcome) -> None:
        """Migrations on one host of the fleet, all others as they say, one after the other."""
        words = [[entry["word"] for entry in noted(machine)] for machine in machines]
        assert words == [["migrate", "seed", "announce", "fill"], ["seed", "fill"]]

    def test_before_and_after_the_switch(self, machine: Machine, outcome: Outcome, slots: dict[str, str]) -> None:
        then, now = slots[machine.name], OTHER[slots[machine.name]]
        live = {entry["word"]: entry["live"] for entry in noted(machine)}
        expected = {word: f"/run/notes/{then if word in ('migrate', 'seed') else now}.sock" for word in live}
        assert live == expected

    def test_with_the_code_and_the_environment_of_the_new_release(self, machine: Machine, outcome: Outcome) -> None:
        folder = f"/opt/notes/releases/{machine.release()}"
        user = int(machine.run("id --user notes"))
        for entry in noted(machine):
            found = [entry[key] for key in ("version", "folder", "prefix", "greeting", "user")]
            assert found == ["hooked", f"{folder}/app", f"{folder}/venv", "to the hooks", user]

    def test_one_that_fails_after_the_switch_fails_the_run_alone(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        assert "gunicorn_app_hooks.after" in message
        assert "column notes.title already exists" in message
        assert version(machine) == "hooked"
        assert machine.failed_units() == []

    def test_the_next_run_goes_on_from_there(self, machines: list[Machine], play: Playbook, outcome: Outcome) -> None:
        """Back to what the inventory says; no hook is run where none is named."""
        forget(machines)
        play(code=0)
        assert [(version(machine), noted(machine)) for machine in machines] == [("first", []), ("first", [])]


class TestWords:
    """Neither Ansible nor systemd replaces anything in the words of a command; a shell that was asked for does."""

    WORDS = "/var/lib/notes/words"
    LOOP = f'for t in a b; do printf "%s\\n" "${{t}}" "$1" >>{WORDS}; done'
    LITERAL = "~/$HOME/$$/${HOME}/%n/100%"
    HOOK: ClassVar = {"command": ["sh", "-c", LOOP, "sh", LITERAL]}

    def test_the_program_gets_them_as_they_were_written(
        self, machines: list[Machine], play: Playbook, hooked: dict[str, Any]
    ) -> None:
        play(extra={**hooked, "gunicorn_app_hooks": {"before": [self.HOOK]}}, code=0)
        lines = machines[0].run(f"cat {self.WORDS} && rm {self.WORDS}").splitlines()
        assert lines == ["a", self.LITERAL, "b", self.LITERAL]
        play(code=0)


class TestApplicationOfTheSecondHost:
    """What runs once runs on the first host that has the application; a release of it leaves the other host alone."""

    MARK = "/var/lib/other/migrated"
    MIGRATE: ClassVar = {"command": ["sh", "-c", f"echo once >>{MARK}"]}
    HERE = "inventory_hostname == ansible_play_hosts_all[-1]"

    def variables(self, **application: Any) -> dict[str, Any]:
        listed = f"{{{{ [{{'name': 'notes'}}] + ([other_application] if {self.HERE} else []) }}}}"
        return {
            "gunicorn_app_applications": listed,
            "other_application": {"name": "other", "workers": 1, **application},
        }

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _removed(cls, machines: list[Machine], play: Playbook) -> Iterator[None]:
        yield
        play(extra=cls().variables(state="absent"), code=0)
        machines[-1].run("rm -rf /var/lib/other")

    def marks(self, machines: list[Machine]) -> list[int]:
        return [int(machine.run(f"cat {self.MARK} 2>/dev/null | wc -l")) for machine in machines]

    def test_its_migrations_run_there(self, machines: list[Machine], play: Playbook) -> None:
        play(extra=self.variables(hooks={"before": [self.MIGRATE]}), code=0)
        assert self.marks(machines) == [0, 1]

    def test_a_release_of_it_alone(
        self, machines: list[Machine], play: Playbook, hooked: dict[str, Any], tmp_path: Path
    ) -> None:
        report, before = tmp_path / "report.json", state(machines[0])
        variables = {**hooked, **self.variables(hooks={"before": [self.MIGRATE]}), "release_report": str(report)}
        play(extra={**variables, "app": "other"}, code=0, playbook=RELEASE)
        found = json.loads(report.read_text(encoding="utf-8"))
        assert [(row["host"], row["application"], row["result"]) for row in found["hosts"]] == [
            (machines[-1].name, "other", "live")
        ]
        assert self.marks(machines) == [0, 2]
        assert state(machines[0]) == before
        assert [machine.run("ls /run/asgi-deploy/*.release 2>/dev/null; true") for machine in machines] == ["", ""]

    def test_one_that_nobody_has_is_refused(self, play: Playbook) -> None:
        outcome = play(extra={**self.variables(), "app": "others"}, code=2, playbook=RELEASE)
        assert 'app: "others" is refused; accepted: notes or other' in outcome.output
