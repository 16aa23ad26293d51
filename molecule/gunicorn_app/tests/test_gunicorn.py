"""What the settings make of the processes that run: workers, limits, times, logs; and Uvicorn alone.

The tests of this file are one sequence: a site that TestSettings has put there stays for the class after it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from machine import Machine, wait_for
from playbook import Outcome, Playbook
from trial import assert_nothing_lost, load, version, wait_for_one_slot

SETTINGS: dict[str, Any] = {
    "gunicorn_app_workers": 2,
    "gunicorn_app_loop": "asyncio",
    "gunicorn_app_http": "h11",
    "gunicorn_app_preload": True,
    "gunicorn_app_max_requests": 60,
    "gunicorn_app_max_requests_jitter": 20,
    "gunicorn_app_limit_request_line": 1000,
    "gunicorn_app_limit_request_fields": 40,
    "gunicorn_app_limit_request_field_size": 600,
    "gunicorn_app_timeout": 6,
    "gunicorn_app_drain": 3,
    "gunicorn_app_stop_timeout": 20,
    "gunicorn_app_keepalive": 70,
    "gunicorn_app_settings": {"pythonpath": "/srv/more,/srv/other"},
    "gunicorn_app_log_format": "json",
    "gunicorn_app_log_level": "warning",
    "gunicorn_app_access_log": True,
    "gunicorn_app_memory_max": "700m",
    "gunicorn_app_cpu_quota": 1.5,
    "gunicorn_app_tasks_max": 200,
    "gunicorn_app_open_files": 4096,
}
#: nginx gives up before the application's worker does.
SITE = {
    "name": "notes",
    "domains": ["notes.example.com"],
    "app": "notes",
    "tls": {"source": "self_signed"},
    "timeouts": {"read": "4s"},
}


@pytest.fixture(scope="module", autouse=True)
def _as_converged(machines: list[Machine], play: Playbook) -> Iterator[None]:
    yield
    play(code=0)
    wait_for_one_slot(machines)


def journal(machine: Machine, mark: str) -> list[dict[str, Any]]:
    """The lines of the live slot's log with the mark, each the object that it is."""
    text = machine.run(
        "journalctl --output=cat --no-pager --unit=%s | grep --fixed-strings -- %s", machine.unit(), mark
    )
    return [json.loads(line) for line in text.splitlines()]


class TestSettings:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Outcome:
        outcome = play(extra={**SETTINGS, "nginx_proxy_sites": [SITE]}, code=0)
        wait_for_one_slot(machines)
        return outcome

    @pytest.fixture
    def process(self, machine: Machine, outcome: Outcome) -> dict[str, Any]:
        found: dict[str, Any] = machine.ask("/process").json()
        return found

    def test_workers(self, machine: Machine, process: dict[str, Any]) -> None:
        assert len(machine.workers()) == 2
        assert str(process["pid"]) in machine.workers()

    def test_loop_and_folder(self, machine: Machine, process: dict[str, Any]) -> None:
        assert process["loop"].startswith("asyncio.")
        assert process["cwd"] == f"/opt/notes/releases/{machine.release()}/app"

    def test_the_applications_of_all_workers_were_loaded_before_the_fork(self, process: dict[str, Any]) -> None:
        assert process["imported_by"] == process["parent"]

    def test_a_setting_of_gunicorn_that_this_role_does_not_know(self, process: dict[str, Any]) -> None:
        assert {"/srv/more", "/srv/other"} <= set(process["path"])

    def test_limits_of_systemd(self, machine: Machine, process: dict[str, Any]) -> None:
        assert process["open_files"] == 4096
        names = "MemoryMax,CPUQuotaPerSecUSec,TasksMax"
        shown = machine.run("systemctl show --property=%s %s", names, machine.unit()).split()
        assert set(shown) == {f"MemoryMax={700 * 2**20}", "CPUQuotaPerSecUSec=1.500000s", "TasksMax=200"} or set(
            shown
        ) == {f"MemoryMax={700 * 2**20}", "CPUQuotaPerSecUSec=1.5s", "TasksMax=200"}

    LIMITS: ClassVar[dict[str, tuple[str, list[str], int]]] = {
        "a target that just fits": ("/version?" + "x" * 900, [], 200),
        "a target that is too long": ("/version?" + "x" * 1000, [], 414),
        "a field that just fits": ("/version", ["--header", "X-Long: " + "x" * 590], 200),
        "a field that is too large": ("/version", ["--header", "X-Long: " + "x" * 600], 431),
        "too many fields": ("/version", [word for i in range(40) for word in ("--header", f"X-Field-{i}: x")], 431),
    }

    @pytest.mark.parametrize("case", LIMITS)
    def test_limits_of_a_request(self, machine: Machine, outcome: Outcome, case: str) -> None:
        path, options, status = self.LIMITS[case]
        assert machine.ask(path, *options).status == status

    def test_a_message_has_the_id_of_its_request(self, machine: Machine, outcome: Outcome) -> None:
        mark = f"mark-{time.time_ns()}"
        answer = machine.ask(f"/log?text={mark}")
        wait_for("the message", lambda: machine.succeeds("journalctl --unit=%s | grep -q %s", machine.unit(), mark))
        written = [line for line in journal(machine, mark) if line["logger"] == "trial.pages"]
        found = [(line["level"], line["message"], line["request_id"]) for line in written]
        assert found == [("warning", mark, answer.header("x-request-id"))]

    def test_a_request_has_a_line(self, machine: Machine, outcome: Outcome) -> None:
        mark = f"mark-{time.time_ns()}"
        machine.ask(f"/version?{mark}")
        wait_for("the line", lambda: machine.succeeds("journalctl --unit=%s | grep -q %s", machine.unit(), mark))
        (line,) = journal(machine, mark)
        assert (line["logger"], line["method"], line["status"]) == ("uvicorn.access", "GET", 200)

    def test_all_lines_are_objects_and_none_is_below_the_level(self, machine: Machine, outcome: Outcome) -> None:
        for line in journal(machine, '"logger"'):
            assert line["level"] in ("warning", "error", "critical") or line["logger"] == "uvicorn.access", line

    def test_workers_are_replaced_without_a_loss(self, machines: list[Machine], outcome: Outcome) -> None:
        """After 60 to 80 requests each: some ten are replaced in six seconds."""
        before = {machine.name: machine.workers() for machine in machines}
        with load(machines, "0.01") as reports:
            time.sleep(6)
        for machine in machines:
            assert_nothing_lost(reports[machine.name], least=100)
            assert not before[machine.name] & machine.workers()

    def test_a_worker_that_is_blocked_is_replaced(self, machine: Machine, outcome: Outcome) -> None:
        """nginx has given up on it before."""
        before = machine.workers()
        answer = machine.ask("/block?seconds=60")
        assert answer.status == 504
        wait_for("another worker", lambda: len(machine.workers()) == 2 and machine.workers() != before, 20)
        assert version(machine) == "first"


class TestUvicornAlone:
    # With the site as it is: a reload of nginx ends connections that its clients have kept.
    EXTRA: ClassVar[dict[str, Any]] = {
        "gunicorn_app_server": "uvicorn",
        "gunicorn_app_workers": 1,
        "nginx_proxy_sites": [SITE],
    }

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> tuple[Outcome, dict[str, Any]]:
        with load(machines) as reports:
            outcome = play(extra=cls.EXTRA, code=0)
            wait_for_one_slot(machines)
        return outcome, reports

    def test_it_is_one_process_under_systemd(self, machine: Machine, done: object) -> None:
        found = machine.ask("/process").json()
        main = machine.run("systemctl show --property=MainPID --value %s", machine.unit()).strip()
        assert (str(found["pid"]), found["parent"]) == (main, 1)
        assert "uvicorn_server.py" in machine.run("tr '\\0' ' ' </proc/%s/cmdline", main)

    def test_nothing_was_lost(self, machine: Machine, done: tuple[Outcome, dict[str, Any]]) -> None:
        """Neither by the switch to it nor while the slot before drained."""
        assert_nothing_lost(done[1][machine.name])

    def test_it_is_replaced_without_a_loss(self, machines: list[Machine], play: Playbook, done: object) -> None:
        extra = {**self.EXTRA, "gunicorn_app_env": {"TRIAL_GREETING": "another"}}
        with load(machines) as reports:
            play(extra=extra, code=0)
            wait_for_one_slot(machines)
        for machine in machines:
            assert_nothing_lost(reports[machine.name])
            assert machine.ask("/version").json()["greeting"] == "another"
