# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes on disk that are there whole or not at all, also after a power cut.

Runs inside modules and, copied beside them, inside the programs asgi-deploy-certificates and
asgi-deploy-nginx-rollback: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
import time
import typing as t

#: Locks of this collection. Not /run/lock: whoever can read a file there can hold its lock, and the applications can.
LOCKS = "/run/asgi-deploy"


@contextlib.contextmanager
def locked(name: str, what: str, seconds: float = 30, by: str = "") -> t.Iterator[None]:
    """Hold the lock ``name``, which goes with the process, however that ends.

    :param what: what holds it, for the message
    :param by: who does, for the message of another process that wants it
    :raises ValueError: where another process has it for longer than ``seconds``, naming that process
    """
    os.makedirs(LOCKS, mode=0o700, exist_ok=True)
    deadline = time.monotonic() + seconds
    path = os.path.join(LOCKS, name)
    with open(path, "a+", encoding="utf-8") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    stream.seek(0)
                    holder = stream.read().strip() or "unknown"
                    raise ValueError("{0} is running on this host: process {1}".format(what, holder)) from None
            time.sleep(0.1)
        with naming(path):
            stream.truncate(0)
            stream.write(str(os.getpid()) + (", started by {0}".format(by) if by else ""))
            stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)


def words_of(error: BaseException) -> str:
    """Return an error's text for a user: of the system's errors the file and the reason, without Python's number."""
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    return str(error)


@contextlib.contextmanager
def naming(path: str) -> t.Iterator[None]:
    """Put ``path`` into an error of the system that names nothing: "No space left on device" does not say on which."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = path
        raise


def sync_folder(folder: str) -> None:
    """Make the names in ``folder`` durable: a rename alone may be lost with the power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: str, content: str, mode: int = 0o644, group: int = -1) -> None:
    """Replace ``path`` by ``content``; a reader sees the old file or the new one.

    :param group: the id of the group that the file belongs to; -1 for the process's own
    """
    folder = os.path.dirname(path)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix="." + os.path.basename(path) + ".")
    try:
        with naming(path), os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            # Before the first byte: a secret must not be readable for a moment either.
            os.fchown(stream.fileno(), -1, group)
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_folder(folder)


def leftovers_of(path: str) -> t.List[str]:
    """Return what a process that was killed inside :func:`write_file` has left, a secret perhaps."""
    folder, name = os.path.split(path)
    return sorted(glob.glob(os.path.join(glob.escape(folder), "." + glob.escape(name) + ".????????")))


def discard(paths: t.Iterable[str]) -> None:
    """Remove these files, links and whole folders, as far as they are there."""
    for path in paths:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)


def flip(link: str, target: str) -> None:
    """Make the symlink ``link`` point at ``target``, in one step."""
    temporary = link + ".new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    try:
        os.symlink(target, temporary)
    except OSError as error:
        # It names the target, which has nothing to do with it.
        error.filename, error.filename2 = link, None
        raise
    os.replace(temporary, link)
    sync_folder(os.path.dirname(link))


def flip_back(link: str, before: t.Optional[str]) -> None:
    """Undo a :func:`flip`. :param before: what :func:`target_of` said before it"""
    if before is None:
        os.unlink(link)
    else:
        flip(link, before)


def target_of(link: str) -> t.Optional[str]:
    """Return what the symlink ``link`` says, or None where there is none."""
    return os.readlink(link) if os.path.islink(link) else None


def read_text(path: str) -> t.Optional[str]:
    """Return the text of ``path``, or None where there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def names_below(folder: str) -> t.List[str]:
    """Return the files below ``folder``, as relative paths."""
    return [
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _folders, names in os.walk(folder)
        for name in names
    ]


def read_tree(folder: str) -> t.Dict[str, str]:
    """Return the files below ``folder``, relative path to text."""
    return {name: read_text(os.path.join(folder, name)) or "" for name in names_below(folder)}


def write_tree(
    folder: str, files: t.Mapping[str, str], private: t.Optional[t.Mapping[str, str]] = None, group: int = -1
) -> None:
    """Write ``files`` below ``folder``, which is made; durable when this returns.

    :param private: further files, which only root and the ``group`` can read
    """
    os.makedirs(folder, mode=0o755)
    secret = private or {}
    for name in sorted({**files, **secret}):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        if name in secret:
            write_file(path, secret[name], 0o640, group)
        else:
            write_file(path, files[name])


def diff_of(
    before: t.Mapping[str, t.Optional[str]], after: t.Mapping[str, t.Optional[str]]
) -> t.List[t.Dict[str, str]]:
    """Return Ansible's ``diff`` for two trees: an entry for each file that differs, path to text."""
    return [
        {
            "before_header": path,
            "after_header": path,
            "before": before.get(path) or "",
            "after": after.get(path) or "",
        }
        for path in sorted(set(before) | set(after))
        if before.get(path) != after.get(path)
    ]
