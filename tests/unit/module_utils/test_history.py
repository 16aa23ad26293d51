# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases have been live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.history import History


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path))


def test_before_the_first_release(history: History) -> None:
    assert not history.is_there()
    assert history.releases() == []
    assert history.before(None, ["r1"]) is None


def test_the_one_before(history: History) -> None:
    for release in ("r1", "r2", "r1", "r3"):
        history.note(release, "blue", "deployed")
    assert history.releases() == ["r2", "r1", "r3"]
    assert history.before("r3", ["r1", "r2", "r3"]) == "r1"
    # Going back from there leads to where it came from, and not further and further.
    history.note("r1", "green", "rolled back")
    assert history.before("r1", ["r1", "r2", "r3"]) == "r3"


def test_previous_is_where_a_rollback_has_led(history: History) -> None:
    """Otherwise each run of an inventory that says so would go to the other one."""
    there = ["r1", "r2", "r3"]
    for release in ("r1", "r2"):
        history.note(release, "blue", "deployed")
    assert history.previous("r2", there) == "r1"
    history.note("r1", "green", "rolled back")
    assert history.previous("r1", there) == "r1"
    history.note("r3", "blue", "deployed")
    assert history.previous("r3", there) == "r1"
    assert history.previous("r3", ["r3"]) is None


def test_previous_after_a_way_forward_is_the_one_before(history: History) -> None:
    """Back to r1, by a second rollback to r2 again, which then proves bad."""
    there = ["r1", "r2"]
    for release, how in (("r1", "deployed"), ("r2", "deployed"), ("r1", "rolled back"), ("r2", "rolled back")):
        history.note(release, "blue", how)
    assert history.previous("r2", there) == "r1"
    history.note("r1", "green", "rolled back")
    # With other settings.
    history.note("r1", "blue", "rolled back")
    assert history.previous("r1", there) == "r1"


def test_previous_after_a_run_that_was_killed_after_its_switch(history: History) -> None:
    there = ["r1", "r2", "r3"]
    for release in ("r1", "r2"):
        history.note(release, "blue", "deployed")
    # Of a deployment, and of a rollback.
    assert history.previous("r3", there) == "r2"
    assert history.previous("r1", there) == "r1"


def test_one_that_is_only_looked_at_is_not_written(history: History) -> None:
    history.begin(["r1", "r2"], "r2", "blue", write=False)
    assert not history.is_there()
    assert history.before("r2", ["r1", "r2"]) == "r1"
    history.begin(["r1", "r2"], "r2", "blue")
    history.note("r3", "green", "deployed")
    assert history.releases() == ["r1", "r2", "r3"]


def test_one_that_is_not_there_any_more_is_none(history: History) -> None:
    for release in ("r1", "r2", "r3"):
        history.note(release, "blue", "deployed")
    assert history.before("r3", ["r1", "r3"]) == "r1"
    assert history.before("r3", ["r3"]) is None


def test_a_host_without_a_history_gets_one(history: History) -> None:
    history.begin(["r1", "r2", "r3"], "r2", "blue")
    assert history.releases() == ["r1", "r3", "r2"]
    assert history.before("r2", ["r1", "r2", "r3"]) == "r3"


@pytest.mark.parametrize("text", ["", "{", "null", '[{"slot": "blue"}, 1, {"release": 3}]'])
def test_a_damaged_one_is_none(history: History, text: str) -> None:
    Path(history.path).write_text(text, encoding="utf-8")
    assert history.releases() == []
    history.note("r1", "blue", "deployed")
    assert history.releases() == ["r1"]


def test_it_does_not_grow_for_ever(history: History) -> None:
    for number in range(120):
        history.note(f"r{number}", "blue", "deployed")
    entries = json.loads(Path(history.path).read_text(encoding="utf-8"))
    assert len(entries) == 100
    assert entries[-1]["release"] == "r119"
    assert entries[-1]["how"] == "deployed"
