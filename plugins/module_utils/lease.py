# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a release over many hosts: on each of them a lease, which outlives the modules that run under it.

It lies in memory, so that it goes with a restart of the host, and it ends by itself, so that a controller that was
killed does not hold it for ever.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import LOCKS, read_text, write_file

#: For so long a lease lasts from the last time that its release did something on the host.
SECONDS = 4 * 3600

#: By so many seconds a clock may be set back meanwhile. One that was set back further would make the lease last as much
#: longer.
_SET_BACK = 300

_KEYS = {"id": str, "by": str, "since": int, "until": int}

Holder = t.Dict[str, t.Any]


class Lease:
    """The lease of the application ``name`` on this host."""

    def __init__(self, name: str, folder: str = LOCKS) -> None:
        self.name = name
        self.path = os.path.join(folder, name + ".release")

    def holder(self) -> t.Optional[Holder]:
        """Return who holds it, or None: a dictionary with ``id``, ``by``, ``since`` and ``until``."""
        found = self._read()
        return found if found and lasts(found["until"]) else None

    def take(self, identity: str, by: str, take_over: bool = False) -> None:
        """Hold it from now on.

        :param take_over: also where somebody else holds it, who is then refused at the next step on this host
        :raises ValueError: where somebody else holds it
        """
        holder = self.holder()
        if holder and holder["id"] != identity and not take_over:
            raise ValueError(self._refusal(holder))
        now = int(time.time())
        since = holder["since"] if holder and holder["id"] == identity else now
        self._write({"id": identity, "by": by, "since": since, "until": now + SECONDS})

    def give_back(self, identity: str) -> None:
        """Hold it no longer. What somebody else has taken over stays theirs."""
        found = self._read()
        if found and found["id"] == identity:
            os.unlink(self.path)

    def require(self, identity: t.Optional[str], check_mode: bool = False) -> None:
        """Refuse to go on where this is not the turn of the release ``identity``; None for what belongs to none.

        :raises ValueError: where somebody else holds the lease, or where it was this release's and is no more
        """
        found = self._read()
        if identity and found and found["id"] == identity:
            # Also where its time is over, as nobody else has taken it.
            if not check_mode:
                self.take(identity, found["by"])
            return
        holder = self.holder()
        if holder:
            raise ValueError(self._refusal(holder))
        if identity and not check_mode:
            raise ValueError(
                "The lock of this release of {0} is gone: the host was started again, or another release has taken it "
                "over".format(self.name)
            )

    def _read(self) -> t.Optional[Holder]:
        try:
            read = json.loads(read_text(self.path) or "null")
        except ValueError:
            return None
        if not isinstance(read, dict) or not all(isinstance(read.get(key), kind) for key, kind in _KEYS.items()):
            return None
        return read

    def _write(self, holder: Holder) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        write_file(self.path, json.dumps(holder) + "\n", mode=0o600)

    def _refusal(self, holder: Holder) -> str:
        return (
            "Another release of {0} holds its lock: {1}, since {2}. It ends by itself at {3}; asgi.deploy.release and "
            "asgi.deploy.rollback take it over with -e release_lock=break"
        ).format(self.name, holder["by"], moment(holder["since"]), moment(holder["until"]))


def lasts(until: float) -> bool:
    """Return whether a lock that was taken for :data:`SECONDS`, and so ends at ``until``, is held still."""
    return 0 < until - time.time() < SECONDS + _SET_BACK


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
