# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health checks on a host: their files, and the timer that starts them."""

from __future__ import annotations

import glob
import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import LOCKS
from ansible_collections.asgi.deploy.plugins.module_utils.health_counts import LOCK, STATE, TEXTFILE
from ansible_collections.asgi.deploy.plugins.module_utils.host_files import Files
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import FILE
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import HOME
from ansible_collections.asgi.deploy.plugins.module_utils.units import SERVES, states_of

SERVICE = "asgi-deploy-health.service"
TIMER = "asgi-deploy-health.timer"

#: What the checks write themselves.
OWN = (STATE, TEXTFILE, os.path.join(LOCKS, LOCK))

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


class HealthUnits:
    """:param files: those of the health checks; without texts where they are off

    :param own: what the checks write themselves
    """

    def __init__(self, run: Run, files: Files, on: bool, own: t.Sequence[str] = OWN, home: str = HOME) -> None:
        self._run = run
        self._files = files
        self._on = on
        self._own = own
        self._home = home

    def files(self) -> Files:
        """Return the files that have to be there."""
        return self._files if self._on else {}

    def leftovers(self) -> t.List[str]:
        """Return what is there and has to go."""
        paths = [*self._files, *self._own]
        for path in self._files:
            folder, name = os.path.split(path)
            if name.endswith(".py"):
                paths += glob.glob(os.path.join(folder, "__pycache__", name[:-3] + ".*.pyc"))
        return [] if self._on else [path for path in paths if os.path.lexists(path)]

    def is_needed(self) -> bool:
        """Return whether the live configuration has marks, which nobody else takes away."""
        return os.path.exists(os.path.join(self._home, "current", FILE))

    def is_idle(self) -> bool:
        """Return whether the timer is there, has to run and does not."""
        return self._on and states_of(self._run, [TIMER]).get(TIMER) != SERVES

    def start(self, changed: t.Collection[str]) -> None:
        """Have the timer run, by the times that its file says now. :param changed: paths of files"""
        programs = [path for path in changed if self._on and path.endswith(".py")]
        if programs:
            # In its sandbox the program cannot keep them, and would compile its library each time, which takes longer
            # than the question. That this fails costs no more than that.
            self._run(["/usr/bin/python3", "-m", "compileall", "-q", *programs])
        if self.is_idle():
            self._systemctl("enable", "--now", TIMER)
        elif self._on and any(path.endswith(TIMER) and path in changed for path in self._files):
            self._systemctl("restart", TIMER)

    def stop(self) -> None:
        """Before the files go. Where the marks are gone already, nothing can be cut short."""
        if any(path.endswith(TIMER) for path in self.leftovers()):
            self._systemctl("disable", "--now", TIMER)
            self._systemctl("stop", SERVICE)
            # A failed one would be listed for ever.
            self._run(["systemctl", "reset-failed", SERVICE])

    def _systemctl(self, *words: str) -> None:
        code, output, errors = self._run(["systemctl", *words])
        if code:
            raise ValueError("systemctl {0}: {1}".format(" ".join(words), (errors or output).strip()))
