# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a module keeps: written where their text or mode differs, and left alone otherwise."""

from __future__ import annotations

import grp
import os
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.host_files import (
    of_systemd,
    shown,
    shown_before,
    stale_files,
    write_files,
)

TEXT = "text\n"


@pytest.mark.parametrize(
    ("found", "mode", "stale"),
    [
        (None, 0, True),
        (TEXT, 0o755, False),
        (TEXT, 0o644, True),
        (TEXT, 0o4755, True),
        ("other\n", 0o755, True),
        ("text\r\n", 0o755, True),
    ],
)
def test_stale(tmp_path: Path, found: str | None, mode: int, stale: bool) -> None:
    path = tmp_path / "folder" / "program"
    if found is not None:
        path.parent.mkdir()
        path.write_text(found, encoding="utf-8", newline="")
        path.chmod(mode)
    wanted = {str(path): {"text": TEXT, "mode": "0755"}}
    due = stale_files(wanted)
    assert due == (wanted if stale else {})
    write_files(due)
    assert path.read_text(encoding="utf-8") == TEXT
    assert path.stat().st_mode & 0o7777 == 0o755
    assert stale_files(wanted) == {}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], False),
        (["/etc/nginx/nginx.conf", "/srv/etc/systemd/x"], False),
        (["/a", "/etc/systemd/system/nginx.service.d/a.conf"], True),
    ],
)
def test_of_systemd(paths: list[str], expected: bool) -> None:
    assert of_systemd(paths) is expected


def test_a_secret_is_for_its_group_and_never_shown(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    path = tmp_path / "key"
    wanted = {str(path): {"text": "hunter2", "mode": "0640", "group": group}}
    assert shown_before(wanted) == {str(path): None}
    assert stale_files(wanted) == wanted
    assert "hunter2" not in str(shown(wanted))
    write_files(wanted)
    assert path.stat().st_mode & 0o7777 == 0o640
    assert stale_files(wanted) == {}
    assert shown(wanted) == shown_before(wanted)
    path.write_text("hunter1", encoding="utf-8")
    assert shown(wanted) != shown_before(wanted)
    assert "hunter" not in f"{shown(wanted)} {shown_before(wanted)}"


def test_a_group_that_its_package_brings(tmp_path: Path) -> None:
    """In check mode on a new host."""
    path = tmp_path / "key"
    path.touch()
    wanted = {str(path): {"text": "", "mode": f"{path.stat().st_mode & 0o7777:04o}", "group": "no-such-group"}}
    assert stale_files(wanted) == wanted
