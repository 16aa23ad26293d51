# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of units."""

from __future__ import annotations

import typing as t

Run = t.Callable[..., t.Tuple[int, str, str]]

#: Of a unit that serves, and does so after a reboot.
SERVES = ("active", "enabled")


def states_of(run: Run, units: t.Sequence[str]) -> t.Dict[str, t.Tuple[str, str]]:
    """Return of each unit its ActiveState and its UnitFileState, both empty for one that there is not."""
    if not units:
        return {}
    _code, output, _errors = run(["systemctl", "show", "--property=Id,ActiveState,UnitFileState", *units])
    states = {}
    for block in output.strip().split("\n\n"):
        told = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in told:
            states[told["Id"]] = (told.get("ActiveState", ""), told.get("UnitFileState", ""))
    return states
