# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sites the playbook maintenance switches."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.maintenance import wanted_sites, wanted_state
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused


def sites(*names: str, enabled: t.Sequence[str] = ()) -> list[dict[str, t.Any]]:
    return [{"name": name, "maintenance": {"enabled": name in enabled}} for name in names]


@pytest.mark.parametrize(("value", "state"), [("on", "on"), ("off", "off"), (True, "on"), (False, "off")])
def test_state(value: t.Any, state: str) -> None:
    assert wanted_state(value) == state


@pytest.mark.parametrize("value", [None, "", "On", "yes", "true", 1, 0, ["on"], {"on": 1}])
def test_state_refused(value: t.Any) -> None:
    with pytest.raises(Refused, match=r"^state: .* is refused; accepted: on or off, as in -e state=on$"):
        wanted_state(value)


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (None, ["a", "b", "c"]),
        ("b", ["b"]),
        ("c,a", ["c", "a"]),
        ("a, b,a", ["a", "b"]),
        (["b"], ["b"]),
    ],
)
@pytest.mark.parametrize("state", ["on", "off"])
def test_sites(only: t.Any, names: list[str], state: str) -> None:
    assert wanted_sites(sites("a", "b", "c"), state, only) == names


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("d", 'site: "d" is refused; accepted: a site of this host: a, b; several with commas between them'),
        ("a,", 'site: "" is refused; accepted: a site of this host: a, b; several with commas between them'),
        ("", 'site: "" is refused; accepted: a site of this host: a, b; several with commas between them'),
        ([], "site: [] is refused; accepted: the name of a site, or a list of names"),
        (5, "site: 5 is refused; accepted: the name of a site, or a list of names"),
        ([5], "site: [5] is refused; accepted: the name of a site, or a list of names"),
        ({"a": 1}, 'site: {"a": 1} is refused; accepted: the name of a site, or a list of names'),
    ],
)
def test_sites_refused(only: t.Any, message: str) -> None:
    with pytest.raises(Refused) as caught:
        wanted_sites(sites("a", "b"), "on", only)
    assert str(caught.value) == message


def test_a_host_without_sites() -> None:
    with pytest.raises(Refused, match=r"^nginx_proxy_sites: \[\] is refused; accepted: at least one site$"):
        wanted_sites([], "on", None)


@pytest.mark.parametrize(
    ("state", "only", "refused"),
    [("on", None, False), ("on", "b", False), ("off", "a", False), ("off", None, True), ("off", "a,b", True)],
)
def test_one_that_the_inventory_has_away(state: str, only: str | None, refused: bool) -> None:
    """Without its file it would answer 503 as before."""
    given = sites("a", "b", enabled=["b"])
    if not refused:
        assert wanted_sites(given, state, only)
        return
    with pytest.raises(
        Refused, match=r"^nginx_proxy_sites\[1\]\.maintenance\.enabled: true is refused; accepted: false"
    ):
        wanted_sites(given, state, only)
