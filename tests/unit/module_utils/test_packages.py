# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages a host has not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.packages import absent_packages

Fixture = t.Any


@pytest.mark.parametrize(
    ("printed", "absent"),
    [
        ("nginx ii \nopenssl ii \n", []),
        ("nginx ii \n", ["openssl"]),
        # Removed, its configuration left; and one that is known by name only.
        ("nginx rc \nopenssl un \n", ["nginx", "openssl"]),
        ("", ["nginx", "openssl"]),
    ],
)
def test_absent_packages(fake_run: Fixture, printed: str, absent: list[str]) -> None:
    assert absent_packages(fake_run({"dpkg-query": (1, printed, "")}), ["nginx", "openssl"]) == absent


def test_without_a_name_nothing_is_asked(fake_run: Fixture) -> None:
    assert absent_packages(fake_run({}), []) == []
