# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the CAs said to orders of late, so that one that will be refused again is not placed: CAs count failures.

Beside it, what was last told to an account: the CA is asked to change it when it differs, and not on every run.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import Words

PATH = "/var/lib/asgi-deploy/certificates/orders.json"

#: Let's Encrypt allows five failed authorizations a name and hour; three leave room for a hand's own tries.
MOST_REFUSALS = 3
SECONDS = 3600

Part = t.Dict[str, t.Any]


class Orders:
    """:param now: tells the time"""

    def __init__(self, path: str = PATH, now: t.Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._before = read_text(path)
        try:
            content = json.loads(self._before or "{}")
        except ValueError:
            # Half a file after a fault of the disk: it is a memory, not a state.
            content = {}
        self._content: Part = content if isinstance(content, dict) else {}

    def pause(self, server: str, domains: t.Sequence[str]) -> t.Optional[str]:
        """Return why no order for ``domains`` should be placed at ``server`` now, or None."""
        for name in domains:
            limit = self._part("limits", server).get(name)
            if isinstance(limit, dict) and limit.get("until", 0) > self._now():
                return "{0} wants no order for {1} before {2}: {3}".format(
                    server, name, _moment(limit["until"]), limit.get("words", "")
                )
            refusals = self._refusals(server, name)
            if len(refusals) >= MOST_REFUSALS:
                return (
                    "{0} refused {1} {2} times within an hour, and orders for it pause until {3}; it said: {4}".format(
                        server,
                        name,
                        len(refusals),
                        _moment(refusals[-MOST_REFUSALS]["at"] + SECONDS),
                        refusals[-1]["words"],
                    )
                )
        return None

    def failed(self, server: str, domains: t.Sequence[str], words: Words) -> None:
        """Write down a refusal of an order for ``domains``; what is no refusal is no reason to pause."""
        if words.kind == "rate_limited":
            for name in domains:
                self._part("limits", server)[name] = {"until": words.retry_at, "words": words.text}
        elif words.kind == "refused":
            for name in [name for name in domains if name in words.names] or domains:
                entry = {"at": self._now(), "words": words.names.get(name, words.text)}
                self._part("refusals", server)[name] = [*self._refusals(server, name), entry]
        self._forget()

    def succeeded(self, server: str, domains: t.Sequence[str]) -> None:
        for kind in ("limits", "refusals"):
            part = self._part(kind, server)
            for name in domains:
                part.pop(name, None)
        self._forget()

    def account(self, server: str) -> Part:
        """Return what is known of the account at ``server``, to be changed in place."""
        return self._part("accounts", server)

    def save(self) -> None:
        text = json.dumps(self._kept(), indent=2, sort_keys=True) + "\n"
        if text != (self._before or "{}\n"):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            # The CA's words and the e-mail address are nobody else's.
            write_file(self._path, text, 0o600)
            self._before = text

    def _part(self, kind: str, server: str) -> Part:
        servers = self._content.get(kind)
        if not isinstance(servers, dict):
            servers = self._content[kind] = {}
        if not isinstance(servers.get(server), dict):
            servers[server] = {}
        part: Part = servers[server]
        return part

    def _refusals(self, server: str, name: str) -> t.List[Part]:
        """Return those of the last hour, the oldest first; one of the future is of a clock that was wrong."""
        found = self._part("refusals", server).get(name)
        now = self._now()
        return [
            item
            for item in (found if isinstance(found, list) else [])
            if isinstance(item, dict) and now - SECONDS < item.get("at", 0) <= now
        ]

    def _forget(self) -> None:
        """Leave out what is over, or names that are gone would stay for good."""
        for server, part in self._content.get("refusals", {}).items():
            for name in list(part):
                part[name] = self._refusals(server, name)
        for part in self._content.get("limits", {}).values():
            for name in [name for name, limit in part.items() if limit.get("until", 0) <= self._now()]:
                del part[name]

    def _kept(self) -> Part:
        """Return the content without its empty parts."""
        kept: Part = {}
        for kind, servers in self._content.items():
            for server, part in servers.items() if isinstance(servers, dict) else ():
                filled = {name: value for name, value in part.items() if value not in ([], {})}
                if filled:
                    kept.setdefault(kind, {})[server] = filled
        return kept


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds + 59))
