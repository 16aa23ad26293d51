# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is of an application on a host: what is live, what was, and what can be again."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import target_of
from ansible_collections.asgi.deploy.plugins.module_utils.history import History
from ansible_collections.asgi.deploy.plugins.module_utils.release import Releases
from ansible_collections.asgi.deploy.plugins.module_utils.slots import SLOTS


def standing(name: str, root: str) -> t.Dict[str, t.Any]:
    """Return ``live``, a release or None; ``releases``, those on disk, oldest first, each ``name`` and ``code``; and
    ``lived``, those of them that have been live and the one that is, each ``release``, ``at`` and ``how``, the last one
    last.
    """
    live = live_release(root)
    releases = Releases(name, root, "")
    there = releases.finished()
    last: t.Dict[str, t.Dict[str, str]] = {}
    history = History(root)
    if live and not history.is_there():
        # A host of a version of this collection that kept none: as a deployment would begin it.
        last = {release: {"release": release, "at": "", "how": "deployed"} for release in [*there, live]}
    for entry in history.entries():
        last.pop(entry["release"], None)
        last[entry["release"]] = {key: str(entry.get(key, "")) for key in ("release", "at", "how")}
    if live:
        # A run that was killed after its switch has not written it down.
        last[live] = last.pop(live, {"release": live, "at": "", "how": "deployed"})
    return {
        "name": name,
        "live": live,
        "releases": [{"name": item, "code": releases.code(item)} for item in there],
        "lived": [entry for release, entry in last.items() if release in there or release == live],
    }


def live_release(root: str) -> t.Optional[str]:
    """Return the name of the release that nginx reaches, or None where there is none."""
    socket = target_of(os.path.join(root, "current.sock"))
    slot = os.path.basename(socket or "")[: -len(".sock")]
    release = target_of(os.path.join(root, "slots", slot, "release")) if slot in SLOTS else None
    return os.path.basename(release) if release else None


def root_of(name: str) -> str:
    return os.path.join("/opt", name)
