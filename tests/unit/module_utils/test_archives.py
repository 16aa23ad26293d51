# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive may hold, and where it comes to lie."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import archives
from ansible_collections.asgi.deploy.plugins.module_utils.archives import unpack_archive
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError
from ansible_collections.asgi.deploy.plugins.plugin_utils.pack import snapshot

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
def test_unpack_refused(tmp_path: Path, members: list[Member]) -> None:
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
    taken = snapshot({"type": "directory", "path": str(source), "exclude": []})
    assert taken is not None
    taken.write(str(tmp_path / "a.tar.gz"))
    unpack_archive(str(tmp_path / "a.tar.gz"), str(tmp_path / "app"))
    assert (tmp_path / "app" / "link").read_text(encoding="utf-8") == "app = 1\n"
    assert (tmp_path / "app" / "twin.py").read_text(encoding="utf-8") == "app = 1\n"
    assert (tmp_path / "app" / "app" / "run").stat().st_mode & 0o777 == 0o755


def zipped(path: Path, members: t.Sequence[Member]) -> str:
    with zipfile.ZipFile(path, "w") as packed:
        for name, kind, link in members:
            info = zipfile.ZipInfo(name + ("/" if kind == FOLDER else ""))
            mode = {FILE: stat.S_IFREG | 0o755, FOLDER: stat.S_IFDIR | 0o755, LINK: stat.S_IFLNK | 0o777}
            info.external_attr = mode.get(kind, stat.S_IFIFO | 0o644) << 16
            packed.writestr(info, link if kind == LINK else "x" if kind == FILE else "")
    return str(path)


def test_unpack_zip(tmp_path: Path) -> None:
    members = [("a", FOLDER, ""), ("a/run", FILE, ""), ("b/c", FILE, ""), ("link", LINK, "a/run")]
    unpack_archive(zipped(tmp_path / "a.zip", members), str(tmp_path / "app"))
    assert os.readlink(tmp_path / "app" / "link") == "a/run"
    assert (tmp_path / "app" / "link").read_text(encoding="utf-8") == "x"
    assert (tmp_path / "app" / "a" / "run").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "members",
    [
        [("../x", FILE, "")],
        [("/x", FILE, "")],
        [("a", LINK, "/etc/passwd")],
        [("a", LINK, "../x")],
        [("a", LINK, "."), ("a/x", FILE, "")],
        [("pipe", tarfile.FIFOTYPE, "")],
    ],
)
def test_unpack_zip_refused(tmp_path: Path, members: list[Member]) -> None:
    outside = tmp_path / "in"
    outside.mkdir()
    with pytest.raises(BuildError, match=rf"^the source holds {members[-1][0]}, which "):
        unpack_archive(zipped(tmp_path / "a.zip", members), str(outside / "app"))
    assert [path for path in outside.rglob("*") if path.name != "app"] == []


@pytest.mark.parametrize(
    ("members", "left"),
    [
        ([("top", FOLDER, ""), ("top/a", FILE, ""), ("top/b/c", FILE, "")], ["a", "b"]),
        ([("./top/a", FILE, ""), ("./top/l", LINK, "a")], ["a", "l"]),
        ([("top/a", FILE, ""), ("other", FILE, "")], ["other", "top"]),
        ([("a", FILE, "")], ["a"]),
        ([("top", FOLDER, "")], ["top"]),
    ],
)
@pytest.mark.parametrize("make", [archive, zipped])
def test_one_folder_around_all_is_left_out(
    tmp_path: Path, make: t.Callable[..., str], members: list[Member], left: list[str]
) -> None:
    path = make(tmp_path / "source", members)
    unpack_archive(path, str(tmp_path / "app"), strip=True)
    assert sorted(os.listdir(tmp_path / "app")) == left
    unpack_archive(path, str(tmp_path / "whole"))
    assert sorted(os.listdir(tmp_path / "whole")) == sorted(
        {name.replace("./", "").split("/")[0] for name, *_ in members}
    )


def test_a_link_to_beside_that_folder_leads_out(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", [("top/a", FILE, ""), ("top/b", LINK, "..")])
    with pytest.raises(BuildError, match=r"^the source holds b, which leads out of it"):
        unpack_archive(path, str(tmp_path / "app"), strip=True)


def test_of_a_name_that_is_there_twice_the_last_one_counts(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", [("target", FOLDER, ""), ("a", LINK, "target/x"), ("a", FILE, "")])
    unpack_archive(path, str(tmp_path / "app"))
    assert (tmp_path / "app" / "a").read_text(encoding="utf-8") == "x"
    assert os.listdir(tmp_path / "app" / "target") == []


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_compression(tmp_path: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "source", mode) as tar:  # type: ignore[call-overload]
        tar.addfile(tarfile.TarInfo("a"), io.BytesIO())
    unpack_archive(str(tmp_path / "source"), str(tmp_path / "app"))
    assert os.listdir(tmp_path / "app") == ["a"]


def test_a_tar_archive_that_ends_with_a_zip_file(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", [("wrong", FILE, "")])
    with tarfile.open(tmp_path / "source", "w") as tar:
        tar.add(inner, "inner.zip")
    unpack_archive(str(tmp_path / "source"), str(tmp_path / "app"))
    assert os.listdir(tmp_path / "app") == ["inner.zip"]


def damaged(content: bytes) -> t.Iterator[bytes]:
    yield b""
    yield b"no archive"
    yield b"PK\x03\x04 no archive either"
    yield content[: len(content) // 2]
    yield content[:40] + b"X" * 60 + content[100:]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("make", ["tar", "zip"])
def test_what_cannot_be_read(tmp_path: Path, make: str, number: int) -> None:
    whole = tmp_path / "whole"
    if make == "tar":
        with tarfile.open(whole, "w:gz") as tar:
            member = tarfile.TarInfo("a")
            member.size = 9999
            tar.addfile(member, io.BytesIO(os.urandom(9999)))
    else:
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("a", os.urandom(9999))
    path = tmp_path / "source"
    path.write_bytes(list(damaged(whole.read_bytes()))[number])
    with pytest.raises(BuildError, match=r"^the source is no tar or zip archive that can be read"):
        unpack_archive(str(path), str(tmp_path / "app"))


def test_what_would_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a.tar.gz", [("a", FILE, "")])
    monkeypatch.setattr(archives, "_SPARE", 2**60)
    with pytest.raises(BuildError, match="MB are free below"):
        unpack_archive(path, str(tmp_path / "app"))
    assert os.listdir(tmp_path / "app") == []
