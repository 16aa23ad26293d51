# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play and certbot's timer take turns: certbot itself fails where another one is at work.

The play holds a lock while it calls certbot, and certbot.service waits for it before it starts (ExecStartPre). The
play, with the lock in its hand, lets a certbot.service go first that has begun to start.

Runs inside modules and, copied beside them, inside the program asgi-deploy-certificates: only the standard
library, and nothing of Ansible.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked

LOCK = ".certbot"
LOCK_HOLDER = "A play that calls certbot"

UNIT = "certbot.service"

#: One of the locks that certbot takes.
CERTBOT_LOCK = "/etc/letsencrypt/.certbot.lock"

#: Seconds that the play waits for the timer's run, or for a hand's.
PATIENCE = 300
_PAUSE = 1.0

Run = t.Callable[..., t.Tuple[int, str, str]]


@contextlib.contextmanager
def turn(run: Run, seconds: float = PATIENCE) -> t.Iterator[None]:
    """Hold the right to call certbot.

    :raises ValueError: where another certbot is still at work after ``seconds``, naming it
    """
    deadline = time.monotonic() + seconds
    while True:
        with locked(LOCK, LOCK_HOLDER, max(deadline - time.monotonic(), 0), by="a play"):
            if not is_renewing(run) and not is_locked():
                yield
                return
        if time.monotonic() > deadline:
            raise ValueError(
                "another certbot has been running on this host for {0} seconds: {1}; run the play again when it is "
                "done".format(int(seconds), who() or UNIT)
            )
        time.sleep(_PAUSE)


def is_renewing(run: Run) -> bool:
    """Return whether the timer's certbot is at work, or about to be."""
    code, output, _errors = run(["systemctl", "show", "--property=ActiveState", "--value", UNIT])
    return code == 0 and output.strip() in ("activating", "active", "deactivating", "reloading")


def wait_for_turn(seconds: float = 600) -> t.Optional[str]:
    """Wait until no play calls certbot. For certbot.service before it starts; returns what went wrong, or None."""
    try:
        with locked(LOCK, LOCK_HOLDER, seconds, by=UNIT):
            return None
    except (ValueError, OSError) as error:
        return str(error)


def is_locked() -> bool:
    return holder() is not None


def holder() -> t.Optional[int]:
    """Return the process that holds certbot's lock, 0 for one that this one cannot see, or None."""
    try:
        with open(CERTBOT_LOCK, "r+b") as stream:
            # certbot locks with lockf; asking does not take the lock, as trying would.
            asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            answer = struct.unpack("hhqqi4x", fcntl.fcntl(stream, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return None if answer[0] == fcntl.F_UNLCK else max(int(answer[4]), 0)


def who() -> t.Optional[str]:
    """Return the process that holds certbot's lock, for people."""
    process = holder()
    if not process:
        return None
    try:
        with open("/proc/{0}/cmdline".format(process), "rb") as stream:
            words = stream.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        words = ""
    return "process {0}{1}".format(process, ", " + words[:200] if words else "")
