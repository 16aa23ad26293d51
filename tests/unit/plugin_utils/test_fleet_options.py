# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a release over many hosts, as they follow -e."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_options import Options, options
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused


def test_without_any() -> None:
    assert options({}) == Options([1, "25%", "100%"], 0, False, False, None)


@pytest.mark.parametrize(
    ("given", "batches"),
    [
        ("1,25%,100%", [1, "25%", "100%"]),
        ("1, 25%, 100%", [1, "25%", "100%"]),
        ('[1, "25%", "100%"]', [1, "25%", "100%"]),
        ('[1,"25%","100%"]', [1, "25%", "100%"]),
        # A shell takes the quotes away.
        ("[1,25%,100%]", [1, "25%", "100%"]),
        ([1, "25%", "100%"], [1, "25%", "100%"]),
        (["1", 5], [1, 5]),
        ("3", [3]),
        (3, [3]),
        ("100%", ["100%"]),
    ],
)
def test_batches(given: t.Any, batches: list[t.Any]) -> None:
    assert options({"release_serial": given}).batches == batches


@pytest.mark.parametrize(
    "given",
    ["", "0", 0, -1, "0%", "101%", "1,,2", "one", [], [[1]], [True], True, 1.5, {"a": 1}, "[1,", "9" * 5000, "1000000"],
)
def test_batches_that_cannot_be(given: t.Any) -> None:
    with pytest.raises(Refused, match=r"^release_serial: .* is refused; accepted: a list of batches"):
        options({"release_serial": given})


def test_the_others(tmp_path: Path) -> None:
    report = str(tmp_path / "report.json")
    given = {
        "release_max_failures": "2",
        "release_on_failure": "back",
        "release_lock": "break",
        "release_report": report,
    }
    assert options(given)[1:] == (2, True, True, report)
    assert options({"release_report": ""}).report is None


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("release_max_failures", -1, "the number of hosts that may fail"),
        ("release_max_failures", "10%", "the number of hosts that may fail"),
        ("release_max_failures", True, "the number of hosts that may fail"),
        ("release_max_failures", None, "the number of hosts that may fail"),
        ("release_on_failure", "rollback", "stay or back"),
        ("release_on_failure", ["back"], "stay or back"),
        ("release_lock", True, "keep or break"),
        ("release_report", "/no/such/folder/x", "the path of a file on the controller"),
        ("release_report", "/", "the path of a file on the controller"),
        ("release_report", 7, "the path of a file on the controller"),
    ],
)
def test_what_is_refused(name: str, value: t.Any, accepted: str) -> None:
    with pytest.raises(Refused, match=rf"^{name}: .* is refused; accepted: {accepted}"):
        options({name: value})
