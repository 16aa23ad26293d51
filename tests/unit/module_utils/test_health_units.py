# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files and the timer of the health checks on a host."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.health_units import SERVICE, TIMER, HealthUnits
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import FILE

Fixture = t.Any
RUNNING = f"Id={TIMER}\nActiveState=active\nUnitFileState=enabled\n"
IDLE = f"Id={TIMER}\nActiveState=inactive\nUnitFileState=disabled\n"


@pytest.fixture
def make(tmp_path: Path, fake_run: Fixture) -> t.Callable[..., tuple[HealthUnits, Fixture]]:
    def run(on: bool, show: str = RUNNING) -> tuple[HealthUnits, Fixture]:
        files = {str(tmp_path / name): {"text": "text", "mode": "0644"} for name in (TIMER, "library/health.py")}
        commands = fake_run({"systemctl show": (0, show, "")})
        return HealthUnits(commands, files, on, [str(tmp_path / "state")], str(tmp_path / "deploy")), commands

    return run


def test_switched_on(make: Fixture, tmp_path: Path) -> None:
    units, commands = make(True, IDLE)
    assert sorted(map(Path, units.files())) == [tmp_path / TIMER, tmp_path / "library/health.py"]
    assert units.is_idle()
    assert units.leftovers() == []
    units.start(units.files())
    assert commands.commands[-2:] == [
        f"systemctl show --property=Id,ActiveState,UnitFileState {TIMER}",
        f"systemctl enable --now {TIMER}",
    ]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ([], []),
        ([TIMER], [f"systemctl restart {TIMER}"]),
        # The next start reads it; only the library is compiled, which the sandboxed program cannot.
        (["library/health.py"], ["/usr/bin/python3 -m compileall -q FOLDER/library/health.py"]),
    ],
)
def test_running_already(make: Fixture, tmp_path: Path, changed: list[str], words: list[str]) -> None:
    units, commands = make(True)
    assert not units.is_idle()
    units.start([str(tmp_path / name) for name in changed])
    done = [command for command in commands.commands if not command.startswith("systemctl show")]
    assert done == [word.replace("FOLDER", str(tmp_path)) for word in words]


def test_never_there(make: Fixture) -> None:
    units, commands = make(False)
    assert (units.files(), units.leftovers(), units.is_idle()) == ({}, [], False)
    units.stop()
    units.start([])
    assert commands.commands == []


def test_switched_off(make: Fixture, tmp_path: Path, write: Fixture) -> None:
    names = [TIMER, "library/health.py", "state", "library/__pycache__/health.cpython-311.pyc"]
    for name in [*names, "library/__pycache__/health_of_another.cpython-311.pyc", "library/nginx.py"]:
        write(tmp_path / name, "")
    units, commands = make(False)
    assert sorted(units.leftovers()) == sorted(str(tmp_path / name) for name in names)
    units.stop()
    assert commands.commands == [
        f"systemctl disable --now {TIMER}",
        f"systemctl stop {SERVICE}",
        f"systemctl reset-failed {SERVICE}",
    ]


@pytest.mark.parametrize("marks", [True, False])
def test_who_takes_marks_away_stays_as_long_as_there_are_any(
    make: Fixture, tmp_path: Path, write: Fixture, marks: bool
) -> None:
    if marks:
        write(tmp_path / "deploy/current" / FILE, "")
    units, _commands = make(False)
    assert units.is_needed() is marks


def test_what_systemd_says_is_passed_on(make: Fixture) -> None:
    units, commands = make(True, IDLE)
    commands.answers["systemctl enable"] = (1, "", "Unit is masked.\n")
    with pytest.raises(ValueError, match=rf"^systemctl enable --now {TIMER}: Unit is masked\.$"):
        units.start([])
