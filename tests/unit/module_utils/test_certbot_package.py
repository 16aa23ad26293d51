# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certbot a host has, or will have: a profile is refused before that one would choke on it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.certbot_package import (
    has_plugin,
    knows_profiles,
    packaged_version,
)

BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
TRIXIE = 'ID=debian\nVERSION_ID="13"\n'
NOBLE = 'VERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
POLICY = "certbot:\n  Installed: (none)\n  Candidate: {}\n  Version table:\n"


@pytest.mark.parametrize(
    ("installed", "candidate", "release", "version"),
    [
        ("ii 2.1.0-4", "4.0.0-2", TRIXIE, "2.1.0"),
        ("ii 1:4.0.0-2~bpo12+1", "2.1.0-4", BOOKWORM, "4.0.0"),
        # Removed, its configuration kept.
        ("rc 2.1.0-4", "4.0.0-2", TRIXIE, "4.0.0"),
        (None, "2.1.0-4", BOOKWORM, "2.1.0"),
        # A new host, whose apt has no lists yet, says "(none)", or nothing at all.
        (None, "(none)", BOOKWORM, "2.1.0"),
        (None, None, NOBLE, "2.9.0"),
        (None, None, TRIXIE, None),
        (None, None, "", None),
    ],
)
def test_version(
    tmp_path: Path,
    fake_run: t.Any,
    installed: str | None,
    candidate: str | None,
    release: str,
    version: str | None,
) -> None:
    os_release = tmp_path / "os-release"
    os_release.write_text(release, encoding="utf-8")
    answers = {
        "dpkg-query": (0, installed, "") if installed else (1, "", "no packages found matching certbot\n"),
        "apt-cache": (0, POLICY.format(candidate) if candidate else "", ""),
    }
    assert packaged_version(fake_run(answers), str(os_release)) == version


@pytest.mark.parametrize(
    ("version", "knows"),
    [("1.21.0", False), ("2.1.0", False), ("3.3.0", False), ("4.0.0", True), ("4.0", True), ("10.0.0", True)],
)
def test_profiles(version: str, knows: bool) -> None:
    assert knows_profiles(version) is knows


OVH = "python3-certbot-dns-ovh"
CERTBOT = "certbot:\n  Installed: 4.0.0-2\n  Candidate: 4.0.0-2\n  Version table:\n *** 4.0.0-2 500\n"


@pytest.mark.parametrize(
    ("installed", "policy", "has"),
    [
        (True, "", True),
        (False, CERTBOT + OVH + ":\n  Installed: (none)\n  Candidate: 2.0.0-1\n  Version table:\n", True),
        # A package that another one only names.
        (False, CERTBOT + OVH + ":\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n", False),
        (False, CERTBOT, False),
        # A new host: apt has no lists, and says nothing of either.
        (False, "", None),
    ],
)
def test_plugin(fake_run: t.Any, installed: bool, policy: str, has: bool | None) -> None:
    run = fake_run({"dpkg-query": (0, "ii 2.0.0-1", "") if installed else (1, "", ""), "apt-cache": (0, policy, "")})
    assert has_plugin(run, "ovh") is has
