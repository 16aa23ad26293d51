# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller sends of a source: a folder as one archive that depends on nothing but its contents, or a file.

The digest comes first, and is all that an unchanged source costs. What is sent is what the digest was made of.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import hashlib
import io
import os
import pathlib
import shutil
import tarfile
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

_PATH = "gunicorn_app_source.path"


class Snapshot(t.Protocol):
    """A source on the controller, as it was when it was looked at."""

    #: SHA-256, hexadecimal.
    digest: str

    def write(self, path: str) -> None:
        """Write what is sent to ``path``.

        :raises Refused: where the source is another one by now
        """


def snapshot(source: t.Mapping[str, t.Any]) -> Snapshot | None:
    """Return what the controller has of ``source``, a normalised ``gunicorn_app_source``; None where it has nothing."""
    if source["type"] == "directory":
        return Folder(source["path"], source["exclude"])
    if source["type"] == "archive" and source["path"] is not None:
        return File(source["path"])
    return None


class File:
    def __init__(self, path: str) -> None:
        self._path = path
        self.digest = file_digest(path)

    def write(self, path: str) -> None:
        shutil.copyfile(self._path, path)
        if file_digest(path) != self.digest:
            raise Refused(_PATH, self._path, "a file that does not change while it is sent")


class Folder:
    """Owners and times are left out and the order is fixed, so that an unchanged folder has the same digest on every
    controller and after every checkout.

    :param exclude: shell patterns for names to leave out, wherever they stand
    """

    def __init__(self, folder: str, exclude: t.Sequence[str]) -> None:
        self._folder = folder
        self._entries: list[tuple[pathlib.Path, tarfile.TarInfo, bytes | None]] = []
        digest = hashlib.sha256()
        # gettarinfo() reads nothing of the archive; it only belongs to one.
        with tarfile.open(fileobj=io.BytesIO(), mode="w", format=tarfile.PAX_FORMAT) as tar, _readable(folder):
            for path in _entries(pathlib.Path(folder), exclude):
                member = _member(tar, path, folder)
                content = hashlib.sha256(path.read_bytes()).digest() if member.isfile() else None
                # Names are bytes on Linux, and need not be UTF-8.
                described = f"{member.name}\0{member.type!r}\0{member.mode}\0{member.linkname}\0"
                digest.update(os.fsencode(described) + (content or b""))
                self._entries.append((path, member, content))
        self.digest = digest.hexdigest()

    def write(self, path: str) -> None:
        with (
            open(path, "wb") as raw,
            gzip.GzipFile("", "wb", 1, raw, mtime=0) as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for file, member, digest in self._entries:
                if digest is None:
                    tar.addfile(member)
                    continue
                with _readable(str(file)):
                    content = file.read_bytes()
                if hashlib.sha256(content).digest() != digest:
                    raise Refused(_PATH, str(file), "files that do not change while they are sent")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


@contextlib.contextmanager
def _readable(path: str) -> t.Iterator[None]:
    """Name the file that the controller cannot read."""
    try:
        yield
    except OSError as error:
        raise Refused(_PATH, error.filename or path, f"what can be read ({error.strerror})") from None


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with _readable(path), open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _member(tar: tarfile.TarFile, path: pathlib.Path, folder: str) -> tarfile.TarInfo:
    member = tar.gettarinfo(str(path), arcname=str(path.relative_to(folder)))
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    if member.islnk():
        # That two files are one on this disk is no part of their contents.
        member.type, member.linkname = tarfile.REGTYPE, ""
    return member


def _entries(folder: pathlib.Path, exclude: t.Sequence[str]) -> t.Iterator[pathlib.Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in exclude):
            continue
        path = pathlib.Path(entry.path)
        # Sockets and pipes are no part of a release.
        if not (entry.is_symlink() or path.is_dir() or path.is_file()):
            continue
        yield path
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(path, exclude)
