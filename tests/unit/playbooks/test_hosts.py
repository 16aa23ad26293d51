# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook that would reach none of the hosts it is for is refused, and not green. No host is asked anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

INVENTORY = """
all: {vars: {ansible_connection: local}}
apps: {hosts: {app1: }}
proxies: {hosts: {proxy1: }}
other: {hosts: {other1: }}
"""

APPS, PROXIES = "the group apps", "the group proxies"
EITHER = "the group apps, in the group proxies, or in both"
NEEDS = {
    "site.yml": EITHER,
    "release.yml": APPS,
    "rollback.yml": APPS,
    "maintenance.yml": PROXIES,
    "proxy_update.yml": PROXIES,
}


def refusal(folder: Path, playbook: str, inventory: str | None, *options: str) -> str:
    """Return what Ansible says. :param inventory: its text, None for a file that is not there"""
    path = folder / "inventory.yml"
    if inventory is not None:
        path.write_text(inventory, encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(path), *options]
    # As the Makefile has it, for pytest alone too.
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [*command, str(ROOT / "playbooks" / playbook)],
        env={**os.environ, **settings, "ANSIBLE_LOCAL_TEMP": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(("playbook", "accepted"), NEEDS.items())
def test_groups_of_other_names(tmp_path: Path, playbook: str, accepted: str) -> None:
    said = refusal(tmp_path, playbook, "app: {hosts: {app1: }}\n")
    assert f'groups: ["app"] is refused; accepted: an inventory with hosts in {accepted}' in said


@pytest.mark.parametrize(("playbook", "accepted"), NEEDS.items())
def test_an_inventory_that_is_not_there(tmp_path: Path, playbook: str, accepted: str) -> None:
    said = refusal(tmp_path, playbook, None)
    assert f"groups: [] is refused; accepted: an inventory with hosts in {accepted}" in said


@pytest.mark.parametrize(("playbook", "accepted"), NEEDS.items())
def test_a_limit_that_leaves_none(tmp_path: Path, playbook: str, accepted: str) -> None:
    limit = {APPS: "proxy1", PROXIES: "app1", EITHER: "other1"}[accepted]
    said = refusal(tmp_path, playbook, INVENTORY, "--limit", limit)
    assert f'--limit: "{limit}" is refused; accepted: one that leaves hosts in {accepted}' in said
