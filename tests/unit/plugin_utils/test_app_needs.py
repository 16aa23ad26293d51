# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host needs before a release can be built, and what it says of its size."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_needs import machine_facts, packages


@pytest.mark.parametrize(
    ("told", "facts"),
    [
        ("4\nMemTotal:        2048000 kB\n", {"processor_nproc": 4, "memtotal_mb": 2000}),
        (
            "2\r\nvcpus=4\r\nMemTotal:        2048000 kB\r\n",
            {"processor_nproc": 2, "processor_vcpus": 4, "memtotal_mb": 2000},
        ),
        ("", {}),
        ("sh: nproc: not found\nvcpus=\nMemTotal: 1024 kB\n", {"memtotal_mb": 1}),
    ],
)
def test_the_size_of_a_host(told: str, facts: dict[str, int]) -> None:
    assert machine_facts(told) == facts


GIT: dict[str, t.Any] = {"type": "git", "signed_by": []}


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ([], []),
        ([{"type": "directory"}], ["python3-venv"]),
        ([{"type": "package"}, GIT], ["python3-venv", "git"]),
        ([{**GIT, "signed_by": ["key"]}], ["python3-venv", "git", "gpg"]),
    ],
)
def test_packages(sources: list[dict[str, t.Any]], names: list[str]) -> None:
    assert packages([{"source": source, "hop": None} for source in sources]) == names
