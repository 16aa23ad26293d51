# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and links that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import atomic


@pytest.mark.parametrize("content", ["", "a\n", "a\r\nb", "é€\n"])
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_write_file(tmp_path: Path, content: str, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("before", encoding="utf-8")
    before = os.umask(0o077)
    try:
        atomic.write_file(str(path), content, mode)
    finally:
        os.umask(before)
    assert path.read_bytes() == content.encode()
    assert path.stat().st_mode & 0o7777 == mode
    assert atomic.read_text(str(path)) == content
    assert os.listdir(tmp_path) == ["file"]


def test_write_file_replaces_a_link_and_not_what_it_points_at(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("target", encoding="utf-8")
    (tmp_path / "link").symlink_to("target")
    atomic.write_file(str(tmp_path / "link"), "new")
    assert (tmp_path / "target").read_text(encoding="utf-8") == "target"
    assert not (tmp_path / "link").is_symlink()


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        atomic.write_file(str(path), "\ud800")
    assert path.read_text(encoding="utf-8") == "before"
    assert os.listdir(tmp_path) == ["file"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("before", encoding="utf-8")
    seen: list[str] = []
    replace = os.replace

    def look_and_replace(source: str, target: str) -> None:
        seen.append(path.read_text(encoding="utf-8"))
        seen.append(Path(source).read_text(encoding="utf-8"))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look_and_replace)
    atomic.write_file(str(path), "after")
    assert seen == ["before", "after"]


def test_flip(tmp_path: Path) -> None:
    link = str(tmp_path / "current")
    assert atomic.target_of(link) is None
    for target in ("one", "two", "two"):
        atomic.flip(link, target)
        assert atomic.target_of(link) == target
    # What an interrupted flip left is no obstacle.
    os.symlink("half", link + ".new")
    atomic.flip(link, "three")
    assert atomic.target_of(link) == "three"
    assert os.listdir(tmp_path) == ["current"]


def test_target_of_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert atomic.target_of(str(tmp_path / "file")) is None


def test_read_text_of_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    assert atomic.read_text(str(tmp_path / "nothing")) is None
    assert atomic.read_text(str(tmp_path / "file" / "below")) is None
    assert atomic.read_text(str(tmp_path / "file")) == "\ufffd\ufffd"


TREE = {"a.conf": "a\n", "http/b.conf": "b\r\n", "sites/x/c.conf": ""}


def test_trees(tmp_path: Path) -> None:
    folder = str(tmp_path / "tree")
    assert atomic.read_tree(folder) == {}
    atomic.write_tree(folder, TREE)
    assert atomic.read_tree(folder) == TREE
    assert atomic.read_tree(folder + "/") == TREE
    (tmp_path / "current").symlink_to("tree")
    assert atomic.read_tree(str(tmp_path / "current") + "/") == TREE


def test_a_tree_is_never_written_over_another(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(FileExistsError):
        atomic.write_tree(str(tmp_path / "tree"), TREE)


def entry(path: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": path, "after_header": path, "before": before, "after": after}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"a": "1"}, {"a": "1"}, []),
        ({"a": "1"}, {"a": "2"}, [entry("a", "1", "2")]),
        ({}, {"a": "1"}, [entry("a", "", "1")]),
        ({"a": None}, {"a": "1"}, [entry("a", "", "1")]),
        ({"a": "1"}, {}, [entry("a", "1", "")]),
        ({"b": "1", "a": "1"}, {"b": "2", "a": "2"}, [entry("a", "1", "2"), entry("b", "1", "2")]),
        # A file that comes into being empty is a change too.
        ({"a": None}, {"a": ""}, [entry("a", "", "")]),
    ],
)
def test_diff_of(before: dict[str, t.Any], after: dict[str, t.Any], expected: list[dict[str, str]]) -> None:
    assert atomic.diff_of(before, after) == expected


def test_a_lock_names_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "LOCKS", str(tmp_path / "locks"))
    with atomic.locked(".nginx", "A change", seconds=0):
        second = atomic.locked(".nginx", "A change", seconds=0)
        with pytest.raises(ValueError, match=rf"^A change is running on this host: process {os.getpid()}$"):
            second.__enter__()
        with atomic.locked(".other", "Another", seconds=0):
            pass
    with atomic.locked(".nginx", "A change", seconds=0):
        pass
    assert (tmp_path / "locks").stat().st_mode & 0o077 == 0


def test_a_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "LOCKS", str(tmp_path))
    waited: list[float] = []
    with contextlib.ExitStack() as held:
        held.enter_context(atomic.locked(".nginx", "A change"))

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            held.close()

        monkeypatch.setattr(time, "sleep", sleep)
        with atomic.locked(".nginx", "A change", seconds=5):
            assert len(waited) == 1


def test_a_private_file_of_a_tree(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    atomic.write_tree(str(folder), {"a.conf": "a\n"}, {"users/b": "b\n"}, os.getgid())
    assert atomic.read_tree(str(folder)) == {"a.conf": "a\n", "users/b": "b\n"}
    assert (folder / "a.conf").stat().st_mode & 0o777 == 0o644
    assert (folder / "users/b").stat().st_mode & 0o777 == 0o640
    assert (folder / "users/b").stat().st_gid == os.getgid()


@pytest.mark.parametrize("call", ["fsync", "symlink"])
def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """The system's words alone do not say on which file system there is no space."""

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    link = tmp_path / "link"
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left") as caught:
        atomic.flip(str(link), "generations/x")
    named = link if call == "symlink" else tmp_path
    assert atomic.words_of(caught.value) == f"{named}: No space left on device"


def test_a_full_disk_is_named_by_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "LOCKS", str(tmp_path))
    (tmp_path / ".nginx").symlink_to("/dev/full")
    with pytest.raises(OSError, match="Invalid argument") as caught, atomic.locked(".nginx", "A change"):
        pass
    assert atomic.words_of(caught.value).startswith(f"{tmp_path}/.nginx: ")
