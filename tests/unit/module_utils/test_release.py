# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases on disk: which there are, which go, and what an archive may hold."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.release import (
    BuildError,
    Releases,
    unpack_archive,
    unpack_commit,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.pack import pack

SOURCE = {"type": "directory", "digest": "abc"}


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases("notes", str(tmp_path), sys.executable)


def add(releases: Releases, name: str, finished: bool = True) -> str:
    folder = Path(releases.path(name))
    (folder / "app").mkdir(parents=True)
    (folder / "venv/bin").mkdir(parents=True)
    (folder / "venv/bin/gunicorn").touch()
    if finished:
        (folder / "release.json").write_text("{}\n", encoding="utf-8")
    return name


def names(releases: Releases) -> list[str]:
    return sorted(os.listdir(releases.folder))


def test_identify(releases: Releases, tmp_path: Path) -> None:
    identity = releases.identify(SOURCE, "requirements.txt")
    assert len(identity) == 12
    assert releases.identify({**SOURCE, "url": "https://elsewhere"}, "requirements.txt") == identity
    elsewhere = Releases("other", str(tmp_path / "other"), sys.executable)
    assert elsewhere.identify(SOURCE, "requirements.txt") == identity
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho Python 9.9\n", encoding="utf-8")
    script.chmod(0o755)
    others = [
        releases.identify({**SOURCE, "digest": "abd"}, "requirements.txt"),
        releases.identify({**SOURCE, "type": "git"}, "requirements.txt"),
        releases.identify(SOURCE, "requirements/prod.txt"),
        Releases("notes", str(tmp_path), str(script)).identify(SOURCE, "requirements.txt"),
    ]
    # A new version of the interpreter makes a new release.
    script.write_text("#!/bin/sh\necho Python 9.10\n", encoding="utf-8")
    others.append(Releases("notes", str(tmp_path), str(script)).identify(SOURCE, "requirements.txt"))
    assert len({identity, *others}) == 6


def test_nothing_yet(releases: Releases) -> None:
    assert releases.finished() == []
    assert releases.find("abc") is None
    releases.prune(2, set())


def test_only_finished_releases_are_found(releases: Releases) -> None:
    add(releases, "20260101T000000Z-abc")
    add(releases, "20260102T000000Z-def")
    add(releases, "20260103T000000Z-abc", finished=False)
    add(releases, "20260102T000000Z-xabc")
    assert releases.finished() == ["20260101T000000Z-abc", "20260102T000000Z-def", "20260102T000000Z-xabc"]
    assert releases.find("abc") == "20260101T000000Z-abc"
    add(releases, "20260104T000000Z-abc")
    assert releases.find("abc") == "20260104T000000Z-abc"
    assert releases.find("bc") is None


@pytest.mark.parametrize("part", ["app", "venv"])
def test_a_release_that_somebody_damaged_is_not_finished(releases: Releases, part: str) -> None:
    shutil.rmtree(Path(releases.path(add(releases, "1-abc"))) / part)
    assert releases.find("abc") is None


@pytest.mark.parametrize(
    ("keep", "used", "left"),
    [
        (2, [], "45"),
        (3, [], "345"),
        (9, [], "12345"),
        (2, ["1"], "145"),
        (2, ["1", "4"], "145"),
        (2, ["5", "4"], "45"),
    ],
)
def test_prune(releases: Releases, keep: int, used: list[str], left: str) -> None:
    for number in "12345":
        add(releases, number)
    releases.prune(keep, used)
    assert names(releases) == list(left)


def test_remove(releases: Releases) -> None:
    add(releases, "1")
    releases.remove("1")
    releases.remove("2")
    assert names(releases) == []


Member = tuple[str, bytes, str]

FILE, FOLDER, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def archive(path: Path, members: t.Sequence[Member]) -> str:
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, link, 0o755
            content = b"x" if kind == FILE else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return str(path)


@pytest.mark.parametrize(
    "members",
    [
        [],
        [("a", FILE, "")],
        [("a", FOLDER, ""), ("a/b", FILE, ""), ("a/c", LINK, "b"), ("d", LINK, "a/b"), ("a/e", LINK, "../d")],
        [("a", LINK, "nowhere")],
        [("a", LINK, ".")],
        [("a..b", FILE, ""), ("..c", FILE, "")],
        [("a/./b", FILE, "")],
        [("./a", LINK, "./b"), ("b", FILE, "")],
    ],
)
def test_unpack(tmp_path: Path, members: list[Member]) -> None:
    folder = tmp_path / "app"
    unpack_archive(archive(tmp_path / "a.tar.gz", members), str(folder))
    for name, kind, link in members:
        path = folder / name
        assert path.is_symlink() == (kind == LINK)
        if kind == LINK:
            assert os.readlink(path) == link
        else:
            assert stat.S_ISDIR(path.stat().st_mode) == (kind == FOLDER)


@pytest.mark.parametrize(
    "members",
    [
        [("../x", FILE, "")],
        [("a/../../x", FILE, "")],
        [("..", FOLDER, "")],
        [("/x", FILE, "")],
        [("a", LINK, "/etc/passwd")],
        [("a", LINK, "../x")],
        [("a", LINK, "..")],
        [("a/b", LINK, "../../x")],
        [("a", FOLDER, ""), ("a/../b", FILE, "")],
        [("./a", LINK, "."), ("./a/x", FILE, "")],
        [("a/b/c", FOLDER, ""), ("./a/b/c/up", LINK, "../../.."), ("out", LINK, "a/b/c/up/..")],
        [("a", LINK, "a/b")],
        # Both a name that begins like the folder's.
        [("../app2/x", FILE, "")],
        [("a", LINK, "../app2")],
        # A hard link counts from the archive's top, not from where it stands.
        [("a/b", HARD, "../x")],
        [("a", HARD, "/etc/passwd")],
        # Each link leads to a place inside, one through the other leads out.
        [("a/b/c", FOLDER, ""), ("a/b/c/up", LINK, "../../.."), ("out", LINK, "a/b/c/up/..")],
        # Written through a link.
        [("a", LINK, "."), ("a/x", FILE, "")],
        [("b", FOLDER, ""), ("a", LINK, "b"), ("a/x", FILE, "")],
        [("pipe", tarfile.FIFOTYPE, "")],
        [("device", tarfile.CHRTYPE, "")],
    ],
)
def test_unpack_refused(tmp_path: Path, members: list[Member], monkeypatch: pytest.MonkeyPatch) -> None:
    # Debian 12's Python has no filter of its own: what is refused must not hang on it.
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    outside = tmp_path / "in"
    outside.mkdir()
    with pytest.raises(BuildError, match=rf"^the source holds {members[-1][0]}, which "):
        unpack_archive(archive(tmp_path / "a.tar.gz", members), str(outside / "app"))
    assert [path for path in outside.rglob("*") if path.name in ("x", "device", "pipe")] == []
    assert os.listdir(outside) == ["app"]


def test_what_pack_packs_is_unpacked(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "app").mkdir(parents=True)
    (source / "app" / "main.py").write_text("app = 1\n", encoding="utf-8")
    (source / "app" / "run").write_text("#!/bin/sh\n", encoding="utf-8")
    (source / "app" / "run").chmod(0o700)
    os.link(source / "app" / "main.py", source / "twin.py")
    (source / "link").symlink_to("app/main.py")
    pack(str(source), [], str(tmp_path / "a.tar.gz"))
    unpack_archive(str(tmp_path / "a.tar.gz"), str(tmp_path / "app"))
    assert (tmp_path / "app" / "link").read_text(encoding="utf-8") == "app = 1\n"
    assert (tmp_path / "app" / "twin.py").read_text(encoding="utf-8") == "app = 1\n"
    assert (tmp_path / "app" / "app" / "run").stat().st_mode & 0o777 == 0o755


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_unpack_commit(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    (repository / "main.py").write_text("app = 1\n", encoding="utf-8")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "one")
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "main.py").write_text("app = 2\n", encoding="utf-8")
    unpack_commit(str(repository), commit, str(tmp_path / "app"))
    assert (tmp_path / "app" / "main.py").read_text(encoding="utf-8") == "app = 1\n"
    assert os.listdir(tmp_path / "app") == ["main.py"]
    assert (tmp_path / "app" / "main.py").stat().st_mode & 0o022 == 0
    with pytest.raises(BuildError, match=r"^git archive failed: "):
        unpack_commit(str(repository), "0" * 40, str(tmp_path / "other"))
