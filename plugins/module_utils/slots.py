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

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import flip, read_text, target_of, write_file

SLOTS = ("blue", "green")

#: Seconds between the flip and the end of the old slot: for a connection that nginx was just opening.
_SETTLE = 0.5

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
        connection = UnixConnection(address, timeout=min(5, self.timeout))
        try:
            connection.request("GET", self.path, headers={"Host": self.host, "X-Forwarded-Proto": "https"})
            answer = connection.getresponse()
            body = answer.read(200)
        except (OSError, http.client.HTTPException) as error:
            return "GET {0} had no answer: {1}".format(self.path, error)
        finally:
            connection.close()
        if answer.status == 200:
            return None
        return "GET {0} answered {1} instead of 200: {2}".format(
            self.path, answer.status, body.decode("utf-8", "replace").strip()
        )

    def wait(self, address: str) -> t.Optional[str]:
        """Ask until it is healthy, or until the time is over."""
        deadline = time.monotonic() + self.timeout
        while True:
            problem = self.ask(address)
            if problem is None or time.monotonic() > deadline:
                return problem
            time.sleep(0.2)


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
        return SLOTS[1] if self.live() == SLOTS[0] else SLOTS[0]

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
        return all(self._run(["systemctl", "is-active", "--quiet", unit])[0] == 0 for unit in self._units(slot))

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
            if before is None:
                os.unlink(self.current)
            else:
                flip(self.current, before)
            self._systemctl("disable", slot)
            self._systemctl("stop", slot)
            raise SlotError("After the switch: " + problem)
        flip(os.path.join(self.root, "current"), os.path.join("releases", self.release_of(slot) or ""))

    def retire(self, slot: str) -> None:
        """Let ``slot`` drain and end, without waiting for it."""
        time.sleep(_SETTLE)
        self._systemctl("disable", slot)
        self._run(["systemctl", "stop", "--no-block", *self._units(slot)])

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
