# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of one virtual environment in another, as hard links: what a lock with hashes names is the same there.

Releases are never changed, so they may share their files. Only what the packages' own records name is taken over, and
of the modules only what is as it was installed: what a hand has changed in a release ends with that release.
"""

from __future__ import annotations

import base64
import csv
import glob
import hashlib
import json
import os
import re
import shutil
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
    for part in parts:
        source, target = os.path.join(old, part.path), os.path.join(new, part.path)
        os.makedirs(os.path.dirname(target), mode=0o750, exist_ok=True)
        if part.path.startswith("bin/"):
            _copy_script(source, target, old, new)
            continue
        try:
            if part.digest and part.digest != _digest(source):
                raise NotShared("{0} is not as it was installed".format(source))
            _link(source, target)
        except OSError as error:
            raise NotShared("{0}: {1}".format(source, error.strerror)) from None


def _records(venv: str) -> t.List[str]:
    found = glob.glob(os.path.join(glob.escape(venv), "lib/python*/site-packages/*.dist-info"))
    return [os.path.join(folder, "RECORD") for folder in sorted(found) if not _is_of_folder(folder)]


def _is_of_folder(dist_info: str) -> bool:
    try:
        with open(os.path.join(dist_info, "direct_url.json"), encoding="utf-8") as stream:
            return str(json.load(stream).get("url", "")).startswith("file:")
    except (OSError, ValueError):
        return False


def _parts(record: str, venv: str) -> t.Iterator[_Part]:
    packages = os.path.dirname(os.path.dirname(record))
    try:
        with open(record, encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, ValueError, csv.Error):
        raise NotShared("{0} cannot be read".format(record)) from None
    for row in rows:
        path = os.path.relpath(os.path.join(packages, row[0]), venv)
        if path.startswith("../"):
            raise NotShared("{0} lies outside".format(row[0]))
        yield _Part(path, row[1] if len(row) > 1 else "")


def _digest(path: str) -> str:
    with open(path, "rb") as stream:
        digest = hashlib.sha256(stream.read()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _link(source: str, target: str) -> None:
    if os.path.lexists(target):
        # Two packages have the file; the later one's would have replaced it as well.
        os.unlink(target)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        # Some file systems have no links, or not so many of one file.
        shutil.copy2(source, target, follow_symlinks=False)


def _copy_script(source: str, target: str, old: str, new: str) -> None:
    """Copy a program, with the interpreter of its own environment in its first lines."""
    try:
        with open(source, "rb") as stream:
            content = stream.read()
        if content.startswith(b"#!"):
            content = content.replace(old.encode(), new.encode())
        with open(target, "wb") as stream:
            stream.write(content)
        shutil.copymode(source, target)
    except OSError as error:
        raise NotShared("{0}: {1}".format(source, error.strerror)) from None
