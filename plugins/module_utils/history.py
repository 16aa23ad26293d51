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

    def entries(self) -> t.List[t.Dict[str, str]]:
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

    def before(self, live: t.Optional[str], there: t.Collection[str]) -> t.Optional[str]:
        """Return the release that was live before ``live`` and is still ``there``, or None."""
        return next((name for name in reversed(self.releases()) if name != live and name in there), None)

    def note(self, release: str, slot: str, how: str) -> None:
        """:param how: deployed, or rolled back"""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._write([*self.entries(), {"release": release, "slot": slot, "how": how, "at": at}])

    def begin(self, releases: t.Sequence[str], live: str, slot: str) -> None:
        """Begin it for a host of a version of this collection that kept none.

        :param releases: those that are there, oldest first
        """
        earlier = [{"release": name, "slot": "", "how": "deployed", "at": ""} for name in releases if name != live]
        self._write([*earlier, {"release": live, "slot": slot, "how": "deployed", "at": ""}])

    def _write(self, entries: t.Sequence[t.Mapping[str, str]]) -> None:
        write_file(self.path, json.dumps(list(entries)[-_MOST:], indent=2) + "\n")
