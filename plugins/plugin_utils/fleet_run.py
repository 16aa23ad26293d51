# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of a release over many hosts share: its journal, and what goes into it."""

from __future__ import annotations

import getpass
import os
import socket
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_journal import Journal

#: Of a task's result, what is noted.
_NOTED = (
    "release",
    "live",
    "due",
    "changed",
    "would",
    "seconds",
    "unconfirmed",
    "applications",
    "requests",
    "positions",
)


def journal(folder: str) -> Journal:
    """:param folder: Ansible's own temporary folder, one for each run, and only the user can read it"""
    return Journal(os.path.join(folder, "asgi-deploy-release"))


def who() -> str:
    """Return who deploys, for the message of another one that wants to."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def words_of_failure(result: t.Mapping[str, t.Any]) -> str:
    """Return what a task has failed with, or the item of its loop."""
    items = (item for item in result.get("results") or [] if isinstance(item, dict) and item.get("failed"))
    return str(next(items, result).get("msg", ""))


def of_result(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what is noted of a task's result."""
    noted = {key: result[key] for key in _NOTED if key in result}
    if result.get("failed"):
        noted["failed"] = str(result.get("msg", ""))
    return noted
