# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive, and its digest, depend on nothing but names, contents, links and the executable bit."""

from __future__ import annotations

import os
import socket
import tarfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.pack import File, Folder, snapshot
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

Change = t.Callable[[Path], t.Any]


def pack(folder: str, exclude: list[str], archive: str) -> str:
    taken = snapshot({"type": "directory", "path": folder, "exclude": exclude})
    assert taken is not None
    taken.write(archive)
    return taken.digest


def make(folder: Path) -> Path:
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "main.py").write_text("app = 1\n", encoding="utf-8")
    (folder / "app" / "copy.py").write_text("app = 1\n", encoding="utf-8")
    (folder / "run").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "run").chmod(0o755)
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("app/main.py")
    return folder


def hard_link(folder: Path) -> None:
    (folder / "app" / "copy.py").unlink()
    os.link(folder / "app" / "main.py", folder / "app" / "copy.py")


def link_elsewhere(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("app/copy.py")


def listen(folder: Path) -> None:
    # By a short relative name: the path of a socket holds 108 bytes.
    here = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("app.sock")
    finally:
        os.chdir(here)


SAME: list[Change] = [
    lambda folder: os.utime(folder / "run", (1, 1)),
    lambda folder: os.utime(folder / "app", (1, 1)),
    lambda folder: (folder / "app" / "main.py").chmod(0o600),
    lambda folder: (folder / "app").chmod(0o700),
    lambda folder: (folder / "run").chmod(0o700),
    lambda folder: (folder / "__pycache__").mkdir(),
    lambda folder: (folder / "app" / "main.pyc").write_text("x"),
    lambda folder: (folder / "app" / ".git").symlink_to("/"),
    lambda folder: os.mkfifo(folder / "pipe"),
    listen,
    hard_link,
]

OTHER: list[Change] = [
    lambda folder: (folder / "app" / "main.py").write_text("app = 2\n"),
    lambda folder: (folder / "app" / "main.py").rename(folder / "app" / "mein.py"),
    lambda folder: (folder / "app" / "main.py").chmod(0o755),
    lambda folder: (folder / "run").chmod(0o644),
    lambda folder: (folder / "empty").rmdir(),
    lambda folder: (folder / "app" / "new").mkdir(),
    lambda folder: (folder / "link").unlink(),
    lambda folder: (folder / "app").rename(folder / "lib"),
    link_elsewhere,
    lambda folder: (folder / "main.pyc2").write_text("x"),
]

EXCLUDE = [".git", "__pycache__", "*.pyc"]


@pytest.mark.parametrize("change", SAME)
def test_same_digest(tmp_path: Path, change: Change) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    change(two)
    first = pack(str(one), EXCLUDE, str(tmp_path / "one.tar.gz"))
    assert pack(str(two), EXCLUDE, str(tmp_path / "two.tar.gz")) == first
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


@pytest.mark.parametrize("change", OTHER)
def test_other_digest(tmp_path: Path, change: Change) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    change(two)
    first = pack(str(one), EXCLUDE, str(tmp_path / "one.tar.gz"))
    assert pack(str(two), EXCLUDE, str(tmp_path / "two.tar.gz")) != first


def test_members(tmp_path: Path) -> None:
    folder = make(tmp_path / "one")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x", encoding="utf-8")
    pack(str(folder), [".git", "cop?.py"], str(tmp_path / "one.tar.gz"))
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        members = tar.getmembers()
    assert [(member.name, member.type, member.mode, member.linkname) for member in members] == [
        ("app", tarfile.DIRTYPE, 0o755, ""),
        ("app/main.py", tarfile.REGTYPE, 0o644, ""),
        ("empty", tarfile.DIRTYPE, 0o755, ""),
        ("link", tarfile.SYMTYPE, 0o755, "app/main.py"),
        ("run", tarfile.REGTYPE, 0o755, ""),
    ]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 0)}


def test_links_are_kept_and_not_followed(tmp_path: Path) -> None:
    folder = make(tmp_path / "one")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "folder").symlink_to("app")
    pack(str(folder), [], str(tmp_path / "one.tar.gz"))
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        links = {member.name: member.linkname for member in tar.getmembers() if member.issym()}
        assert "folder/main.py" not in tar.getnames()
    assert links == {"link": "app/main.py", "dangling": "nowhere", "folder": "app"}


def test_a_name_that_is_no_utf_8(tmp_path: Path) -> None:
    folder = make(tmp_path / "one")
    name = os.fsdecode(b"caf\xe9.txt")
    (folder / name).write_text("x", encoding="utf-8")
    pack(str(folder), [], str(tmp_path / "one.tar.gz"))
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        assert name in tar.getnames()


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        (lambda folder: (folder / "app" / "main.py").write_text("app = 2\n"), "files that do not change"),
        (lambda folder: (folder / "app" / "main.py").unlink(), "what can be read"),
    ],
)
def test_what_is_sent_is_what_the_digest_was_made_of(tmp_path: Path, change: Change, accepted: str) -> None:
    folder = make(tmp_path / "one")
    taken = Folder(str(folder), [])
    change(folder)
    # The message shortens a long value, and the folder of a test is as long as the checkout's: no path in here.
    with pytest.raises(Refused, match=rf"^gunicorn_app_source.path: .* is refused; accepted: {accepted}"):
        taken.write(str(tmp_path / "one.tar.gz"))


def test_a_folder_that_gets_more_files_meanwhile_is_sent_as_it_was(tmp_path: Path) -> None:
    folder = make(tmp_path / "one")
    taken = Folder(str(folder), [])
    (folder / "new").touch()
    taken.write(str(tmp_path / "one.tar.gz"))
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        assert "new" not in tar.getnames()


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"x")
    taken = snapshot({"type": "archive", "path": str(tmp_path / "a.zip"), "url": None})
    assert isinstance(taken, File)
    assert taken.digest == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    taken.write(str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == b"x"
    (tmp_path / "a.zip").write_bytes(b"y")
    with pytest.raises(Refused, match="a file that does not change while it is sent"):
        taken.write(str(tmp_path / "copy"))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"^gunicorn_app_source.path: .* is refused"):
        File(str(tmp_path / "a.zip"))


@pytest.mark.parametrize(
    "source",
    [
        {"type": "git", "url": "https://git.example.com/notes.git"},
        {"type": "package", "name": "notes"},
        {"type": "archive", "path": None, "url": "https://files.example.com/notes.zip"},
    ],
)
def test_what_the_host_gets_itself_is_not_sent(source: dict[str, t.Any]) -> None:
    assert snapshot(source) is None
