# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release of an application: a folder that is built once, from one source, and never changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import re
import shutil
import stat
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, sync_folder, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.build_tools import Tools
from ansible_collections.asgi.deploy.plugins.module_utils.index_access import index_access
from ansible_collections.asgi.deploy.plugins.module_utils.installers import Environment, Install
from ansible_collections.asgi.deploy.plugins.module_utils.ownership import give
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError, end_those_of, run_as
from ansible_collections.asgi.deploy.plugins.module_utils.published_files import sync_disk

__all__ = ["BuildError", "Install", "Releases"]

#: Of this collection; a test compares it with galaxy.yml.
VERSION = "0.1.0"

_RECORD = "release.json"

#: What a finished release has, beside its server; the record is written last.
_PARTS = (_RECORD, "app", "venv/bin/python")

#: What build() calls a release.
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")


class Releases:
    """The releases of the application ``name`` below ``root``.

    :param python: interpreter for the virtual environments
    """

    def __init__(self, name: str, root: str, python: str) -> None:
        self.name = name
        self.folder = os.path.join(root, "releases")
        self.cache = os.path.join("/var/cache", name)
        self.python = python

    def identify(self, described: t.Mapping[str, t.Any], install: Install) -> str:
        """Return the id of a release: the same source, installed in the same way, on the same Python."""
        parts: t.List[t.Any] = [described["type"], described["digest"], self.python, self._version()]
        return _digest([*parts, *_installed_by(install)])

    def code(self, name: str) -> str:
        """Return what a release has in common with that of another host, where Python may be another one."""
        record = self.record(name)
        source = record.get("source")
        # One of a version of this collection that did not write it down: its own name says it no worse.
        known = [source.get("type"), source.get("digest")] if isinstance(source, dict) else [name]
        return str(record.get("code") or _digest([*known, record.get("requirements"), record.get("server")]))

    def find(self, identity: str) -> t.Optional[str]:
        """Return the folder's name of the finished release ``identity``, the newest if there are several."""
        return next((name for name in reversed(self.finished()) if name.endswith("-" + identity)), None)

    def finished(self) -> t.List[str]:
        """Return the names of the releases that were built to their end and are still whole, oldest first."""
        names = sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else []
        return [name for name in names if self._is_whole(name)]

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def record(self, name: str) -> t.Dict[str, t.Any]:
        """Return what is written down of a release: what it was built from, by what, and when."""
        try:
            record = json.loads(read_text(os.path.join(self.path(name), _RECORD)) or "{}")
        except ValueError:
            return {}
        return record if isinstance(record, dict) else {}

    def build(
        self,
        identity: str,
        described: t.Mapping[str, t.Any],
        unpack: t.Callable[[str], None],
        install: Install,
        used: t.Collection[str],
    ) -> str:
        """Build a release and return its name. What an interrupted build left is removed first.

        :param described: what the source says of itself; kept beside the release
        :param unpack: puts the source into the folder that it is given, which it makes
        :param used: releases that a slot runs: they stay, even if somebody has damaged them
        :raises BuildError: and nothing of the release is left
        """
        self.remove_unfinished(used)
        name = time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()) + identity
        user = pwd.getpwnam(self.name)
        self._make_folders(user)
        folder = self.path(name)
        os.mkdir(folder, 0o750)
        try:
            # Until it is unpacked nobody else can enter: what unpacks is root.
            unpack(os.path.join(folder, "app"))
            give(folder, user.pw_uid, user.pw_gid, maker=os.geteuid())
            version = self._version()
            with index_access(self.name, install.index, user) as access:
                tools = Tools(self.python, version)
                environment = Environment(folder, self.python, version, user, self.cache, access, tools)
                installed = environment.install(described, install, self._with_dependencies)
            for part in ("app", "venv"):
                if os.path.islink(os.path.join(folder, part)):
                    # The user has built, and could have put one there: what it leads to would be published.
                    raise BuildError("the build has replaced its folder {0} by a link".format(part))
            # The application can read its release and change nothing in it.
            give(folder, 0, user.pw_gid, maker=user.pw_uid)
            record = {
                "release": name,
                "code": _digest([described["type"], described["digest"], *_installed_by(install)]),
                "source": dict(described),
                "requirements": install.requirements,
                "server": install.server,
                "python": {"path": self.python, "version": version.rpartition(" ")[2]},
                "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "asgi.deploy": VERSION,
                **installed,
            }
            # An installer syncs nothing: after a power cut the record could be there, and the files empty for ever.
            sync_disk(folder)
            # Last: a release without it is not finished.
            write_file(os.path.join(folder, _RECORD), json.dumps(record, indent=2, sort_keys=True) + "\n")
        except BaseException:
            self.remove(name)
            raise
        return name

    def remove(self, name: str) -> None:
        folder = self.path(name)
        # First, and on the disk: what a removal leaves that is killed, or loses its power, is not finished any more.
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, _RECORD))
            sync_folder(folder)
        shutil.rmtree(folder, ignore_errors=True)

    def prune(self, keep: int, used: t.Collection[str]) -> None:
        """Remove the oldest releases beyond ``keep``, but none that a slot still uses."""
        names = self.finished()
        for name in names[: max(0, len(names) - keep)]:
            if name not in used:
                self.remove(name)

    def _is_whole(self, name: str) -> bool:
        # While a release is built, its user could write one: a build that was killed then would count.
        if not self._is_ours(os.path.join(self.path(name), _RECORD)):
            return False
        parts = (*_PARTS, "venv/bin/" + str(self.record(name).get("server", "gunicorn")))
        return all(os.path.exists(os.path.join(self.folder, name, part)) for part in parts)

    def _is_ours(self, record: str) -> bool:
        try:
            found = os.lstat(record)
            return stat.S_ISREG(found.st_mode) and found.st_uid == os.stat(self.folder).st_uid
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _with_dependencies(self, identity: str) -> t.Optional[str]:
        """Return the virtual environment of a finished release with just these dependencies, the newest one."""
        found = (name for name in reversed(self.finished()) if self.record(name).get("dependencies") == identity)
        name = next(found, None)
        return None if name is None else os.path.join(self.path(name), "venv")

    def _version(self) -> str:
        """Return what the interpreter says of itself, "Python 3.13.5"."""
        return run_as([self.python, "-I", "--version"]).output.strip()

    def unfinished(self, used: t.Collection[str]) -> t.List[str]:
        """Return what a killed run has left of a release: half built, or half removed."""
        names = set(os.listdir(self.folder)) if os.path.isdir(self.folder) else set()
        # What has no name of ours is not ours to remove.
        return sorted(name for name in names - set(self.finished()) - set(used) if _NAME.fullmatch(name))

    def remove_unfinished(self, used: t.Collection[str]) -> None:
        for name in self.unfinished(used):
            # A tool's own child outlives the two that were killed above it, and would write on.
            end_those_of(self.path(name))
            self.remove(name)

    def _make_folders(self, user: t.Any) -> None:
        root = os.path.dirname(self.folder)
        os.makedirs(root, mode=0o755, exist_ok=True)
        for folder in (self.folder, self.cache):
            os.makedirs(folder, mode=0o750, exist_ok=True)
        os.chown(self.folder, 0, user.pw_gid)
        os.chown(self.cache, user.pw_uid, user.pw_gid)


def _installed_by(install: Install) -> t.List[t.Any]:
    # Whose credentials reach the index, and by which authority, changes nothing of what it has.
    address = install.index["url"] if install.index else None
    return [install.installer, install.requirements, address, list(install.packages), install.server]


def _digest(parts: t.Sequence[t.Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
