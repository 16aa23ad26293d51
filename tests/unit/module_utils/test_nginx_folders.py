# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and logs: made, or given to those who write them, and never somebody else's file."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx_folders
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_folders import due_folders, heal_logs, make_folders

ME = pwd.getpwuid(os.getuid()).pw_name
MY_GROUP = grp.getgrgid(os.getgid()).gr_name


@pytest.fixture(autouse=True)
def _own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever runs the tests can give files to themselves only.
    monkeypatch.setattr(nginx_folders, "USER", ME)
    monkeypatch.setattr(nginx_folders, "LOG_GROUP", MY_GROUP)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_make_folders(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o700)
    wanted = [{"path": str(path), "owner": ME, "mode": "0751"} for path in (kept, tmp_path / "a" / "new")]
    assert due_folders(wanted) == wanted[1:]
    assert make_folders(wanted)
    assert mode(tmp_path / "a" / "new") == 0o751
    assert mode(kept) == 0o700
    assert due_folders(wanted) == []
    assert not make_folders(wanted)


@pytest.mark.parametrize(
    ("permissions", "user", "healed"),
    [
        (0o700, ME, 0o700),
        (0o600, ME, 0o755),
        (0o700, "nobody", 0o755),
        (0o750, "nobody", 0o755),
        # An administrator's own choice that locks nobody out.
        (0o711, "nobody", 0o711),
        (0o775, "nobody", 0o775),
    ],
)
def test_a_folder_that_locks_the_workers_out_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, permissions: int, user: str, healed: int
) -> None:
    """The file that switches maintenance on would have no effect, and nothing would say so."""
    monkeypatch.setattr(nginx_folders, "USER", user)
    folder = tmp_path / "maintenance"
    folder.mkdir()
    folder.chmod(permissions)
    wanted = [{"path": str(folder), "owner": ME, "mode": "0755"}]
    due = permissions != healed
    assert due_folders(wanted) == (wanted if due else [])
    assert make_folders(wanted) is due
    assert mode(folder) == healed
    assert not make_folders(wanted)


def test_a_host_without_the_workers_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_folders, "USER", "no-such-user")
    with pytest.raises(ValueError, match="this host has no user no-such-user, which nginx's workers run as; accepted"):
        heal_logs(change=False)


def log(folder: Path, name: str = "access.log", permissions: int = 0o440) -> Path:
    """Write a log that its owner cannot append to: as wrong as one of another owner, and possible for everybody."""
    path = folder / name
    path.write_text("a line\n", encoding="utf-8")
    path.chmod(permissions)
    return path


@pytest.mark.parametrize("change", [True, False])
def test_a_log_that_nobody_can_write(tmp_path: Path, change: bool) -> None:
    wrong, right, other = log(tmp_path), log(tmp_path, "error.log", 0o644), log(tmp_path, "access.log.1")
    assert heal_logs(str(tmp_path), change)
    assert mode(wrong) == (0o640 if change else 0o440)
    # An administrator's own choice stays, and what was rotated away is nobody's business.
    assert (mode(right), mode(other)) == (0o644, 0o440)
    assert heal_logs(str(tmp_path)) is not change


def test_links_are_left_alone(tmp_path: Path) -> None:
    """Whoever may write to the folder could have root give them any file of the host."""
    folder = tmp_path / "logs"
    folder.mkdir()
    victim = log(tmp_path, "shadow")
    (folder / "soft.log").symlink_to(victim)
    (folder / "hard.log").hardlink_to(victim)
    (folder / "gone.log").symlink_to("nothing")
    os.mkfifo(folder / "pipe.log", 0o400)
    (folder / "folder.log").mkdir()
    assert not heal_logs(str(folder))
    assert mode(victim) == 0o440


def test_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "logs"
    given: list[tuple[str, int]] = []
    monkeypatch.setattr(os, "chown", lambda path, user, group: given.append((path, user)))
    assert heal_logs(str(folder), change=False)
    assert not folder.exists()
    assert heal_logs(str(folder))
    assert given == [(str(folder), 0)]


def test_a_folder_that_the_workers_cannot_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of a folder of their own they need no right for others.
    tmp_path.chmod(0o700)
    assert not heal_logs(str(tmp_path))
    monkeypatch.setattr(nginx_folders, "USER", "nobody")
    assert heal_logs(str(tmp_path), change=False)
    assert mode(tmp_path) == 0o700
    assert heal_logs(str(tmp_path))
    assert mode(tmp_path) == 0o755
    assert not heal_logs(str(tmp_path))
