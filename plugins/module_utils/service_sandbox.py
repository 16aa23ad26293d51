# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a slot's service may do, read from its unit: so that a hook runs as the application would."""

from __future__ import annotations

import typing as t

#: The comments in roles/gunicorn_app/templates/service.j2 between which every line is a property of the sandbox.
BEGIN = "# Sandbox"
END = "# End of the sandbox"

#: What else decides how the application's code runs. Nothing of how it starts, stops and listens.
_SURROUNDINGS = frozenset(
    [
        "CPUQuota",
        "Environment",
        "EnvironmentFile",
        "Group",
        "LimitNOFILE",
        "MemoryMax",
        "MemorySwapMax",
        "StateDirectory",
        "StateDirectoryMode",
        "TasksMax",
        "UMask",
        "User",
        "WorkingDirectory",
    ]
)


def properties(unit_text: str) -> t.List[str]:
    """Return ``Name=value`` for each ``--property`` of systemd-run, in the unit's order, which matters to filters."""
    found = []
    inside = False
    for line in unit_text.splitlines():
        bare = line.strip()
        if bare in (BEGIN, END):
            inside = bare == BEGIN
        name, separator, _value = bare.partition("=")
        if separator and not bare.startswith(("#", ";")) and (inside or name in _SURROUNDINGS):
            found.append(bare)
    return found
