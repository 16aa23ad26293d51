# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder on the controller as one archive that depends on nothing but its contents."""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import os
import pathlib
import tarfile
import typing as t


def pack(folder: str, exclude: t.Sequence[str], archive: str) -> str:
    """Write the files below ``folder`` to ``archive`` (tar.gz) and return the digest of its contents.

    Owners and times are left out and the order is fixed, so that an unchanged folder has the same digest
    on every controller and after every checkout.

    :param exclude: shell patterns for names to leave out, wherever they stand
    """
    digest = hashlib.sha256()
    with (
        open(archive, "wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in _entries(pathlib.Path(folder), exclude):
            member = tar.gettarinfo(str(path), arcname=str(path.relative_to(folder)))
            member.uid = member.gid = member.mtime = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            if member.islnk():
                # That two files are one on this disk is no part of their contents.
                member.type, member.linkname = tarfile.REGTYPE, ""
            described = f"{member.name}\0{member.type!r}\0{member.mode}\0{member.linkname}\0"
            # Names are bytes on Linux, and need not be UTF-8.
            digest.update(os.fsencode(described))
            if not member.isfile():
                tar.addfile(member)
                continue
            content = path.read_bytes()
            member.size = len(content)
            digest.update(hashlib.sha256(content).digest())
            tar.addfile(member, io.BytesIO(content))
    return digest.hexdigest()


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
