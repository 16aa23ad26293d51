# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host counts as down, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.health_counts import (
    Count,
    counted,
    metrics,
    publish,
    read_counts,
    state_of,
    table,
)
from ansible_collections.asgi.deploy.plugins.module_utils.health_probe import Target

TARGETS = [
    Target(f"10.0.0.{number}:8000", f"app{number}", "notes", ["site__notes"], "/health", "notes", True, 200, None)
    for number in (1, 2)
]
UP, DOWN = Count(False), Count(True, 0, "GET /health answered 503 instead of 200: no")
ADDRESSES = [target.address for target in TARGETS]


@pytest.mark.parametrize(
    ("fall", "rise", "down", "answers", "states"),
    [
        # "." is a healthy answer, "x" another one; the states are those after each answer, "D" for down.
        (2, 2, False, "x.x.xx", "uuuuuD"),
        (2, 2, True, ".x..", "DDDu"),
        (1, 1, False, "x.x", "DuD"),
        (3, 2, False, "xxxxx..", "uuDDDDu"),
        (2, 3, False, "xx..x...", "uDDDDDDu"),
        (2, 2, False, "....", "uuuu"),
    ],
)
def test_it_takes_several_in_a_row(fall: int, rise: int, down: bool, answers: str, states: str) -> None:
    count, seen = Count(down), ""
    for answer in answers:
        count = counted(count, "no answer" if answer == "x" else None, fall, rise)
        seen += "D" if count.down else "u"
        assert count.problem == ("no answer" if answer == "x" else "")
    assert seen == states


@pytest.mark.parametrize(("count", "problem"), [(UP, None), (DOWN, DOWN.problem)])
def test_more_of_the_same_changes_nothing(count: Count, problem: str | None) -> None:
    assert counted(count, problem, 2, 2) == count


def test_what_is_published_is_read_again(tmp_path: Path) -> None:
    path, textfile = tmp_path / "run/health.json", tmp_path / "health.prom"
    counts = dict(zip(ADDRESSES, (Count(False, 1, "late"), DOWN), strict=True))
    state = state_of(TARGETS, counts, {ADDRESSES[1]})
    publish(state, str(path), str(textfile))
    assert read_counts(str(path)) == counts
    assert 'asgi_deploy_host_up{application="notes",host="app1",address="10.0.0.1:8000"} 1\n' in textfile.read_text()
    assert 'asgi_deploy_host_left_out{application="notes",host="app2",address="10.0.0.2:8000"} 1\n' in metrics(state)
    before = [file.stat().st_ino for file in (path, textfile)]
    publish(state, str(path), str(textfile))
    assert [file.stat().st_ino for file in (path, textfile)] == before


def test_without_prometheus_there_are_no_metrics(tmp_path: Path) -> None:
    publish(state_of([], {}, set()), str(tmp_path / "health.json"), str(tmp_path / "none/health.prom"))
    assert [file.name for file in tmp_path.iterdir()] == ["health.json"]


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "{}", '{"hosts": 1}', '{"hosts": [1]}', '{"hosts": [{"address": "a"}]}', "null"]
)
def test_a_spoilt_file_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "health.json").write_text(text)
    assert read_counts(str(tmp_path / "health.json")) == {}


@pytest.mark.parametrize(
    ("count", "marked", "said"),
    [
        (UP, False, "notes  app1  10.0.0.1:8000  up"),
        (Count(False, 1, "late"), False, "notes  app1  10.0.0.1:8000  up  1 in a row say otherwise  late"),
        (Count(True, 0, "late"), True, "notes  app1  10.0.0.1:8000  down  late"),
        (Count(True, 1), True, "notes  app1  10.0.0.1:8000  down  1 in a row say otherwise"),
        # The last ones, or nginx did not take the mark.
        (Count(True, 0, "late"), False, "notes  app1  10.0.0.1:8000  down, but asked  late"),
    ],
)
def test_the_table(count: Count, marked: bool, said: str) -> None:
    state = state_of(TARGETS[:1], {ADDRESSES[0]: count}, set(ADDRESSES) if marked else set())
    # As it is read from the file.
    assert table(json.loads(json.dumps(state))) == said


def test_the_table_of_nobody() -> None:
    assert table({"hosts": []}) == "no host to ask"
