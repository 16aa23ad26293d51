# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each proxy in a round of asgi.deploy.proxy_update, from what its tasks registered."""

from __future__ import annotations

import typing as t

Result = t.Mapping[str, t.Any]


class Proxy(t.NamedTuple):
    """A proxy and the results of its tasks, empty for those that it did not get to.

    ``tried``: of the trial before any change. ``updated``: of the update. ``back``: of going back.
    ``failure``: why it failed at any of them, "" where it did not.
    """

    name: str
    tried: Result
    updated: Result
    back: Result
    failure: str


class Row(t.NamedTuple):
    """A line of the summary; generations by their names, or their ids where check mode knows no more."""

    name: str
    before: str
    after: str
    result: str

    def line(self) -> str:
        return f"{self.name}: {self.before} -> {self.after}: {self.result}"


def row(proxy: Proxy, check_mode: bool) -> Row:
    """Return what became of a proxy."""
    before = str(proxy.tried.get("before") or "unknown")
    if not proxy.updated or proxy.updated.get("skipped"):
        return Row(proxy.name, before, before, "failed before any change" if proxy.failure else "not touched")
    if _worked(proxy.back):
        done = "gone back" if proxy.updated.get("changed") else "unchanged"
        return Row(proxy.name, before, before, done if _worked(proxy.updated) else "failed, as it was before")
    if proxy.back and not proxy.back.get("skipped"):
        return Row(proxy.name, before, "unknown", "NOT gone back: " + _first_line(proxy.back))
    if not _worked(proxy.updated):
        return Row(proxy.name, before, before, "failed, nothing changed")
    changed = bool(proxy.updated.get("changed"))
    after = str(proxy.updated.get("live") or (proxy.updated.get("generation") if changed else before))
    if check_mode:
        return Row(proxy.name, before, after, "would be updated" if changed else "unchanged")
    result = "updated" if changed else "unchanged"
    return Row(proxy.name, before, after, f"{result}, and failed after that" if proxy.failure else result)


def failure(proxies: t.Sequence[Proxy], rows: t.Sequence[Row], check_mode: bool) -> str | None:
    """Return the whole message of a round that failed, or None."""
    failed = [proxy for proxy in proxies if proxy.failure]
    if not failed:
        return None
    lines = [f"{proxy.name}: {proxy.failure.strip()}" for proxy in failed]
    left = [item.name for item in rows if item.result.startswith("NOT")]
    live = [item.name for item in rows if item.result.endswith("failed after that")]
    if left:
        verdict = (
            f"Look at {', '.join(left)}: what nginx serves there is not known. All other proxies are as they were."
        )
    elif live:
        verdict = "The configuration is live on all proxies; run this again for what failed after that."
    elif check_mode:
        verdict = "Nothing has changed on any proxy, and nothing would: it is all of them or none."
    else:
        verdict = "All proxies serve what they served before."
    return "\n".join([*lines, verdict, *(item.line() for item in rows)])


def _worked(result: Result) -> bool:
    return bool(result) and not any(result.get(key) for key in ("failed", "unreachable", "skipped"))


def _first_line(result: Result) -> str:
    return (str(result.get("msg") or "").strip().splitlines() or ["no reason was given"])[0]
