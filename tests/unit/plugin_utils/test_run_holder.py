# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the run that holds a lock is still there."""

from __future__ import annotations

import getpass
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.run_holder import has_ended, place, this_run


@pytest.fixture(scope="module")
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_run_that_goes_on() -> None:
    holder = this_run(os.getpid())
    assert f", process {os.getpid()}" in holder["by"]
    assert not has_ended(holder, holder["place"])


def test_a_run_that_was_killed(ended: int) -> None:
    holder = this_run(ended)
    assert has_ended(holder, place()) is bool(place())


@pytest.mark.parametrize(
    ("holder", "here"),
    [
        # Another machine, another container, or none that could be told.
        ({"place": "kernel pid:[2]"}, "kernel pid:[1]"),
        ({"place": ""}, ""),
        ({"place": "", "pid": None}, ""),
        ({}, "kernel pid:[1]"),
        ({"place": "kernel pid:[1]", "pid": "7"}, "kernel pid:[1]"),
    ],
)
def test_what_is_not_known_has_not_ended(ended: int, holder: dict[str, t.Any], here: str) -> None:
    assert not has_ended({"pid": ended, **holder}, here)


def test_somebody_elses_process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert not has_ended({"place": "here", "pid": 1}, "here")


def test_place(tmp_path: Path) -> None:
    assert place(tmp_path) == ""
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("0a-1b\n", encoding="ascii")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[4026531836]")
    assert place(tmp_path) == "0a-1b pid:[4026531836]"


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert this_run(7)["by"].startswith(f"{os.getuid()}@")
