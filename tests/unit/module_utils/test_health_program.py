# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program as it lies on a host, beside its library and with nothing of Ansible: one run, and whom it asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.host_library import library
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_needs import HEALTH_LIBRARY, LIBRARY
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES

QUESTION = {"path": "/health", "status": 200, "body": None}
CONFIG = {
    "timeout": 2.0,
    "fall": 2,
    "rise": 2,
    "upstreams": {"site__notes": "notes", "site__also": "notes"},
    "applications": {
        "notes": {
            "domain": "notes.example.com",
            "https": True,
            "hosts": {"app1": QUESTION, "app2": QUESTION},
            "tls_name": None,
        }
    },
}
TEXT = """\
upstream site__notes {
    server unix:/opt/notes/current.sock; # proxy1
    server 10.0.0.1:8000; # app1
    server 10.0.0.2:8000 down; # app2
    server 10.0.0.3:8000; # app3
}
upstream site__also {
    server 10.0.0.1:8000; # app1
}
upstream site__shop {
    server 10.0.0.1:8001; # app1
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    for path, text in library([*LIBRARY, *HEALTH_LIBRARY]).items():
        (tmp_path / os.path.basename(path)).write_text(text, encoding="utf-8")
    copy = tmp_path / "health_checks.py"
    copy.write_text((ROLES / "nginx_proxy/files/health_checks.py").read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def told(program: Path, *words: str) -> t.Any:
    """Run Python with the program's module as ``it``, isolated: nothing of ours is found elsewhere."""
    script = f"import sys, json; sys.path.insert(0, {str(program.parent)!r}); import health_checks as it\n" + "\n".join(
        words
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_whom_it_asks(program: Path) -> None:
    found = told(
        program, f"targets = it.targets_of({TEXT!r}, {CONFIG!r})", "print(json.dumps([list(one) for one in targets]))"
    )
    rest = ["/health", "notes.example.com", True, 200, None, None]
    # Not the proxy itself, no host that the inventory does not have any more, no upstream that it does not know.
    assert found == [
        ["10.0.0.1:8000", "app1", "notes", ["site__notes", "site__also"], *rest],
        ["10.0.0.2:8000", "app2", "notes", ["site__notes"], *rest],
    ]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        # Without a state, after a boot for instance, a mark says that a host was down.
        ({}, {"10.0.0.1:8000": [False, 0], "10.0.0.2:8000": [True, 1]}),
        ({"10.0.0.2:8000": [True, 1]}, {"10.0.0.1:8000": [False, 0], "10.0.0.2:8000": [False, 0]}),
        ({"10.0.0.9:8000": [True, 1]}, {"10.0.0.1:8000": [False, 0], "10.0.0.2:8000": [True, 1]}),
    ],
)
def test_what_it_counts_from(program: Path, known: dict[str, list[t.Any]], expected: dict[str, list[t.Any]]) -> None:
    after = told(
        program,
        f"it.read_counts = lambda: {{key: it.Count(*value) for key, value in {known!r}.items()}}",
        "it.ask_all = lambda targets, timeout: {one.address: None for one in targets}",
        f"targets = it.targets_of({TEXT!r}, {CONFIG!r})",
        f"before, after = it.count(targets, {TEXT!r}, {CONFIG!r})",
        "print(json.dumps({key: value[:2] for key, value in after.items()}))",
    )
    assert after == expected


def test_it_says_what_it_is_for(program: Path) -> None:
    done = subprocess.run([sys.executable, str(program), "--help"], capture_output=True, text=True, check=False, env={})
    assert done.returncode == 0, done.stderr
    assert "asgi-deploy-health" in done.stdout


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_configuration_of_its_own_that_is_spoilt(program: Path, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "health.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    words = told(
        program,
        f"it.CONFIG = {str(path)!r}",
        "try:\n    it.read_config()\nexcept ValueError as error:\n    print(json.dumps(str(error)))",
    )
    assert words == f"{path} is not as the role nginx_proxy writes it: run the playbook"
