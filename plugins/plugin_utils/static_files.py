# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders whose files nginx sends itself."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.url_paths import folder, url_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import duration, duration_ms

_FILE = re.compile(r"[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*(?:/[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*)*")
#: As long as browsers take anything for: a year.
_IMMUTABLE = "public, max-age=31536000, immutable"


def static_folder(item: t.Mapping[str, t.Any], path: str) -> dict[str, t.Any]:
    """Return ``path``, ``folder``, ``cache_control``, ``precompressed`` and ``fallback`` of one entry, checked."""
    url = url_path(f"{path}.path", item["path"])
    if not url.endswith("/"):
        raise Refused(f"{path}.path", url, "a path with a slash at its end, as the folder has one")
    cache_control = None
    if item["cache_time"] is not None:
        if item["immutable"]:
            raise Refused(f"{path}.cache_time", item["cache_time"], "one of cache_time and immutable")
        seconds = duration_ms(duration(f"{path}.cache_time", item["cache_time"], milliseconds=False)) // 1000
        cache_control = f"public, max-age={seconds}"
    fallback = item["fallback"]
    for name in item["headers"] or {}:
        if name.lower() == "cache-control" and (cache_control or item["immutable"] or fallback):
            raise Refused(f"{path}.headers.{name}", item["headers"][name], "one of this and what sets it already")
    if fallback is not None and not _FILE.fullmatch(fallback):
        raise Refused(f"{path}.fallback", fallback, "a file of the folder, such as index.html")
    return {
        "url": url,
        "folder": folder(f"{path}.folder", item["folder"]),
        "cache_control": _IMMUTABLE if item["immutable"] else cache_control,
        "precompressed": item["precompressed"],
        "fallback": fallback,
        "access_log": item["access_log"],
    }
