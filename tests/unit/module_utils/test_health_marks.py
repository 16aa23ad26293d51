# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks go into the live generation by the same steps as a configuration, or not at all."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import atomic, health_marks, nginx_generations, nginx_switch
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked
from ansible_collections.asgi.deploy.plugins.module_utils.health_marks import Marks
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import FILE, id_of_marks, marks_of, with_marks
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import LOCK
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import (
    Generations,
    Refusal,
    write_generation,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_switch import files_with_marks, put_marks

A, B = "10.0.0.1:8000", "10.0.0.2:8000"
TEXT = (
    "map $server_port $health_marks { default none; }\n"
    f"upstream site__notes {{\n    server {A}; # app1\n    server {B}; # app2\n}}\n"
)
LIVE = "20260102T000000Z-bbb"
OLD = "20260101T000000Z-aaa"


class FakeNginx:
    """Serves what is live when it is loaded. ``broken``: what nginx -t says. ``deaf``: loads that change nothing."""

    def __init__(self, generations: Generations) -> None:
        self.path = os.path.join(generations.current, FILE)
        self.generation: str | None = "bbb"
        self.broken: str | None = None
        self.deaf = 0
        self.tested: list[str] = []
        self.loads = 0
        self.marks: str | None = id_of_marks(TEXT)

    def test(self, configuration: str) -> str | None:
        staged = os.path.join(os.path.dirname(configuration), "deploy/current", FILE)
        self.tested.append(Path(staged).read_text(encoding="utf-8") if os.path.exists(staged) else configuration)
        return self.broken

    def load(self) -> str | None:
        self.loads += 1
        if self.deaf:
            self.deaf -= 1
        else:
            self.marks = id_of_marks(Path(self.path).read_text(encoding="utf-8"))
        return None

    def served_generation(self) -> str | None:
        return self.generation

    def served_marks(self) -> str | None:
        return self.marks

    def confirm_marks(self, marks: str) -> bool:
        return self.marks == marks


@pytest.fixture
def generations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generations:
    for module in (atomic, nginx_generations):
        monkeypatch.setattr(module, "LOCKS", str(tmp_path / "run"))
    monkeypatch.setattr(health_marks, "ENTRY", str(tmp_path / "nginx.conf"))
    monkeypatch.setattr(nginx_switch, "ERROR_LOG", str(tmp_path / "error.log"))
    found = Generations(str(tmp_path / "deploy"))
    for name in (OLD, LIVE):
        write_generation(found.path(name), {FILE: TEXT, "main.conf": name}, {})
        found.point(name)
        found.confirm(name)
    return found


@pytest.fixture
def nginx(generations: Generations) -> FakeNginx:
    return FakeNginx(generations)


@pytest.fixture
def marks(generations: Generations, nginx: FakeNginx) -> Marks:
    return Marks(generations, t.cast("t.Any", nginx))


def live_text(generations: Generations) -> str:
    return Path(generations.current, FILE).read_text(encoding="utf-8")


def tree(folder: str) -> dict[str, tuple[int, int]]:
    """Each file with what a write would change."""
    found = {}
    for path in Path(folder).rglob("*"):
        found[str(path)] = (path.lstat().st_ino, path.lstat().st_mtime_ns)
    return found


def test_a_mark_comes_and_goes(generations: Generations, nginx: FakeNginx, marks: Marks) -> None:
    assert marks.put({A})
    assert marks_of(live_text(generations)) == {A}
    # What was tested is what is live.
    assert nginx.tested == [live_text(generations)]
    assert nginx.marks == id_of_marks(live_text(generations)) != "none"
    assert marks.put(set())
    assert (live_text(generations), nginx.marks, nginx.loads) == (TEXT, "none", 2)
    # The same generation by its name, its history and its other files.
    assert (generations.live(), generations.confirmed()) == (LIVE, [OLD, LIVE])
    assert sorted(os.listdir(generations.home)) == ["current", "generations", "history"]


@pytest.mark.parametrize("addresses", [set(), {A, B}, {"10.0.0.9:8000"}])
def test_nothing_is_written_where_nothing_changes(
    generations: Generations, nginx: FakeNginx, marks: Marks, addresses: set[str]
) -> None:
    before = tree(generations.home)
    assert not marks.put(addresses)
    assert (tree(generations.home), nginx.tested, nginx.loads) == (before, [], 0)


@pytest.mark.parametrize("generation", [None, "aaa"])
def test_a_stopped_nginx_and_a_play_s_generation_are_left_alone(
    generations: Generations, nginx: FakeNginx, marks: Marks, generation: str | None
) -> None:
    nginx.generation = generation
    assert not marks.put({A})
    assert (live_text(generations), nginx.loads) == (TEXT, 0)


def test_a_play_under_way_is_not_waited_for(generations: Generations, nginx: FakeNginx, marks: Marks) -> None:
    with locked(LOCK, "a play"):
        assert not marks.put({A})
    assert (live_text(generations), nginx.loads) == (TEXT, 0)
    assert marks.put({A})


def test_a_configuration_that_nginx_refuses_stays(generations: Generations, nginx: FakeNginx, marks: Marks) -> None:
    nginx.broken = "[emerg] unknown directive"
    before = tree(generations.folder)
    with pytest.raises(Refusal, match="unknown directive"):
        marks.put({A})
    assert (tree(generations.folder), nginx.loads) == (before, 0)
    assert sorted(os.listdir(generations.home)) == ["current", "generations", "history"]


def test_what_is_not_loaded_is_put_back(generations: Generations, nginx: FakeNginx, marks: Marks) -> None:
    nginx.deaf = 1
    with pytest.raises(
        Refusal, match=r"does not tell of the new marks[^\n]*\n?.*\nThe marks before are in place again\.$"
    ):
        marks.put({A})
    assert (live_text(generations), nginx.marks, nginx.loads) == (TEXT, "none", 2)


def test_what_a_killed_run_has_flipped_is_loaded(generations: Generations, nginx: FakeNginx, marks: Marks) -> None:
    Path(generations.current, FILE).write_text(with_marks(TEXT, {A}), encoding="utf-8")
    assert marks.put({A})
    assert (nginx.loads, nginx.marks) == (1, id_of_marks(with_marks(TEXT, {A})))
    assert not marks.put({A})


def test_what_a_killed_run_has_staged_goes(generations: Generations, marks: Marks) -> None:
    generations.stage()
    assert marks.put({A})
    assert sorted(os.listdir(generations.home)) == ["current", "generations", "history"]


def test_a_configuration_without_hosts_to_ask(generations: Generations, nginx: FakeNginx, marks: Marks) -> None:
    Path(generations.current, FILE).unlink()
    nginx.marks = None
    assert not marks.put({A})


def test_an_old_generation_gets_the_marks_of_the_live_one(generations: Generations, marks: Marks) -> None:
    old = Path(generations.path(OLD), FILE)
    # It was left with another mark.
    old.write_text(with_marks(TEXT, {B}), encoding="utf-8")
    marks.put({A})
    files = files_with_marks(generations, OLD)
    assert marks_of(files.open[FILE]) == {A}
    put_marks(generations, OLD, files)
    assert old.read_text(encoding="utf-8") == with_marks(TEXT, {A})
    assert files_with_marks(generations, LIVE).open == generations.files(LIVE)[0]
