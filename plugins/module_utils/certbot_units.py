# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timers that have to run on a host with certificates."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.units import SERVES, states_of

#: Debian's, which renews, and ours, which looks whether all is well.
TIMERS = ("certbot.timer", "asgi-deploy-certificates.timer")

#: Where a unit of these may lie; others are generated.
_FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")

Run = t.Callable[..., t.Tuple[int, str, str]]


def ensure_timers(run: Run, check_mode: bool) -> bool:
    """Enable and start the timers that are not. Returns whether there was, or in check mode would be, one to start.

    :raises ValueError: with systemd's words where one cannot be started
    """
    # On a new host in check mode neither the package nor our units are there: then there is a change of their own.
    known = [timer for timer in TIMERS if any(os.path.exists(os.path.join(folder, timer)) for folder in _FOLDERS)]
    if not known:
        return False
    idle = [name for name, state in states_of(run, known).items() if state != SERVES]
    if idle and not check_mode:
        code, output, errors = run(["systemctl", "enable", "--now", *idle])
        if code:
            raise ValueError("systemctl enable --now {0}: {1}".format(" ".join(idle), (errors or output).strip()))
    return bool(idle)
