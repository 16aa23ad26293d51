# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of one play that have different applications: who is released, in which batches, and who migrates."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_members import batch_sizes, first_host, members
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

HAS = {"h1": ["shop"], "h2": ["blog"], "h3": ["blog", "shop"]}
HOSTS = list(HAS)


def told(only: str | None = None, lost: t.Collection[str] = ()) -> t.Callable[[str], t.Mapping[str, t.Any] | None]:
    """Return what the hosts say of themselves, but for those that are lost."""

    def ask(host: str) -> t.Mapping[str, t.Any] | None:
        if host in lost:
            return None
        names = [name for name in HAS[host] if only in (None, name)]
        return {"present": names, "named": HAS[host], "seen": names}

    return ask


@pytest.mark.parametrize(
    ("only", "lost", "hosts"),
    [
        (None, [], ["h1", "h2", "h3"]),
        ("shop", [], ["h1", "h3"]),
        ("blog", [], ["h2", "h3"]),
        ("blog", ["h2"], ["h3"]),
        (None, ["h1"], ["h2", "h3"]),
    ],
)
def test_who_is_released(only: str | None, lost: list[str], hosts: list[str]) -> None:
    assert members(HOSTS, told(only, lost), only) == hosts


def test_an_application_that_nobody_has() -> None:
    with pytest.raises(Refused, match=r'^app: "other" is refused; accepted: blog or shop$'):
        members(HOSTS, told("other"), "other")
    with pytest.raises(Refused, match=r'^groups\.apps: \["h1"\] is refused; accepted: hosts that have an application$'):
        members(["h1"], lambda _host: {"present": [], "named": []}, None)


EVERYBODY = list("abcdefgh")


@pytest.mark.parametrize(
    ("batches", "hosts", "sizes"),
    [
        ([1, "25%", "100%"], "abcdefgh", [1, "25%", "100%"]),
        # The canary is the first host that is meant, wherever that stands.
        ([1, "25%", "100%"], "cdgh", [3, 1, 4]),
        ([1], "bh", [2, 6]),
        (["50%"], "acef", [3, 3]),
        (["10%"], "ah", [1, 7]),
        ([5, 1], "ab", [2]),
    ],
)
def test_batches(batches: list[int | str], hosts: str, sizes: list[int | str]) -> None:
    assert batch_sizes(batches, list(hosts), EVERYBODY) == sizes


@pytest.mark.parametrize(
    ("name", "here", "lost", "first"),
    [
        ("shop", HOSTS, [], "h1"),
        ("blog", HOSTS, [], "h2"),
        # It failed when it was its turn: what it ran is not run again.
        ("blog", ["h1", "h3"], [], "h2"),
        # It was lost before.
        ("blog", ["h1", "h3"], ["h2"], "h3"),
        # Not asked, and there: nobody knows whether it has the application.
        ("blog", HOSTS, HOSTS, "h1"),
        ("other", HOSTS, [], None),
    ],
)
def test_who_runs_what_runs_once(name: str, here: list[str], lost: list[str], first: str | None) -> None:
    assert first_host(name, HOSTS, here, told(lost=lost)) == first


def test_a_host_that_is_left_out_has_no_turn() -> None:
    """Its task was skipped, by a condition of the play's own."""
    skipped = {"skipped": True, "changed": False}
    assert first_host("blog", HOSTS, HOSTS, lambda host: skipped if host == "h2" else told()(host)) == "h3"


def test_a_role_that_comes_twice_forgets_nothing() -> None:
    """With `serial` the second batch asks when the first one is at its second application."""
    assert first_host("shop", HOSTS, HOSTS, lambda _host: {"present": ["blog"], "seen": ["blog", "shop"]}) == "h1"


def test_a_host_whose_question_failed_has_had_its_turn() -> None:
    assert first_host("blog", HOSTS, HOSTS, lambda _host: {"failed": True, "msg": "no"}) == "h1"
