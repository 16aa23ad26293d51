# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a host before a release or a rollback decides anything."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.standing import live_release, root_of, standing


def add(root: Path, name: str, digest: str | None = None) -> None:
    folder = root / "releases" / name
    for part in ("app", "venv/bin/python", "venv/bin/gunicorn"):
        (folder / part).mkdir(parents=True)
    record = {"server": "gunicorn", **({"source": {"type": "git", "digest": digest}} if digest else {})}
    (folder / "release.json").write_text(json.dumps(record), encoding="utf-8")


def put_live(root: Path, name: str, slot: str = "blue") -> None:
    (root / "slots" / slot).mkdir(parents=True)
    os.symlink(f"../../releases/{name}", root / "slots" / slot / "release")
    os.symlink(f"/run/notes/{slot}.sock", root / "current.sock")


def history(root: Path, *releases: str) -> None:
    entries = [{"release": name, "slot": "", "how": "deployed", "at": f"2026-01-0{number}"}
               for number, name in enumerate(releases, 1)]  # fmt: skip
    (root / "history.json").write_text(json.dumps(entries), encoding="utf-8")


def lived(root: Path) -> list[tuple[str, str]]:
    return [(entry["release"], entry["at"]) for entry in standing("notes", str(root))["lived"]]


def test_a_host_without_the_application(tmp_path: Path) -> None:
    assert standing("notes", str(tmp_path)) == {"name": "notes", "live": None, "releases": [], "lived": []}
    assert root_of("notes") == "/opt/notes"


def test_live_and_there(tmp_path: Path) -> None:
    for name, digest in (("1-a", "x"), ("2-b", "y"), ("3-c", "x")):
        add(tmp_path, name, digest)
    put_live(tmp_path, "2-b")
    history(tmp_path, "1-a", "2-b")
    found = standing("notes", str(tmp_path))
    assert found["live"] == live_release(str(tmp_path)) == "2-b"
    codes = {item["name"]: item["code"] for item in found["releases"]}
    assert list(codes) == ["1-a", "2-b", "3-c"]
    assert codes["1-a"] == codes["3-c"] != codes["2-b"]
    # The third was built and never was live.
    assert lived(tmp_path) == [("1-a", "2026-01-01"), ("2-b", "2026-01-02")]


def test_the_last_time_counts_and_what_is_gone_does_not(tmp_path: Path) -> None:
    for name in ("1-a", "3-c"):
        add(tmp_path, name)
    put_live(tmp_path, "1-a")
    history(tmp_path, "1-a", "2-b", "3-c", "1-a")
    assert lived(tmp_path) == [("3-c", "2026-01-03"), ("1-a", "2026-01-04")]


def test_a_switch_that_was_not_written_down(tmp_path: Path) -> None:
    for name in ("1-a", "2-b"):
        add(tmp_path, name)
    put_live(tmp_path, "2-b")
    history(tmp_path, "2-b", "1-a")
    assert lived(tmp_path) == [("1-a", "2026-01-02"), ("2-b", "2026-01-01")]


def test_a_host_without_a_history(tmp_path: Path) -> None:
    for name in ("1-a", "2-b", "3-c"):
        add(tmp_path, name)
    put_live(tmp_path, "2-b")
    assert lived(tmp_path) == [("1-a", ""), ("3-c", ""), ("2-b", "")]


@pytest.mark.parametrize("target", ["/run/notes/red.sock", "/run/notes/blue.sock", "/elsewhere"])
def test_a_link_to_nothing_is_none(tmp_path: Path, target: str) -> None:
    os.symlink(target, tmp_path / "current.sock")
    assert live_release(str(tmp_path)) is None
