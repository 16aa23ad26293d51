# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host has to say of a port for proxies elsewhere, before a release is live, in the words that a user sees."""

from __future__ import annotations

import functools
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import input_checks

OURS = "# Managed by Ansible (asgi.deploy, role gunicorn_app).\n"
LISTENER = "  sl  local_address rem_address   st\n   0: 00000000:1F40 00000000:0000 0A 0:0\n"


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., list[str]]:
    """Ask a host on which port 8000 is listened on."""
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/tcp").write_text(LISTENER, encoding="utf-8")
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    at_base = functools.partial(input_checks.port_problem, base=str(tmp_path))
    monkeypatch.setattr(input_checks, "port_problem", at_base)

    def run(command: list[str]) -> tuple[int, str, str]:
        there = [unit for unit in command[3:] if (tmp_path / "etc/systemd/system" / unit).exists()]
        return 0, "\n\n".join(f"Id={unit}\nActiveState=active\nUnitFileState=enabled" for unit in there), ""

    def ask(kind: str, value: str, application: str) -> list[str]:
        question = {"kind": kind, "path": "gunicorn_app_port", "value": value, "application": application}
        return list(input_checks.problems({"pairs": [], "named": [question], "staging": None}, run))

    return ask


@pytest.mark.parametrize("kind", ["plain_port", "tls_port"])
def test_another_program_s(said: t.Callable[..., list[str]], kind: str) -> None:
    refused = 'gunicorn_app_port: "8000" is refused; accepted: a port that nothing else on the host listens on'
    assert said(kind, "8000", "notes") == [refused]
    assert said(kind, "8001", "notes") == []


def test_ours(said: t.Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "etc/systemd/system/notes-hop@8000.socket").write_text(OURS, encoding="utf-8")
    assert said("plain_port", "8000", "notes") == []
    [refused] = said("tls_port", "8000", "notes")
    assert refused.startswith('gunicorn_app_port: "8000" is refused; accepted: another port; this one is open without')


def test_another_application_s(said: t.Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "etc/systemd/system/old-shop-hop@8000.socket").write_text(OURS, encoding="utf-8")
    assert said("plain_port", "8000", "shop") == [
        'gunicorn_app_port: "8000" is refused; accepted: another port; old-shop has it on this host until that is '
        "removed or has another one"
    ]
