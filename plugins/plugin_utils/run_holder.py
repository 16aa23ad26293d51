# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a lock for a whole run: this very run of ansible-playbook, or one that has ended."""

from __future__ import annotations

import getpass
import os
import pathlib
import socket
import typing as t


def place(proc: pathlib.Path = pathlib.Path("/proc")) -> str:
    """Return where process ids mean the same as here, "" where that cannot be told.

    A host name is not enough: two containers may have the same one, and a process of the other looks dead from here.
    """
    try:
        kernel = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{kernel} {os.readlink(proc / 'self/ns/pid')}"
    except OSError:
        return ""


def this_run(pid: int) -> dict[str, t.Any]:
    """Return the holder that this run is. :param pid: of ansible-playbook itself"""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user without an entry in /etc/passwd.
        user = str(os.getuid())
    return {"by": f"{user}@{socket.gethostname()}, process {pid}", "place": place(), "pid": pid}


def has_ended(holder: t.Mapping[str, t.Any], here: str) -> bool:
    """Return whether the run that holds a lock is known to be dead."""
    if not here or holder.get("place") != here or not isinstance(holder.get("pid"), int):
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
