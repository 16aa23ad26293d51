# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two slots of an application on a host: one serves, in the other the next release is proven."""

from __future__ import annotations

import os
import pwd
import secrets
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import (
    flip,
    flip_back,
    leftovers_of,
    read_text,
    target_of,
    write_file,
)
from ansible_collections.asgi.deploy.plugins.module_utils.health import Health
from ansible_collections.asgi.deploy.plugins.module_utils.masking import secrets_in, without_secrets
from ansible_collections.asgi.deploy.plugins.module_utils.smoke import Smoke

SLOTS = ("blue", "green")

#: Seconds between the flip and the end of the old slot: for a connection that nginx was just opening.
_SETTLE = 0.5

#: Of the application's log so many lines are shown: Gunicorn's own traceback of a failed start alone has 40.
_LINES = 120

_NEITHER = "the release before did not answer {0} through nginx either"

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


class SlotError(Exception):
    """A release did not start or answer; the text holds the application's own last log lines."""


class UnitState(t.NamedTuple):
    """Of a unit of systemd: does it run, does it start at boot, has it failed."""

    active: bool
    enabled: bool
    failed: bool


class Slots:
    """:param files: each slot's files, path to text; :param environment: text of the environment file
    :param warm: seconds for which the slot before goes on running after a switch
    """

    def __init__(
        self,
        name: str,
        root: str,
        files: t.Mapping[str, t.Mapping[str, str]],
        environment: str,
        warm: int,
        run: Run,
    ) -> None:
        self.name = name
        self.root = root
        self.files = files
        self.environment = environment
        self.warm = warm
        self._run = run
        #: When the release in the idle slot was started: from then on its log lines count.
        self._began = time.time()

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

    def service_file(self, slot: str) -> str:
        return "/etc/systemd/system/" + self._units(slot)[0]

    def release_of(self, slot: t.Optional[str]) -> t.Optional[str]:
        """Return the name of the release that ``slot`` runs."""
        target = target_of(self._release_link(slot)) if slot else None
        return os.path.basename(target) if target else None

    def used_releases(self) -> t.Set[str]:
        return {name for name in (self.release_of(slot) for slot in SLOTS) if name}

    def on_disk(self, slot: str) -> t.Dict[str, t.Optional[str]]:
        return {path: read_text(path) for path in self.files[slot]}

    def secrets_left(self) -> t.List[str]:
        """Return the environment files that a killed run was just writing."""
        return [path for slot in SLOTS for path in leftovers_of(self._environment_file(slot))]

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
        states = self._states(other)
        ends = any(state.active for state in states) and not self._is_kept_warm()
        if ends or any(state.enabled or state.failed for state in states):
            due.append(lambda: self.retire(other))
        if target_of(os.path.join(self.root, "current")) != wanted_link:
            due.append(lambda: flip(os.path.join(self.root, "current"), wanted_link))
        for path in map(self._environment_file, SLOTS):
            if os.path.exists(path) and not _is_secret(path):
                due.append(lambda path=path: _make_secret(path))  # type: ignore[misc]
        return due

    def start(self, slot: str, release: str, health: Health) -> None:
        """Start ``release`` in ``slot`` and prove it. :raises SlotError: and the slot is stopped again"""
        self._forget_warm()
        if self.is_as_wanted(slot, release) and self.is_active(slot) and health.wait(self.socket(slot)) is None:
            # It was kept warm, and is what is wanted.
            return
        # Waits for what is still draining there.
        self._systemctl("stop", slot)
        self._systemctl("reset-failed", slot)
        self._write(slot, release)
        self._began = time.time()
        code, _output, errors = self._run(["systemctl", "start", *self._units(slot)])
        words = errors.strip() or "systemctl could not start " + self._units(slot)[0]
        problem = None if code == 0 else words.splitlines()[0]
        problem = problem or health.wait(self.socket(slot))
        if code:
            # It hangs in its start as a rule, and would not hear SIGTERM for as long as a request may take.
            self._run(["systemctl", "kill", "--signal=SIGKILL", self._units(slot)[0]])
        if problem:
            self._give_up(slot, problem)

    def switch(self, slot: str, health: Health, smoke: t.Optional[Smoke]) -> t.Optional[str]:
        """Make ``slot`` the one that nginx reaches, and return why nginx was not asked to confirm it, or None.

        :raises SlotError: and the one before is again
        """
        live, before = self.live(), target_of(self.current)
        skipped = self._no_smoke(live, smoke)
        self._systemctl("enable", slot)
        flip(self.current, self.socket(slot))
        problem = health.ask(self.current)
        if problem is None and smoke is not None and skipped is None:
            problem = smoke.wait(self.probe(slot) or "")
        if problem is not None:
            flip_back(self.current, before)
            self._systemctl("disable", slot)
            self._give_up(slot, "After the switch: " + problem)
        return skipped

    def confirm(self, slot: str, health: Health, smoke: t.Optional[Smoke]) -> t.Optional[str]:
        """Confirm a switch to ``slot`` by a run that was killed before it had; return as :meth:`switch` does.

        :raises SlotError: and the one before is live again, where it still runs
        """
        problem = smoke.wait(self.probe(slot) or "") if smoke else None
        if smoke is None or problem is None:
            return None if smoke else self._no_smoke(slot, smoke)
        before = _other(slot)
        if not (self.release_of(before) and self.is_active(before) and health.ask(self.socket(before)) is None):
            if smoke.ask(self.probe(slot) or "").slot is None:
                # A maintenance page, or an nginx that is not configured yet: it tells nothing of the release.
                return problem
            raise SlotError(self._with_log(slot, "After the switch: " + problem))
        flip(self.current, self.socket(before))
        if smoke.wait(self.probe(before) or "") is not None:
            # As in switch(), where this is asked first: then the answers tell nothing of the new release.
            flip(self.current, self.socket(slot))
            return _NEITHER.format(smoke.path)
        self._systemctl("enable", before)
        self._systemctl("disable", slot)
        self._give_up(slot, "After the switch: " + problem)

    def probe(self, slot: str) -> t.Optional[str]:
        """Return the text that a request has to bring so that ``slot`` says that it was the one to answer."""
        return (read_text(self._probe_file(slot)) or "").strip() or None

    def retire(self, slot: str) -> None:
        """Let ``slot`` drain and end, without waiting for it."""
        time.sleep(_SETTLE)
        self._systemctl("disable", slot)
        self._run(["systemctl", "stop", "--no-block", *self._units(slot)])
        # One that had failed would be listed, and alarm somebody, for ever.
        self._systemctl("reset-failed", slot)

    def keep_warm(self, slot: str) -> None:
        """Let ``slot`` run on for a while, but not after a reboot."""
        self._systemctl("disable", slot)
        self._run(
            [
                "systemd-run",
                "--quiet",
                "--collect",
                "--unit=" + self._warm_unit,
                "--on-active={0}s".format(self.warm),
                "--timer-property=AccuracySec=1s",
                "--description=Ends the slot of {0} that was kept warm".format(self.name),
                "systemctl",
                "stop",
                *self._units(slot),
            ]
        )

    @property
    def _warm_unit(self) -> str:
        return self.name + "-retire"

    def _is_kept_warm(self) -> bool:
        return bool(self.warm) and self._run(["systemctl", "is-active", "--quiet", self._warm_unit + ".timer"])[0] == 0

    def _forget_warm(self) -> None:
        self._run(["systemctl", "--quiet", "stop", self._warm_unit + ".timer"])

    def _no_smoke(self, live: t.Optional[str], smoke: t.Optional[Smoke]) -> t.Optional[str]:
        """Return why an answer through nginx would tell nothing of the new release, or None."""
        if smoke is None:
            return "no site of this host serves the application"
        if live is None:
            return "there is no release yet that nginx reaches"
        probe = self.probe(live)
        if probe is None or not smoke.reaches(probe):
            return _NEITHER.format(smoke.path)
        return None

    def _give_up(self, slot: str, problem: str) -> t.NoReturn:
        told = self._with_log(slot, problem)
        self._systemctl("stop", slot)
        self._systemctl("reset-failed", slot)
        # The release may go, and a link to nothing would puzzle whoever looks.
        for path in (self._release_link(slot), self._probe_file(slot)):
            if os.path.lexists(path):
                os.unlink(path)
        raise SlotError(told)

    def _with_log(self, slot: str, problem: str) -> str:
        since = "--since=@{0:.6f}".format(self._began)
        lines = "--lines={0}".format(_LINES)
        words = ["journalctl", "--unit=" + self._units(slot)[0], since, lines, "--no-pager", "--output=cat"]
        shown = without_secrets(self._run(words)[1].strip(), secrets_in(self.environment)) or "(none)"
        return "{0}\nThe application's last log lines:\n{1}".format(problem, shown)

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
        write_file(self._probe_file(slot), secrets.token_hex(16) + "\n", mode=0o640, group=self._group())
        flip(self._release_link(slot), os.path.join("../../releases", release))
        self._run(["systemctl", "daemon-reload"])

    def _release_link(self, slot: str) -> str:
        return os.path.join(self.root, "slots", slot, "release")

    def _probe_file(self, slot: str) -> str:
        return os.path.join(self.root, "slots", slot, "probe")

    def _group(self) -> int:
        return pwd.getpwnam(self.name).pw_gid

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
