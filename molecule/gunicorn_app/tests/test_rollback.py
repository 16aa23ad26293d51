"""The way back: to the release before or to a named one, to a slot that was kept warm or by a start."""

from __future__ import annotations

import json
from typing import Any

import pytest
from machine import Machine, wait_for
from playbook import ROOT, Outcome, Playbook
from trial import (
    OTHER,
    Deployment,
    assert_nothing_lost,
    background,
    is_over,
    lives,
    load,
    state,
    trial,
    version,
    wait_for_one_slot,
    watch,
)

ROLLBACK = str(ROOT / "playbooks/rollback.yml")
JOURNAL = "/var/lib/notes/hooks.jsonl"
TIMER = "notes-retire.timer"
WARM = {"gunicorn_app_warm": 120}


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return trial(tmp_path_factory.mktemp("second"), "second")


def under_load(machines: list[Machine], play: Playbook, *options: str, **keywords: Any) -> Deployment:
    """As trial.deploy(), but without waiting for the end of the slot that is left."""
    before = {machine.name: state(machine) for machine in machines}
    with load(machines) as loads, watch(machines) as watched, background(machines, "hold_open.py", "hold") as held:
        outcome = play(*options, code=0, **keywords)
    return Deployment(outcome, before, loads, watched, held)


class TestKeptWarm:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, second: dict[str, Any]) -> Deployment:
        return under_load(machines, play, extra={**second, **WARM})

    def test_both_slots_run(self, machine: Machine, done: Deployment) -> None:
        units = [f"notes@{slot}.{kind}" for slot in ("blue", "green") for kind in ("service", "socket")]
        assert machine.active_slots() == units
        assert machine.succeeds(f"systemctl is-active {TIMER}")
        assert version(machine) == "second"
        assert_nothing_lost(done.load[machine.name])

    def test_the_one_before_does_not_start_at_boot(self, machine: Machine, done: Deployment) -> None:
        left = done.before[machine.name].slot
        for kind in ("service", "socket"):
            assert not machine.succeeds(f"systemctl is-enabled notes@{left}.{kind}")
            assert machine.succeeds(f"systemctl is-enabled notes@{OTHER[left]}.{kind}")

    def test_the_next_run_leaves_it_warm(self, play: Playbook, done: Deployment, second: dict[str, Any]) -> None:
        play(extra={**second, **WARM}).assert_unchanged()


class TestBackToTheWarmOne:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> Deployment:
        for machine in machines:
            machine.run(f"rm -f {JOURNAL}")
        command = ["python", "-m", "trial.hook", "undo"]
        extra = {**WARM, "gunicorn_app_hooks": {"rollback": [{"command": command}]}}
        return under_load(machines, play, extra=extra, playbook=ROLLBACK)

    def test_it_serves_without_a_start(self, machine: Machine, done: Deployment) -> None:
        assert version(machine) == "first"
        before = done.before[machine.name]
        assert machine.slot() == OTHER[before.slot]
        # In `before` the slots were the other way round: the one that is live now was not started since.
        kept = machine.run("systemctl show --property=NRestarts,ActiveEnterTimestampMonotonic notes@%s", machine.slot())
        left = machine.run("systemctl show --property=NRestarts,ActiveEnterTimestampMonotonic notes@%s", before.slot)
        assert started(kept) < started(left)

    def test_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert_nothing_lost(done.load[machine.name])
        assert set(done.load[machine.name]["spans"]) == {"first", "second"}

    def test_the_release_that_was_left_undid_its_work(self, machine: Machine, done: Deployment) -> None:
        entries = [json.loads(line) for line in machine.run(f"cat {JOURNAL}").splitlines()]
        assert [(entry["word"], entry["version"]) for entry in entries] == [("undo", "second")]
        assert entries[0]["live"] == f"/run/notes/{done.before[machine.name].slot}.sock"


def started(properties: str) -> int:
    values = dict(line.split("=", 1) for line in properties.splitlines())
    assert values["NRestarts"] == "0"
    return int(values["ActiveEnterTimestampMonotonic"])


class TestNamed:
    """By its name, and the slot that is left ends by itself after the seconds for which it is kept warm."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Outcome:
        # Names hold the time of their build: each host has its own.
        names = {machine.name: machine.run("basename $(readlink /opt/notes/slots/%s/release)", OTHER[machine.slot()])
                 for machine in machines}  # fmt: skip
        named = {key: value.strip() for key, value in names.items()}
        extra = {
            "names": named,
            "gunicorn_app_release": "{{ names[inventory_hostname] }}",
            "gunicorn_app_warm": 5,
        }
        return play(extra=extra, code=0, playbook=ROLLBACK)

    def test_it_is_live(self, machine: Machine, outcome: Outcome) -> None:
        assert version(machine) == "second"

    def test_the_one_before_ends_by_itself(self, machine: Machine, outcome: Outcome) -> None:
        left = OTHER[machine.slot()]
        wait_for("the end of the slot that was kept warm", lambda: is_over(machine, left), 20)
        assert machine.run("systemctl list-timers --all --no-legend 'notes*'").strip() == ""
        assert machine.failed_units() == []


class TestColdAgain:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> Deployment:
        wait_for_one_slot(machines)
        done = under_load(machines, play, playbook=ROLLBACK)
        wait_for_one_slot(machines)
        return done

    def test_it_is_live_in_less_than_five_seconds(self, machine: Machine, done: Deployment) -> None:
        assert version(machine) == "first"
        watched = done.watched[machine.name]
        idle = OTHER[done.before[machine.name].slot]
        begun = next(at for at, seen in watched if seen[f"{idle} socket"])
        assert [slot for _, slot in lives(watched)] == [done.before[machine.name].slot, idle]
        assert lives(watched)[-1][0] - begun < 5

    def test_nothing_was_lost(self, machine: Machine, done: Deployment) -> None:
        assert_nothing_lost(done.load[machine.name])

    def test_the_source_of_the_inventory_is_live_again(self, play: Playbook, done: Deployment) -> None:
        play().assert_unchanged()

    def test_the_history_tells_all_of_it(self, machine: Machine, done: Deployment) -> None:
        history = json.loads(machine.run("cat /opt/notes/history.json"))
        assert [entry["how"] for entry in history[-4:]] == ["deployed", "rolled back", "rolled back", "rolled back"]


class TestUnknown:
    def test_it_is_refused(self, machines: list[Machine], play: Playbook) -> None:
        before = [state(machine) for machine in machines]
        unknown = "20200101T000000Z-000000000000"
        outcome = play(extra={"gunicorn_app_release": unknown}, code=2, playbook=ROLLBACK)
        for machine in machines:
            if outcome.hosts[machine.name].failed:
                message = outcome.hosts[machine.name].message
                assert f'gunicorn_app_release: "{unknown}" is refused' in message
                assert machine.release() in message
        assert any(outcome.hosts[machine.name].failed for machine in machines)
        assert [state(machine) for machine in machines] == before
