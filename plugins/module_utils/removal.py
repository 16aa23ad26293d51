# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal of an application from its host: all that the role made, and nothing else. Its data stay.

A run that was killed anywhere is completed by the next one: until the end the user or a mark tells that it is ours.
"""

from __future__ import annotations

import glob
import grp
import os
import pwd
import shutil
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import discard, leftovers_of, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.hooks import environment_file
from ansible_collections.asgi.deploy.plugins.module_utils.hops import Hops
from ansible_collections.asgi.deploy.plugins.module_utils.published import Published
from ansible_collections.asgi.deploy.plugins.module_utils.slots import SLOTS

#: How the comment of an application's user begins: by it the user is known as ours.
MARK = "asgi.deploy"

#: In /opt/<name>: a removal has begun, and all in it is ours although its user may be gone.
_BEGUN = "removing"

#: In /var/lib/<name>: the data are those of an application that was removed.
_KEPT = ".asgi-deploy-kept"

#: Where a build has the credentials of a package index, see index_access.py.
_BUILDS = "/run/asgi-deploy-build"

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


class RemovalError(ValueError):
    """The application cannot be removed; the text says why."""


def would_remove(name: str, run: Run) -> t.List[str]:
    """Return what :func:`remove_application` would remove.

    :raises RemovalError: where there is something of this name that is not ours
    """
    return _Removal(name, run).found()


def remove_application(name: str, run: Run) -> t.List[str]:
    """Let both slots of the application drain, remove it, and return what was removed; nothing where it is not there.

    :raises RemovalError: where there is something of this name that is not ours, and nothing was removed; or where
        something could not be stopped or removed, and the next run goes on
    :raises OSError: where something could not be removed, and the next run goes on
    """
    removal = _Removal(name, run)
    found = removal.found()
    if found:
        removal.remove()
    return found


def is_there(name: str, base: str = "/") -> bool:
    """Return whether the host has the application: its user is there, or what a killed removal has left."""
    return _user(name) is not None or os.path.isfile(os.path.join(base, "opt", name, _BEGUN))


def is_kept_data(folder: str) -> bool:
    """Return whether ``folder`` holds the data of an application that was removed."""
    return os.path.isfile(os.path.join(folder, _KEPT))


def somebody_elses(name: str, base: str = "/") -> t.Optional[str]:
    """Return what has the name of the application and is not ours, in a few words, or None."""
    user, root = _user(name), os.path.join(base, "opt", name)
    if user is not None:
        return None if user.pw_gecos.startswith(MARK) else "the user " + name
    taken = os.path.lexists(root) and not _is_empty(root) and not os.path.isfile(os.path.join(root, _BEGUN))
    return root if taken else None


def data_of(name: str) -> t.Optional[str]:
    """Return the folder with the application's data, or None where it has none."""
    folder = os.path.join("/var/lib", name)
    return folder if os.path.isdir(folder) else None


class _Removal:
    def __init__(self, name: str, run: Run, base: str = "/") -> None:
        self.name = name
        self._run = run
        self._base = base
        self._root = os.path.join(base, "opt", name)
        self._begun = os.path.join(self._root, _BEGUN)
        self._data = os.path.join(base, "var/lib", name)
        self._published = Published(name, [], os.path.join(base, "var/www"))
        slots = ["{0}@{1}.{2}".format(name, slot, kind) for slot in SLOTS for kind in ("socket", "service")]
        # The ports first: nothing comes in any more while the slots drain.
        self._hops = Hops(run, base)
        self._units = [*self._hops.units_of(name), *slots]

    def found(self) -> t.List[str]:
        other = somebody_elses(self.name, self._base)
        if other:
            raise RemovalError("{0} is not removed: {1} is not of this collection".format(self.name, other))
        if _user(self.name) is None and not os.path.isfile(self._begun):
            return []
        links = [folder for folder in self._folders() if os.path.islink(folder)]
        if links:
            raise RemovalError(
                "{0} is a link: move what it leads to back to its place, or remove both by hand".format(links[0])
            )
        published = [] if self._published.is_settled("", []) else [self._published.folder]
        users = ["user " + self.name] if _user(self.name) is not None else []
        groups = ["group " + self.name] if _has_group(self.name) else []
        hops = self._hops.files_of(self.name)
        return [*self._unit_files(), *hops, *self._folders(), *published, *users, *groups]

    def remove(self) -> None:
        os.makedirs(self._root, exist_ok=True)
        if not os.path.exists(self._begun):
            write_file(self._begun, "The removal of {0} has begun.\n".format(self.name), mode=0o600)
        self._stop()
        self._forget_secrets()
        for path in [*self._unit_files(), *self._hops.files_of(self.name)]:
            os.unlink(path)
        self._hops.forget()
        self._run(["systemctl", "daemon-reload"])
        # One that had failed would be listed, and alarm somebody, for ever.
        self._run(["systemctl", "--quiet", "reset-failed", *self._units])
        for folder in self._folders():
            _empty(folder, but=self._begun)
            if folder != self._root:
                _remove_folder(folder)
        self._published.remove()
        if _is_empty(self._published.folder):
            # Killed before, it had removed all that it is known by.
            _remove_folder(self._published.folder)
        self._keep_data()
        self._remove_user()
        # Last: without it nobody knows that the rest is ours.
        os.unlink(self._begun)
        _remove_folder(self._root)

    def _folders(self) -> t.List[str]:
        folders = [os.path.join(self._base, folder, self.name) for folder in ("run", "var/cache", "opt")]
        # A mount point stays, empty.
        return [path for path in folders if os.path.lexists(path) and not (os.path.ismount(path) and _is_empty(path))]

    def _unit_files(self) -> t.List[str]:
        """Return the units, and the links by which they start at boot, also such as lead to nothing."""
        folder = os.path.join(self._base, "etc/systemd/system")
        paths = [os.path.join(folder, unit) for unit in self._units]
        links = [path for unit in self._units for path in sorted(glob.glob(os.path.join(folder, "*.wants", unit)))]
        return [path for path in [*links, *paths] if os.path.lexists(path)]

    def _stop(self) -> None:
        # Of a hook and of a slot that is kept warm. A unit of that name with its file elsewhere is somebody else's.
        transient = [
            unit
            for unit in (self.name + end for end in ("-hook.service", "-retire.timer", "-retire.service"))
            if os.path.lexists(os.path.join(self._base, "run/systemd/transient", unit))
        ]
        # First: a host that is started again in the middle must not start them.
        self._run(["systemctl", "--quiet", "disable", *self._units])
        self._hops.drain([hop for hop in self._hops.there() if hop.name == self.name])
        # Returns when they have drained.
        _code, _output, errors = self._run(["systemctl", "stop", *transient, *self._units])
        if self._run(["systemctl", "--quiet", "is-active", *self._units])[0] == 0:
            raise RemovalError(
                "systemctl stop failed: " + (errors.strip() or "a slot of {0} runs on".format(self.name))
            )

    def _forget_secrets(self) -> None:
        """Remove what a killed hook or build has left in memory, to be there until the host is started again."""
        hooks, login = (
            os.path.join(self._base, path.lstrip("/"))
            for path in (environment_file(self.name), os.path.join(_BUILDS, self.name))
        )
        discard([hooks, *leftovers_of(hooks), login])

    def _keep_data(self) -> None:
        """Close the data: the number of the user may be another user's tomorrow."""
        if os.path.isdir(self._data):
            os.chown(self._data, 0, 0)
            os.chmod(self._data, 0o700)
            for left in glob.glob(os.path.join(glob.escape(self._data), ".{0}.*".format(_KEPT))):
                # Killed while it was written.
                os.unlink(left)
            text = "Data of the application {0}, which was removed. Deployed again, it has them back.\n"
            write_file(os.path.join(self._data, _KEPT), text.format(self.name))

    def _remove_user(self) -> None:
        if _user(self.name) is not None:
            self._must(["userdel", self.name])
        # It goes with its user as a rule, but not where somebody else is a member.
        if _has_group(self.name):
            self._must(["groupdel", self.name])

    def _must(self, command: t.List[str]) -> None:
        code, output, errors = self._run(command)
        if code:
            raise RemovalError("{0} failed: {1}".format(command[0], (errors or output).strip()))


def _user(name: str) -> t.Optional[pwd.struct_passwd]:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _is_empty(folder: str) -> bool:
    return os.path.isdir(folder) and not os.listdir(folder)


def _empty(folder: str, but: str) -> None:
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif path != but:
            os.unlink(path)


def _remove_folder(folder: str) -> None:
    if not os.path.ismount(folder):
        os.rmdir(folder)
