# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around nginx on a host: its packages, its unit, whether it runs as that unit now says."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import LOCKS, read_text, write_file

UNIT = "nginx.service"

#: Holds the invocation of an nginx that was started before its unit was changed. Gone with a reboot, as that one is.
MARKER = LOCKS + "/.nginx-before-its-unit"

#: Where systemd finds a unit that was masked by an administrator.
_MASKS = ("/etc/systemd/system/" + UNIT, "/run/systemd/system/" + UNIT)

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


def masked_by(paths: t.Sequence[str] = _MASKS) -> t.Optional[str]:
    """Return the link to /dev/null that keeps nginx from starting, or None."""
    return next((path for path in paths if os.path.islink(path) and os.path.realpath(path) == "/dev/null"), None)


def is_of_the_distribution(run: Run) -> t.Optional[bool]:
    """Return whether the installed nginx is Debian's or Ubuntu's own; None where there is none."""
    code, output, _errors = run(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Maintainer}", "nginx"])
    if code != 0 or not output.startswith("ii"):
        return None
    return re.search("debian|ubuntu", output, re.IGNORECASE) is not None


class Unit:
    """nginx.service as systemd has it loaded."""

    def __init__(self, run: Run, marker: str = MARKER) -> None:
        self._run = run
        self._marker = marker
        properties = "--property=ActiveState,InvocationID,NeedDaemonReload"
        output = run(["systemctl", "show", properties, UNIT])[1]
        self._state = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)

    def needs_reload(self) -> bool:
        """Return whether a file of the unit was changed and systemd was not told: a run was killed."""
        return self._state.get("NeedDaemonReload") == "yes"

    def runs(self) -> bool:
        return self._state.get("ActiveState") in ("active", "reloading")

    def note_change(self) -> None:
        """Write down that the nginx that runs now has the old unit. Before the change, or a kill would lose it."""
        if self.runs():
            os.makedirs(os.path.dirname(self._marker), mode=0o700, exist_ok=True)
            write_file(self._marker, self._state.get("InvocationID", ""))

    def is_outdated(self) -> bool:
        """Return whether nginx still is the one that was started by the old unit; a reload changes nothing about it."""
        noted = read_text(self._marker)
        return noted is not None and self.runs() and noted == self._state.get("InvocationID", "")

    def forget(self) -> None:
        if read_text(self._marker) is not None:
            os.unlink(self._marker)

    def reload(self) -> t.Optional[str]:
        """Let systemd read its units again. Returns what went wrong, or None."""
        code, _output, errors = self._run(["systemctl", "daemon-reload"])
        return None if code == 0 else errors.strip()
