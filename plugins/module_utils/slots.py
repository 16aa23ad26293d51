# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two slots of an application on a host: one serves, in the other the next release is proven."""

from __future__ import annotations

import http.client
import os
import socket
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import (
    flip,
    flip_back,
    read_text,
    target_of,
    write_file,
)

SLOTS = ("blue", "green")

#: Seconds between the flip and the end of the old slot: for a connection that nginx was just opening.
_SETTLE = 0.5

#: Answers that waiting does not change: the path is wrong, or closed to us.
_FINAL = (400, 401, 403, 404, 405, 410)

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


class SlotError(Exception):
    """A release did not start or answer; the text holds the application's own last log lines."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Health(t.NamedTuple):
    """The question that a release has to answer. ``timeout`` in seconds."""

    path: str
    host: str
    timeout: int

    def ask(self, address: str) -> t.Optional[str]:
        """Return why the socket at ``address`` is not healthy, or None."""
        return self._ask(address)[1]

    def _ask(self, address: str) -> t.Tuple[int, t.Optional[str]]:
        """Return the status, 0 without one, and why it is not healthy, or None."""
        connection = UnixConnection(address, timeout=min(5, self.timeout))
        try:
            connection.request("GET", self.path, headers={"Host": self.host, "X-Forwarded-Proto": "https"})
            answer = connection.getresponse()
            body = answer.read(200)
        except (OSError, http.client.HTTPException) as error:
            return 0, "GET {0} had no answer: {1}".format(self.path, error)
        finally:
            connection.close()
        if answer.status == 200:
            return 200, None
        return answer.status, "GET {0} answered {1} instead of 200: {2}".format(
            self.path, answer.status, body.decode("utf-8", "replace").strip()
        )

    def wait(self, address: str) -> t.Optional[str]:
        """Ask until it is healthy, or until the time is over."""
        deadline = time.monotonic() + self.timeout
        while True:
            status, problem = self._ask(address)
            # A worker has started when this is asked.
            if problem is None or time.monotonic() > deadline or status in _FINAL:
                return problem
            time.sleep(0.2)


class UnitState(t.NamedTuple):
    """Of a unit of systemd: does it run, does it start at boot, has it failed."""

    active: bool
    enabled: bool
    failed: bool


class Slots:
    """:param files: each slot's files, path to text; :param environment: text of the environment file"""

    def __init__(
        self, name: str, root: str, files: t.Mapping[str, t.Mapping[str, str]], environment: str, run: Run
    ) -> None:
        self.name = name
        self.root = root
        self.files = files
        self.environment = environment
        self._run = run

    @property
    def current(self) -> str:
        return os.path.join(self.root, "current.sock")

    def socket(self, slot: str) -> str:
        return "/run/{0}/{1}.sock".format(self.name, slot)

    def live(self) -> t.Optional[str]:
        """Return the slot that nginx reaches, or None before the first release."""
        target = target_of(self.current)
        slot = os.path.basename(target)[: -len(".sock")] if target else None
        return slot if slot in SLOTS else None

    def idle(self) -> str:
        """Return the slot that the next release is proven in."""
        live = self.live()
        if live is None:
            # Before the first release, or the link was lost: then the slot that runs may still be of use.
            return next((slot for slot in SLOTS if not self.is_active(slot)), SLOTS[0])
        return _other(live)

    def release_of(self, slot: t.Optional[str]) -> t.Optional[str]:
        """Return the name of the release that ``slot`` runs."""
        target = target_of(self._release_link(slot)) if slot else None
        return os.path.basename(target) if target else None

    def used_releases(self) -> t.Set[str]:
        return {name for name in (self.release_of(slot) for slot in SLOTS) if name}

    def on_disk(self, slot: str) -> t.Dict[str, t.Optional[str]]:
        return {path: read_text(path) for path in self.files[slot]}

    def is_as_wanted(self, slot: t.Optional[str], release: t.Optional[str]) -> bool:
        """Return whether ``slot`` has these settings and runs this release."""
        return (
            slot is not None
            and release is not None
            and self.release_of(slot) == release
            and self.on_disk(slot) == self.files[slot]
            and read_text(self._environment_file(slot)) == self.environment
        )

    def is_active(self, slot: str) -> bool:
        return all(state.active for state in self._states(slot))

    def repairs(self, live: str) -> t.List[t.Callable[[], None]]:
        """Return what has to be done so that ``live``, and nothing else, serves now and after a reboot.

        Empty as a rule. Not after a run that was killed between two of its steps, or after somebody's hand.
        """
        other = _other(live)
        wanted_link = os.path.join("releases", self.release_of(live) or "")
        due: t.List[t.Callable[[], None]] = []
        if not all(state.enabled for state in self._states(live)):
            due.append(lambda: self._systemctl("enable", live))
        if any(state.active or state.enabled or state.failed for state in self._states(other)):
            due.append(lambda: self._retire(other))
        if target_of(os.path.join(self.root, "current")) != wanted_link:
            due.append(lambda: flip(os.path.join(self.root, "current"), wanted_link))
        for path in map(self._environment_file, SLOTS):
            if os.path.exists(path) and not _is_secret(path):
                due.append(lambda path=path: _make_secret(path))  # type: ignore[misc]
        return due

    def start(self, slot: str, release: str, health: Health) -> None:
        """Start ``release`` in ``slot`` and prove it. :raises SlotError: and the slot is stopped again"""
        self._systemctl("stop", slot)
        self._systemctl("reset-failed", slot)
        self._write(slot, release)
        began = "@{0:.6f}".format(time.time())
        code, _output, errors = self._run(["systemctl", "start", *self._units(slot)])
        words = errors.strip() or "systemctl could not start " + self._units(slot)[0]
        problem = None if code == 0 else words.splitlines()[0]
        problem = problem or health.wait(self.socket(slot))
        if problem:
            log = self._run(
                [
                    "journalctl",
                    "--unit=" + self._units(slot)[0],
                    "--since=" + began,
                    "--lines=120",
                    "--no-pager",
                    "--output=cat",
                ]
            )[1]
            self._systemctl("stop", slot)
            self._systemctl("reset-failed", slot)
            # The release may go, and a link to nothing would puzzle whoever looks.
            os.unlink(self._release_link(slot))
            raise SlotError("{0}\nThe application's last log lines:\n{1}".format(problem, log.strip() or "(none)"))

    def switch(self, slot: str, health: Health) -> None:
        """Make ``slot`` the one that nginx reaches. :raises SlotError: and the one before is again"""
        before = target_of(self.current)
        self._systemctl("enable", slot)
        flip(self.current, self.socket(slot))
        problem = health.ask(self.current)
        if problem is not None:
            flip_back(self.current, before)
            self._systemctl("disable", slot)
            self._systemctl("stop", slot)
            raise SlotError("After the switch: " + problem)

    def _retire(self, slot: str) -> None:
        """Let ``slot`` drain and end, without waiting for it."""
        time.sleep(_SETTLE)
        self._systemctl("disable", slot)
        self._run(["systemctl", "stop", "--no-block", *self._units(slot)])
        # One that had failed would be listed, and alarm somebody, for ever.
        self._systemctl("reset-failed", slot)

    def _states(self, slot: str) -> t.List["UnitState"]:
        command = ["systemctl", "show", "--property=ActiveState,UnitFileState", *self._units(slot)]
        blocks = self._run(command)[1].strip().split("\n\n")
        words = ("ActiveState=active", "UnitFileState=enabled", "ActiveState=failed")
        return [UnitState(*(word in block for word in words)) for block in blocks]

    def _write(self, slot: str, release: str) -> None:
        folder = os.path.join(self.root, "slots", slot)
        os.makedirs(folder, mode=0o755, exist_ok=True)
        for path, text in self.files[slot].items():
            if read_text(path) != text:
                write_file(path, text)
        write_file(self._environment_file(slot), self.environment, mode=0o600)
        flip(self._release_link(slot), os.path.join("../../releases", release))
        self._run(["systemctl", "daemon-reload"])

    def _release_link(self, slot: str) -> str:
        return os.path.join(self.root, "slots", slot, "release")

    def _environment_file(self, slot: str) -> str:
        return os.path.join(self.root, "slots", slot, "environment")

    def _units(self, slot: str) -> t.List[str]:
        return ["{0}@{1}.{2}".format(self.name, slot, kind) for kind in ("service", "socket")]

    def _systemctl(self, verb: str, slot: str) -> None:
        # A unit that is not there yet has nothing to stop or reset; what matters shows in start().
        self._run(["systemctl", "--quiet", verb, *self._units(slot)])


def _other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def _is_secret(path: str) -> bool:
    found = os.stat(path)
    return found.st_uid == 0 and found.st_mode & 0o077 == 0


def _make_secret(path: str) -> None:
    os.chown(path, 0, 0)
    os.chmod(path, 0o600)
