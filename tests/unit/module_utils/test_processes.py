# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed build has left running: a tool's own child outlives the two that were killed above it."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.processes import end_those_of
from ansible_collections.asgi.deploy.plugins.module_utils.release import Releases

NAME = "20260101T000000Z-aaaaaaaaaaaa"

#: Goes on writing below its argument, whatever is removed there.
WRITER = """
import pathlib, sys, time
until = time.monotonic() + 20
while time.monotonic() < until:
    path = pathlib.Path(sys.argv[1]) / "module.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    print("written", flush=True)
"""

Start = t.Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> t.Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(code: str, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *arguments]
        process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline()
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_what_it_goes_on_writing_to_is_removed_for_good(tmp_path: Path, start: Start) -> None:
    releases = Releases("notes", str(tmp_path), sys.executable)
    folder = Path(releases.path(NAME))
    orphan = start(WRITER, str(folder / "venv/lib"))
    releases.remove_unfinished(())
    assert orphan.wait(5) == -9
    assert not folder.exists()


def test_one_that_works_there_ends(tmp_path: Path, start: Start) -> None:
    inside = tmp_path / "one/app"
    inside.mkdir(parents=True)
    orphan = start("import time; print(1, flush=True); time.sleep(20)", cwd=inside)
    end_those_of(str(tmp_path / "one"))
    assert orphan.wait(5) == -9


def test_those_of_another_folder_go_on(tmp_path: Path, start: Start) -> None:
    """Whose name begins with the same letters, and what runs from nowhere in it."""
    other = start("import time; print(1, flush=True); time.sleep(20)", str(tmp_path / "one-more/app"))
    end_those_of(str(tmp_path / "one"))
    assert other.poll() is None
