# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of one virtual environment in another, as hard links: what a lock with hashes names is the same there.

Releases are never changed, so they may share their files. Only what the packages' own records name is taken over, and
of the modules only what is as it was installed: what a hand has changed in a release ends with that release.

Root does it, and packages have put there whatever they liked. So nothing is reached through a link: it could lead to
a file of the host, which the application would then have in its release.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import glob
import hashlib
import io
import json
import os
import re
import shutil
import stat
import typing as t

#: A requirement that has one outcome: a version and its hashes. No path, no address, no option that reads another file.
_LOCKED = re.compile(
    r"[A-Za-z0-9._-]+(\[[A-Za-z0-9._, -]*\])?\s*==\s*[A-Za-z0-9.!+_-]+\s*(;[^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+"
)


class NotShared(Exception):
    """The packages of the environment cannot be taken over."""


class _Part(t.NamedTuple):
    """A file of a package, relative to the environment; ``digest`` as in a wheel's RECORD, "" where there is none."""

    path: str
    digest: str


def is_locked(requirements: str) -> bool:
    """Return whether each line of a requirements file has a version and hashes, so that it always installs the same."""
    lines = re.sub(r"\\\r?\n", " ", requirements).splitlines()
    stated = [re.sub(r"(^|\s)#.*$", "", line).strip() for line in lines]
    return any(stated) and all(_LOCKED.fullmatch(line) for line in stated if line)


def share_packages(old: str, new: str) -> None:
    """Link what is installed in the virtual environment ``old`` into ``new``, which has nothing but its interpreter.

    What was installed from a folder, as the application itself may be, is left out: it belongs to another release.

    :raises NotShared: and ``new`` may hold some of the files
    """
    parts = [part for record in _records(old) for part in _parts(record, old)]
    made: t.Set[str] = set()
    seen: t.Set[str] = set()
    for part in parts:
        source, target = os.path.join(old, part.path), os.path.join(new, part.path)
        try:
            # Of thousands of files most are in one of a few hundred folders.
            if os.path.dirname(part.path) not in seen:
                _refuse_links(old, part.path)
                _refuse_links(new, part.path)
                os.makedirs(os.path.dirname(target), mode=0o750, exist_ok=True)
                seen.add(os.path.dirname(part.path))
            if os.path.lexists(target):
                if target not in made:
                    # bin/python, for instance, which leads to the host's own interpreter.
                    raise NotShared("{0} is of no package".format(target))
                # Two packages have the file; the later one's would have replaced it as well.
                os.unlink(target)
            made.add(target)
            with _opened(source) as stream:
                if part.path.startswith("bin/"):
                    _copy_script(stream, target, old, new)
                    continue
                if part.digest and part.digest != _digest(stream.read()):
                    raise NotShared("{0} is not as it was installed".format(source))
            _link(source, target)
        except OSError as error:
            raise NotShared("{0}: {1}".format(source, error.strerror)) from None


def _refuse_links(venv: str, path: str) -> None:
    """:raises NotShared: where ``venv``, or a folder on the way from there to the file ``path`` in it, is a link"""
    above = os.path.realpath(os.path.dirname(venv))
    folder = os.path.join(above, os.path.basename(venv), os.path.dirname(path)).rstrip("/")
    if os.path.realpath(folder) != folder:
        raise NotShared("{0} is reached through a link".format(os.path.join(venv, path)))


@contextlib.contextmanager
def _opened(path: str) -> t.Iterator[t.BinaryIO]:
    """Open a regular file.

    :raises OSError: for a link, too; :raises NotShared: for another kind, of which a named pipe would never end
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise NotShared("{0} is no file".format(path))
        yield stream


def _records(venv: str) -> t.List[str]:
    found = glob.glob(os.path.join(glob.escape(venv), "lib/python*/site-packages/*.dist-info"))
    return [os.path.join(folder, "RECORD") for folder in sorted(found) if not _is_of_folder(folder)]


def _is_of_folder(dist_info: str) -> bool:
    try:
        with _opened(os.path.join(dist_info, "direct_url.json")) as stream:
            return str(json.load(stream).get("url", "")).startswith("file:")
    except (OSError, ValueError, AttributeError, NotShared):
        return False


def _parts(record: str, venv: str) -> t.Iterator[_Part]:
    _refuse_links(venv, os.path.relpath(record, venv))
    packages = os.path.dirname(os.path.dirname(record))
    try:
        with _opened(record) as binary, io.TextIOWrapper(binary, encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, ValueError, csv.Error):
        raise NotShared("{0} cannot be read".format(record)) from None
    for row in rows:
        path = os.path.relpath(os.path.join(packages, row[0]), venv)
        if path.startswith("../") or "\0" in path:
            raise NotShared("{0} lies outside".format(row[0]))
        yield _Part(path, row[1] if len(row) > 1 else "")


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        # Some file systems have no links, or not so many of one file.
        shutil.copy2(source, target, follow_symlinks=False)


def _copy_script(source: t.BinaryIO, target: str, old: str, new: str) -> None:
    """Copy a program, with the interpreter of its own environment in its first lines."""
    content = source.read()
    if content.startswith(b"#!"):
        content = content.replace(old.encode(), new.encode())
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        # Without the bits that would have it run as its owner, which is root here.
        os.fchmod(stream.fileno(), os.fstat(source.fileno()).st_mode & 0o777)
