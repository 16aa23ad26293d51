# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the summary of a round says of each proxy, and what of all."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_round import Proxy, failure, row

TRIED = {"before": "1-old", "generation": "new", "changed": False}
DONE = {"changed": True, "generation": "new", "live": "2-new"}
SAME = {"changed": False, "generation": "old", "live": "1-old"}
FAILED: dict[str, t.Any] = {"failed": True, "msg": "[emerg] bind() failed\nThe configuration before it is live again."}
GONE = {"unreachable": True, "msg": "Connection refused"}
SKIPPED = {"skipped": True, "changed": False}
UNDONE = {"changed": True, "live": "1-old"}


def proxy(
    tried: t.Any = None, updated: t.Any = None, back: t.Any = None, failure: str = "", name: str = "web1"
) -> Proxy:
    return Proxy(name, tried or {}, updated or {}, back or {}, failure)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        # All well.
        (proxy(TRIED, DONE, SKIPPED), "1-old -> 2-new: updated"),
        (proxy(TRIED, SAME, SKIPPED), "1-old -> 1-old: unchanged"),
        (proxy(TRIED, DONE, SKIPPED, "disk full"), "1-old -> 2-new: updated, and failed after that"),
        # Another one failed.
        (proxy(TRIED, SKIPPED, SKIPPED), "1-old -> 1-old: not touched"),
        (proxy(TRIED), "1-old -> 1-old: not touched"),
        (proxy(TRIED, DONE, UNDONE), "1-old -> 1-old: gone back"),
        (proxy(TRIED, SAME, SAME), "1-old -> 1-old: unchanged"),
        (proxy(TRIED, DONE, FAILED), "1-old -> unknown: NOT gone back: [emerg] bind() failed"),
        (proxy(TRIED, DONE, {"failed": True}), "1-old -> unknown: NOT gone back: no reason was given"),
        # This one did.
        (proxy({}, {}, {}, "refused"), "unknown -> unknown: failed before any change"),
        (proxy(FAILED, SKIPPED, SKIPPED, "refused"), "unknown -> unknown: failed before any change"),
        (proxy(TRIED, FAILED, SAME, "refused"), "1-old -> 1-old: failed, as it was before"),
        (proxy(TRIED, FAILED, UNDONE, "refused"), "1-old -> 1-old: failed, as it was before"),
        (proxy(TRIED, GONE, SAME, "refused"), "1-old -> 1-old: failed, as it was before"),
        (proxy(TRIED, GONE, GONE, "refused"), "1-old -> unknown: NOT gone back: Connection refused"),
    ],
)
def test_row(given: Proxy, line: str) -> None:
    assert row(given, check_mode=False).line() == f"web1: {line}"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (proxy(TRIED, {"changed": True, "generation": "new"}, SKIPPED), "1-old -> new: would be updated"),
        (proxy(TRIED, {"changed": False, "generation": "old"}, SKIPPED), "1-old -> 1-old: unchanged"),
        (proxy(TRIED, FAILED, SKIPPED, "refused"), "1-old -> 1-old: failed, nothing changed"),
    ],
)
def test_row_of_check_mode(given: Proxy, line: str) -> None:
    assert row(given, check_mode=True).line() == f"web1: {line}"


def verdict(*proxies: Proxy, check_mode: bool = False) -> str | None:
    return failure(proxies, [row(one, check_mode) for one in proxies], check_mode)


def test_no_failure() -> None:
    assert verdict(proxy(TRIED, DONE, SKIPPED), proxy(TRIED, SAME, SKIPPED)) is None


@pytest.mark.parametrize(
    ("others", "check_mode", "sentence"),
    [
        ([proxy(TRIED, DONE, UNDONE)], False, "All proxies serve what they served before."),
        ([proxy(TRIED, DONE, GONE, name="web2"), proxy(TRIED, DONE, UNDONE, name="web3")], False,
         "Look at web2: what nginx serves there is not known. All other proxies are as they were."),
        ([proxy(TRIED, DONE, SKIPPED, "disk full")], False,
         "The configuration is live on all proxies; run this again for what failed after that."),
        ([proxy(TRIED, SKIPPED, SKIPPED)], True,
         "Nothing has changed on any proxy, and nothing would: it is all of them or none."),
    ],
)  # fmt: skip
def test_failure_says_what_is_live(others: list[Proxy], check_mode: bool, sentence: str) -> None:
    said = verdict(proxy(TRIED, FAILED, SAME, FAILED["msg"] + "\n", name="bad"), *others, check_mode=check_mode)
    lines = (said or "").splitlines()
    # nginx's own words come first.
    assert lines[:2] == ["bad: [emerg] bind() failed", "The configuration before it is live again."]
    assert sentence in lines
    assert [line.partition(":")[0] for line in lines[-1 - len(others) :]] == ["bad", *(one.name for one in others)]
