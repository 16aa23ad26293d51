# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases have been live on a host, and when."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, write_file

#: Entries that are kept.
_MOST = 100


class History:
    """The file ``history.json`` of an application: a list of switches, the newest last."""

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, "history.json")
        #: What check mode would begin it with.
        self._assumed: t.List[t.Dict[str, str]] = []

    def entries(self) -> t.List[t.Dict[str, str]]:
        if not self.is_there():
            return self._assumed
        try:
            read = json.loads(read_text(self.path) or "[]")
        except ValueError:
            # A hand has been at it. What it said is lost; the releases are there.
            return []
        if not isinstance(read, list):
            return []
        return [entry for entry in read if isinstance(entry, dict) and isinstance(entry.get("release"), str)]

    def is_there(self) -> bool:
        return os.path.exists(self.path)

    def releases(self) -> t.List[str]:
        """Return the names of the releases that have been live, each once, the last one last."""
        found: t.Dict[str, None] = {}
        for entry in self.entries():
            found.pop(entry["release"], None)
            found[entry["release"]] = None
        return list(found)

    def is_last(self, release: str, slot: str) -> bool:
        """Return whether the last switch that is noted led to this release in this slot."""
        last = (self.entries() or [{}])[-1]
        return last.get("release") == release and last.get("slot") in ("", None, slot)

    def before(self, live: t.Optional[str], there: t.Collection[str]) -> t.Optional[str]:
        """Return the release that was live before ``live`` and is still ``there``, or None."""
        return next((name for name in reversed(self.releases()) if name != live and name in there), None)

    def previous(self, live: t.Optional[str], there: t.Collection[str]) -> t.Optional[str]:
        """Return the release that ``previous`` means, which is the live one where it led to that already.

        Otherwise each run of an inventory that says so would go to the other one, and every second one to a bad one.
        """
        last = (self.entries() or [{}])[-1]
        if live and last.get("release") == live:
            # Names begin with the time of the build: a way forward again, to a newer one, is none that led back.
            left = next((entry["release"] for entry in reversed(self.entries()) if entry["release"] != live), "")
            led_there = last.get("how") == "rolled back" and left > live
        else:
            # A run that was killed after its switch has not noted it: what it left is noted last.
            led_there = live is not None and self.before(last.get("release"), there) == live
        return live if led_there else self.before(live, there)

    def note(self, release: str, slot: str, how: str) -> None:
        """:param how: deployed, or rolled back"""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._write([*self.entries(), {"release": release, "slot": slot, "how": how, "at": at}])

    def begin(self, releases: t.Sequence[str], live: str, slot: str, write: bool = True) -> None:
        """Begin it for a host of a version of this collection that kept none.

        :param releases: those that are there, oldest first
        :param write: whether this is no check mode, in which it is only remembered for the questions that follow
        """
        earlier = [{"release": name, "slot": "", "how": "deployed", "at": ""} for name in releases if name != live]
        self._assumed = [*earlier, {"release": live, "slot": slot, "how": "deployed", "at": ""}]
        if write:
            self._write(self._assumed)

    def _write(self, entries: t.Sequence[t.Mapping[str, str]]) -> None:
        write_file(self.path, json.dumps(list(entries)[-_MOST:], indent=2) + "\n")
