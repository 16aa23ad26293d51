# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generations of nginx's configuration on a host: which there are, which is live, which to go back to.

Runs inside the module nginx_tree and, copied beside it, inside the program asgi-deploy-nginx-rollback: only the
standard library, and nothing of Ansible.
"""

from __future__ import annotations

import fcntl
import glob
import grp
import os
import re
import shutil
import stat
import tempfile
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import (
    LOCKS,
    flip,
    names_below,
    read_text,
    read_tree,
    target_of,
    write_file,
    write_tree,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_caches import caches_of, remove_caches

HOME = "/etc/nginx/deploy"

#: The group that nginx's workers run as: it reads the password files.
GROUP = "www-data"

_STAGE = ".stage-"

#: How the folders begin in which check mode tests a tree; each is locked as long as it is used.
TRIAL = "check-"

_NAME = re.compile(r"([0-9]{8}T[0-9]{6}Z)-([^+]+)\+*")
_STATUS_PORT = re.compile(r"^\s*listen\s+127\.0\.0\.1:([0-9]+)", re.MULTILINE)


class Refusal(Exception):
    """Something must not go live; the text says why."""


class Generation(t.NamedTuple):
    """A folder name such as 20261120T201414Z-0123456789ab, taken apart."""

    name: str
    time: str
    id: str


class Generations:
    """:param home: the folder with ``current``, ``generations`` and ``history``"""

    def __init__(self, home: str = HOME) -> None:
        self.home = home
        self.current = os.path.join(home, "current")
        self.folder = os.path.join(home, "generations")
        self._history = os.path.join(home, "history")

    def refuse_foreign(self) -> None:
        """Refuse to write over what somebody else has put where our own files go.

        :raises Refusal: with the path, what is there, and what may be
        """
        target = target_of(self.current)
        if target is not None:
            target = os.path.dirname(os.path.normpath(os.path.join(self.home, target)))
        for path, right, wanted in (
            (self.home, os.path.isdir(self.home), "a folder"),
            (self.folder, os.path.isdir(self.folder), "a folder"),
            (self.current, target == self.folder, "the link to a generation that this collection makes"),
            (self._history, os.path.isfile(self._history) and not os.path.islink(self._history), "a regular file"),
        ):
            if os.path.lexists(path) and not right:
                raise Refusal(
                    "{0} is {1}, and not this collection's; accepted: {2}, or nothing of that name. Move it away, and "
                    "run again".format(path, _kind(path), wanted)
                )

    def all(self) -> t.List[Generation]:
        """Return the generations on the host, the oldest first."""
        names = sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else []
        found = [(_NAME.fullmatch(name), name) for name in names]
        return [Generation(name, match[1], match[2]) for match, name in found if match]

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def live(self) -> t.Optional[str]:
        """Return the name of the one that ``current`` points at."""
        target = target_of(self.current)
        return None if target is None else os.path.basename(target)

    def confirmed(self) -> t.List[str]:
        """Return those that nginx has served, the last one at the end; what was gone back from is not among them."""
        here = [generation.name for generation in self.all()]
        written = read_text(self._history)
        if written is None:
            # Not written yet by the version that made them.
            live = self.live()
            return [] if live is None else [name for name in here if name <= live]
        return [name for name in written.split() if name in here]

    def confirm(self, name: str) -> None:
        """Write down that nginx serves ``name``. One that it has served before takes back all that came after it."""
        names = self.confirmed()
        names = names[: names.index(name) + 1] if name in names else [*names, name]
        text = "\n".join(names) + "\n"
        if read_text(self._history) != text:
            write_file(self._history, text)

    def way_back(self, name: str) -> t.Optional[str]:
        """Return the generation to return to when ``name`` does not work: never one that nginx has not served."""
        names = self.confirmed()
        live = self.live()
        if live != name and live in names:
            return live
        return next((other for other in reversed(names) if other != name), None)

    def find(self, wanted: str) -> str:
        """Return the generation that a user calls ``wanted``: by ``previous``, its id or its folder's name.

        :raises Refusal: where there is none, with those that there are
        """
        found = self.all()
        live = self.live()
        if wanted == "previous":
            name = self._previous(live)
        else:
            names = [one.name for one in found if wanted in (one.id, one.name)]
            name = live if live in names else (names[-1] if names else None)
        if name is None:
            ids = [one.id + (" (live)" if one.name == live else "") for one in found]
            accepted = ", ".join(dict.fromkeys(ids)) or "nothing, there is none on this host yet"
            reason = "no generation before the live one is kept" if wanted == "previous" else "no such generation"
            raise Refusal('"{0}" is refused, {1}; accepted: {2}'.format(wanted, reason, accepted))
        return name

    def _previous(self, live: t.Optional[str]) -> t.Optional[str]:
        names = self.confirmed()
        if live in names and names[-1] != live:
            # Killed on the way back to this one: the same command ends it, and does not go back further.
            return live
        return self._before(live)

    def _before(self, live: t.Optional[str]) -> t.Optional[str]:
        """Return what nginx served before ``live``."""
        ids = {one.name: one.id for one in self.all()}
        names = self.confirmed()
        before = names[: names.index(live)] if live in names else names
        # One with the live one's id is the same configuration: it came back after another.
        return next((name for name in reversed(before) if ids[name] != ids.get(live or "")), None)

    def files(self, name: str) -> t.Tuple[t.Dict[str, str], t.Dict[str, str]]:
        """Return a generation's files, and those of them that are not for everybody's eyes."""
        files = read_tree(self.path(name))
        private = {path: files.pop(path) for path in private_below(self.path(name))}
        return files, private

    def clean(self) -> None:
        """Remove what killed runs left. Only under the lock: somebody else's stage looks the same."""
        for name in os.listdir(self.home) if os.path.isdir(self.home) else []:
            if name.startswith(_STAGE):
                shutil.rmtree(os.path.join(self.home, name))
        remove_trials(LOCKS)

    def stage(self) -> str:
        """Return a new empty folder."""
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        return tempfile.mkdtemp(dir=self.home, prefix=_STAGE)

    def keep(self, tree: str, generation: str) -> str:
        """Move a proven tree among the generations, and return its name there."""
        # The time keeps the names in order, and apart where the same tree comes back.
        name = time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()) + generation
        while os.path.exists(self.path(name)):
            # Of the same second, and perhaps the live one: never removed before its successor is.
            name += "+"
        os.rename(tree, self.path(name))
        return name

    def point(self, name: t.Optional[str]) -> None:
        """Make ``name`` the live one; None for none at all."""
        if name is None:
            os.unlink(self.current)
        else:
            flip(self.current, os.path.join("generations", name))

    def prune(self, keep: int) -> None:
        """Remove the oldest but ``keep``, and never the live one, nor the one before it.

        That one may be the oldest, after a way back to it: without it nobody could go back once more.
        """
        live = self.live()
        never = {live, self._before(live)} - {None}
        names = [one.name for one in self.all() if one.name not in never]
        for name in names[: max(0, len(names) + len(never) - keep)]:
            self.remove(name)

    def remove(self, name: str) -> None:
        """Remove a generation, and the caches that no other one has."""
        kept = [self._caches(one.name) for one in self.all() if one.name != name]
        # First: a killed removal is done again as long as the generation is there.
        remove_caches(self._caches(name).difference(*kept))
        shutil.rmtree(self.path(name))

    def _caches(self, name: str) -> t.Set[str]:
        paths = glob.glob(os.path.join(glob.escape(self.path(name)), "sites", "*", "cache.conf"))
        return caches_of({os.path.relpath(path, self.path(name)): read_text(path) or "" for path in paths})

    def named(self, name: str, root: str) -> t.Set[str]:
        """Return the TLS folders below ``root`` that a generation reads."""
        pattern = re.compile(re.escape(root.rstrip("/")) + r"/([^/\s;\"']+)/")
        files, _private = self.files(name)
        return {match[1] for text in files.values() for match in pattern.finditer(text)}

    def status_port(self, name: str) -> int:
        """Return the port where this generation says its id."""
        match = _STATUS_PORT.search(read_text(os.path.join(self.path(name), "http/status.conf")) or "")
        if match is None:
            raise Refusal("the generation {0} has no http/status.conf to confirm it by".format(name))
        return int(match[1])


def remove_trials(parent: str) -> None:
    """Remove what killed trials left below ``parent``, keys and password files; one that is under way keeps its own."""
    for folder in glob.glob(os.path.join(glob.escape(parent), TRIAL + "*")):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            # Gone meanwhile, or no folder and none of ours.
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Two may remove the same one.
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def _kind(path: str) -> str:
    if os.path.islink(path):
        return "a link to " + os.readlink(path)
    return "a folder" if os.path.isdir(path) else "a file"


def id_of(name: str) -> str:
    """Return the id in the name of a generation's folder."""
    match = _NAME.fullmatch(name)
    return match[2] if match else name


def write_generation(folder: str, files: t.Mapping[str, str], private: t.Mapping[str, str]) -> None:
    """Write a tree that nginx's workers can read whole, and others but for the private files."""
    write_tree(folder, files, private, group_id() if private else -1)


def group_id() -> int:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        raise Refusal("this host has no group {0}, which nginx's workers run as".format(GROUP)) from None


def private_below(folder: str) -> t.List[str]:
    """Return the files below ``folder`` that must not be shown: also those whose mode a hand has changed."""
    return [
        name
        for name in names_below(folder + "/")
        if not (name.endswith(".conf") or "/pages/" in name)
        or not os.stat(os.path.join(folder, name)).st_mode & stat.S_IROTH
    ]


def drifted_modes(folder: str, private: t.Iterable[str]) -> t.List[str]:
    """Return the private files that have another mode or group than they should."""
    wrong = []
    for name in private:
        try:
            status = os.stat(os.path.join(folder, name))
        except OSError:
            continue
        if stat.S_IMODE(status.st_mode) != 0o640 or status.st_gid != group_id():
            wrong.append(name)
    return wrong
