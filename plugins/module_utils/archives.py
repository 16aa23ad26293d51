# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of a source, tar or zip: whatever they hold, it stays inside the folder that they are unpacked to."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import typing as t
import zipfile
import zlib

from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError

#: What the libraries raise for a file that is damaged, encrypted or of another kind. RuntimeError is zipfile's.
_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)

#: What the disk has left when all is unpacked, in bytes.
_SPARE = 50 * 2**20

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


class _Member(t.NamedTuple):
    """A file, a folder (``content`` is None) or a symlink (``link`` is its target)."""

    name: str
    size: int
    executable: bool
    link: t.Optional[str]
    content: t.Optional[t.Callable[[], t.IO[bytes]]]


def unpack_archive(archive: str, folder: str, strip: bool = False) -> None:
    """Unpack a tar or zip archive into ``folder``, which is made.

    :param strip: leave out a folder that all the rest is in, as in what code hosts offer for download
    :raises BuildError: for a member that would lie or lead outside, and for an archive that cannot be read
    """
    os.makedirs(folder)
    try:
        with contextlib.ExitStack() as stack:
            members = _members(archive, stack)
            _check(members)
            if strip:
                members = _stripped(members)
                # A link that stayed within the folder's parent leads out now.
                _check(members)
            _check_room(members, folder)
            _write(members, folder)
    except _UNREADABLE as error:
        raise BuildError("the source is no tar or zip archive that can be read: {0}".format(error)) from None


def _members(archive: str, stack: contextlib.ExitStack) -> t.List[_Member]:
    with open(archive, "rb") as stream:
        # A tar archive may end with a zip file, so the beginning counts.
        zipped = stream.read(4) in _ZIP
    if zipped:
        packed = stack.enter_context(zipfile.ZipFile(archive))
        return [_of_zip(packed, info) for info in packed.infolist()]
    tar = tarfile.open(archive)  # noqa: SIM115 - the stack closes it
    stack.enter_context(tar)
    return [_of_tar(tar, info) for info in tar.getmembers()]


def _of_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    if not (info.isfile() or info.isdir() or info.issym()):
        raise BuildError("the source holds {0}, which is no file, folder or symlink".format(info.name))

    def content() -> t.IO[bytes]:
        # None would be for what is no file, of which nobody asks the content.
        return t.cast("t.IO[bytes]", tar.extractfile(info))

    link = info.linkname if info.issym() else None
    return _Member(info.name, info.size, bool(info.mode & 0o100), link, content if info.isfile() else None)


def _of_zip(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise BuildError("the source holds {0}, which is no file, folder or symlink".format(info.filename))
    if info.is_dir():
        return _Member(info.filename, 0, True, None, None)
    if kind == stat.S_IFLNK:
        return _Member(info.filename, 0, True, file.read(info).decode("utf-8", "surrogateescape"), None)
    return _Member(info.filename, info.file_size, bool(mode & 0o100), None, lambda: file.open(info))


def _check(members: t.Sequence[_Member]) -> None:
    links = {posixpath.normpath(member.name): member.link for member in members if member.link is not None}
    for member in members:
        if any(posixpath.normpath(member.name).startswith(link + "/") for link in links):
            raise BuildError("the source holds {0}, which leads through a link".format(member.name))
        if ".." in member.name.split("/") or leads_out(member.name, links):
            raise BuildError("the source holds {0}, which leads out of it".format(member.name))


def _check_room(members: t.Sequence[_Member], folder: str) -> None:
    """Refuse what would fill the disk, before it does: other things on the host need it as well."""
    needed, free = sum(member.size for member in members), shutil.disk_usage(folder).free
    if needed > free - _SPARE:
        raise BuildError(
            "the source is {0} MB large, and {1} MB are free below {2}".format(needed >> 20, free >> 20, folder)
        )


def _stripped(members: t.List[_Member]) -> t.List[_Member]:
    """Return the members without the one folder that holds them all, if there is such a folder."""
    names = [posixpath.normpath(member.name) for member in members]
    tops = {name.partition("/")[0] for name in names if name != "."}
    if len(tops) != 1 or not any("/" in name for name in names):
        return members
    top = tops.pop()
    # A link counts from its own place, so its target stays as it is.
    inside = [member._replace(name=posixpath.normpath(member.name)[len(top) + 1 :]) for member in members]
    return [member for member in inside if member.name]


def _write(members: t.Sequence[_Member], folder: str) -> None:
    for member in members:
        path = os.path.join(folder, posixpath.normpath(member.name))
        if member.link is None and member.content is None:
            os.makedirs(path, mode=0o755, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        if os.path.lexists(path):
            # Of a name that is there twice the last one counts, and no link is written through.
            os.unlink(path)
        if member.link is not None:
            os.symlink(member.link, path)
        elif member.content is not None:
            with member.content() as source, open(path, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            os.chmod(path, 0o755 if member.executable else 0o644)


def leads_out(name: str, links: t.Mapping[str, str]) -> bool:
    """Return whether ``name`` lies outside once the symlinks are followed, one through the other."""
    place: t.List[str] = []
    rest = name.split("/")[::-1]
    followed = 0
    if name.startswith("/"):
        return True
    while rest:
        part = rest.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not place:
                return True
            place.pop()
            continue
        place.append(part)
        link = links.get("/".join(place))
        if link is not None:
            followed += 1
            # Linux gives up after 40 as well.
            if link.startswith("/") or followed > 40:
                return True
            place.pop()
            rest += link.split("/")[::-1]
    return False
