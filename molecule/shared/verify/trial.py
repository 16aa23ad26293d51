"""The application of the scenario gunicorn_app: its releases, the load on it, and what a run leaves on a host."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from machine import Machine, wait_for
from playbook import ROOT, Outcome, Playbook

TRIAL = ROOT / "molecule/gunicorn_app/apps/trial"
OTHER = {"blue": "green", "green": "blue"}
#: Of each of the four clients; two hosts and their load share the machine with the build.
PAUSE = "0.03"


def trial(folder: Path, name: str, behaviour: str = "fine", requirements: str | None = None) -> dict[str, Any]:
    """Make a release of the application in `folder`, and return the variables for it."""
    shutil.copytree(TRIAL, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    init = folder / "trial/__init__.py"
    text = init.read_text(encoding="utf-8")
    for old, new in (('NAME = "first"', f'NAME = "{name}"'), ('BEHAVIOUR = "fine"', f'BEHAVIOUR = "{behaviour}"')):
        assert text.count(old) == 1, f"{init} no longer holds {old!r} once"
        text = text.replace(old, new)
    init.write_text(text, encoding="utf-8")
    if requirements is not None:
        (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
    return {"gunicorn_app_source": {"type": "directory", "path": str(folder)}}


def version(machine: Machine) -> str:
    """The version that answers through nginx."""
    answer = machine.ask("/version")
    assert answer.status == 200, answer
    return str(answer.json()["version"])


@dataclass
class State:
    """What must be as before after a deployment that failed."""

    slot: str
    release: str
    workers: set[str]
    units: list[str]
    failed: list[str]
    timers: list[str]
    #: All below /opt/notes but the insides of releases, and what nginx serves: kind and path, of links their target.
    files: set[str]
    processes: list[str]


_FILES = (
    "find /opt/notes /var/www/notes /run/notes \\( -path '/opt/notes/releases/*/*' -o -path '/opt/notes/source/*' \\)"
    " -prune -o \\( -type l -printf '%y %p %l\\n' -o -printf '%y %p\\n' \\) 2>/dev/null | sort"
)
#: Of the application's user: command lines of all processes that are no workers of a slot.
_PROCESSES = "ps -u notes -o args= | grep -v '/opt/notes/slots/' | sort"


def state(machine: Machine) -> State:
    return State(
        slot=machine.slot(),
        release=machine.release(),
        workers=machine.workers(),
        units=machine.active_slots(),
        failed=machine.failed_units(),
        timers=machine.run("systemctl list-units --all --plain --no-legend --type=timer 'notes*'").split(),
        files=settled_files(machine),
        processes=machine.run(f"{_PROCESSES} || true").splitlines(),
    )


def settled_files(machine: Machine) -> set[str]:
    """The files, but for what the idle slot may hold at any time: the settings of what ran or was tried in it."""
    idle = f"/opt/notes/slots/{OTHER[machine.slot()]}"
    found = []
    for line in machine.run(f"{_FILES}; true").splitlines():
        path = line.split()[1]
        if path != idle and not (path.startswith(f"{idle}/") and is_setting(path.rpartition("/")[2])):
            found.append(line)
    return set(found)


def is_setting(name: str) -> bool:
    """Whether a slot may hold this file also when it is idle."""
    return name.endswith(".py") or name in ("environment", "probe", "release")


def dangling(machine: Machine) -> list[str]:
    """Links of the application to what is not there."""
    return machine.run("find /opt/notes /etc/systemd/system -not -path '*/releases/*/*' -xtype l").split()


@contextmanager
def load(machines: list[Machine], pause: str = PAUSE) -> Iterator[dict[str, Any]]:
    """Requests to each host for as long as the block runs; the reports are there after it. See inside/load.py."""
    with background(machines, "load.py", "load", pause) as reports:
        yield reports


@contextmanager
def watch(machines: list[Machine]) -> Iterator[dict[str, Any]]:
    """Each change of the slots for as long as the block runs; see inside/watch_slots.py."""
    with background(machines, "watch_slots.py", "watch") as reports:
        yield reports


@contextmanager
def background(machines: list[Machine], script: str, name: str, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run SCRIPT STOP REPORT ARGUMENTS on each host for as long as the block runs."""
    stop, report = f"/tmp/{name}.stop", f"/tmp/{name}.json"
    reports: dict[str, Any] = {}
    for machine in machines:
        machine.run(f"rm -f {stop} {report}")
        # A release has `websockets`; a proxy in front of other hosts has none.
        interpreter = machine.run("ls /opt/notes/current/venv/bin/python /usr/bin/python3 2>/dev/null; true").split()[0]
        machine.background(script, stop, report, *arguments, interpreter=interpreter)
    try:
        yield reports
    finally:
        for machine in machines:
            machine.run(f"touch {stop}")
    for machine in machines:
        wait_for(f"the report of {script}", partial(machine.succeeds, f"test -e {report}"), 30)
        reports[machine.name] = json.loads(machine.run(f"cat {report}"))


def is_over(machine: Machine, slot: str) -> bool:
    return not [unit for unit in machine.active_slots() if f"@{slot}." in unit]


def wait_for_one_slot(machines: list[Machine], seconds: float = 30) -> None:
    """Wait for the end of the slot that is not live."""
    for machine in machines:
        idle = OTHER[machine.slot()]
        wait_for(f"{machine}: the end of {idle}", partial(is_over, machine, idle), seconds)


def assert_nothing_lost(report: dict[str, Any], least: int = 20) -> None:
    assert report["failures"] == []
    assert min(report["counts"].values()) > least, report


@dataclass
class Deployment:
    """A run under load. All but the outcome is by the host's name."""

    outcome: Outcome
    before: dict[str, State]
    load: dict[str, Any]
    watched: dict[str, Any]
    #: Of WebSockets and of answers that take seconds; see inside/hold_open.py.
    held: dict[str, Any]


def deploy(
    machines: list[Machine], play: Playbook, *options: str, code: int, playbook: str | None = None, **extra: Any
) -> Deployment:
    """Run the playbook under load, wait until one slot is left, and tell what was seen meanwhile."""
    before = {machine.name: state(machine) for machine in machines}
    with load(machines) as loads, watch(machines) as watched, background(machines, "hold_open.py", "hold") as held:
        outcome = play(*options, extra=extra, code=code, playbook=playbook)
        wait_for_one_slot(machines)
    return Deployment(outcome, before, loads, watched, held)


def lives(watched: list[Any]) -> list[tuple[float, str]]:
    """When the live link led where: (seconds since 1970, slot), an entry for each change."""
    found: list[tuple[float, str]] = []
    for at, seen in watched:
        if not found or found[-1][1] != seen["live"]:
            found.append((at, seen["live"]))
    return found


def gone(watched: list[Any], what: str, after: float) -> float:
    """When `what` of the slots was no longer there, after a time."""
    return next(float(at) for at, seen in watched if at > after and seen[what] is None)
