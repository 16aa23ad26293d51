# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock for a whole run of a playbook, which has no process on the host that could hold one."""

from __future__ import annotations

import json
import os
import time
import typing as t
import uuid

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import LOCKS, locked, read_text, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.lease import SECONDS, lasts

#: Seconds after which a run that took the lock counts as dead: its controller has gone without a word. Nothing puts
#: that off, so it has to do for many slow proxies.
LEASE = SECONDS


class Held(Exception):
    """Another run has the lock; ``holder`` is what is known of it."""

    def __init__(self, what: str, holder: t.Mapping[str, t.Any]) -> None:
        self.holder = holder
        began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(holder["since"]))
        super().__init__(
            "{0} is running, started by {1} at {2}; accepted: its end, or -e take_over=true where that run is "
            "dead".format(what, holder["by"], began)
        )


class RunLock:
    """:param name: of the lock :param folder: it is gone with a reboot, as each run's connection is"""

    def __init__(self, name: str, folder: str = LOCKS) -> None:
        self._name = name
        self._path = os.path.join(folder, name + ".run")

    def take(self, what: str, holder: t.Mapping[str, t.Any], over: str = "", keep: bool = True) -> str:
        """Take the lock, and return the token by which it is given back.

        :param what: what such a run does, for the message
        :param over: the token of a holder that is known to be dead, ``any`` for whoever it is
        :param keep: False to see only whether it could be taken
        :raises Held: where a living run has it
        """
        with self._alone():
            other = self._read()
            if other and over not in ("any", other["token"]) and lasts(other["since"] + LEASE):
                raise Held(what, other)
            token = str(uuid.uuid4())
            if keep:
                write_file(self._path, json.dumps({**holder, "token": token, "since": time.time()}), 0o600)
            return token

    def give_back(self, token: str) -> None:
        """Give it back; one that another run has taken over meanwhile is that run's."""
        with self._alone():
            other = self._read()
            if other and other["token"] == token:
                os.unlink(self._path)

    def _alone(self) -> t.ContextManager[None]:
        return locked("." + self._name + ".run", "Another run")

    def _read(self) -> t.Optional[t.Dict[str, t.Any]]:
        try:
            found = json.loads(read_text(self._path) or "{}")
        except ValueError:
            # Nobody of ours wrote that.
            return None
        return found if isinstance(found, dict) and {"token", "since", "by"} <= set(found) else None
