# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages for errors and for maintenance, and the paths that are never shown."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.networks import networks
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.url_paths import HIDDEN_FILES, literally, url_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import duration, duration_ms, integer, unfit

_EXTENSIONS = {"text/html": "html", "application/json": "json", "text/plain": "txt"}
_LARGEST = 256 * 1024
#: nginx uses these itself, for what has no answer.
_NEVER_SENT = (444, 499)


def error_pages(items: t.Sequence[t.Mapping[str, t.Any]], path: str) -> list[dict[str, t.Any]]:
    """Return the pages as ``statuses``, ``file`` and ``content``."""
    found: list[dict[str, t.Any]] = []
    seen: set[int] = set()
    for index, item in enumerate(items):
        here = f"{path}[{index}]"
        if not item["statuses"]:
            raise Refused(f"{here}.statuses", [], "at least one status")
        for place, status in enumerate(item["statuses"]):
            integer(f"{here}.statuses[{place}]", status, 400, 599)
            if status in seen or status in _NEVER_SENT:
                raise Refused(f"{here}.statuses[{place}]", status, "each status once (444 and 499 are never sent)")
            seen.add(status)
        content = page(f"{here}.content", item["content"])
        name = f"{item['statuses'][0]}.{_EXTENSIONS[item['type']]}"
        found.append({"statuses": sorted(item["statuses"]), "file": name, "content": content})
    return found


def maintenance(given: t.Mapping[str, t.Any], path: str) -> dict[str, t.Any]:
    """Return ``enabled``, ``content`` (None for the plain page), ``allow`` and ``retry_after`` in seconds."""
    retry_after = duration(f"{path}.retry_after", given["retry_after"], milliseconds=False)
    return {
        "enabled": given["enabled"],
        "content": None if given["page"] is None else page(f"{path}.page", given["page"]),
        "allow": networks(f"{path}.allow", given["allow"], "then nobody sees the page"),
        "retry_after": duration_ms(retry_after) // 1000,
    }


def page(path: str, content: str) -> str:
    """Return a page's text where it is one."""
    if not content.strip():
        raise Refused(path, content, "the page itself, not an empty text")
    if unfit(content) or len(content.encode()) > _LARGEST:
        raise Refused(path, content[:20], f"text of Unicode without NUL, of {_LARGEST // 1024} KiB at most")
    return content if content.endswith("\n") else content + "\n"


def blocked_paths(values: t.Sequence[str], path: str) -> list[str]:
    """Return regular expressions for the paths that get 404, that of hidden files first."""
    found = [HIDDEN_FILES]
    for index, value in enumerate(values):
        here = f"{path}[{index}]"
        if value.startswith("*.") and re.fullmatch(r"\*(?:\.[A-Za-z0-9_~-]+)+", value):
            expression = literally(value[1:]) + "$"
        else:
            if value.startswith("*"):
                raise Refused(here, value, "an end such as *.php, or a path's beginning such as /wp-admin/")
            expression = "^" + literally(url_path(here, value, hidden=True))
        if value == "/":
            raise Refused(here, value, "a path below /; maintenance.enabled takes the whole site away")
        if expression in found:
            raise Refused(here, value, "each path once")
        found.append(expression)
    return found
