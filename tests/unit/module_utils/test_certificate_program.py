# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program as it lies on a host: beside its library, with nothing of Ansible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.certbot_needs import LIBRARY, PROGRAM
from ansible_collections.asgi.deploy.plugins.plugin_utils.host_library import library

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    for path, text in library(LIBRARY).items():
        (tmp_path / os.path.basename(path)).write_text(text, encoding="utf-8")
    copy = tmp_path / os.path.basename(PROGRAM)
    shutil.copy(ROOT / "roles/certbot/files/deploy_certificates.py", copy)
    return copy


def test_it_starts_with_what_the_role_copies(program: Path) -> None:
    # Isolated: nothing of ours is found elsewhere.
    script = f"import sys; sys.path.insert(0, {str(program.parent)!r}); import deploy_certificates"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_hook_leaves_it_to_what_comes_after(program: Path) -> None:
    environment = {**os.environ, "ASGI_DEPLOY_AFTERWARDS": "1"}
    command = [sys.executable, str(program), "--hook"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_modes_exclude_each_other(program: Path) -> None:
    command = [sys.executable, str(program), "--hook", "--play"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
