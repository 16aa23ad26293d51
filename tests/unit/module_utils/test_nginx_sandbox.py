# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The surroundings of nginx.service, read from its drop-ins: the user's own count, and what nginx cannot start in."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.nginx_sandbox import reason_of, sandbox_of, settings_of

Fixture = t.Any

WORDS = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"]
OURS = "[Unit]\nStartLimitBurst=5\n\n[Service]\nRestart=on-failure\n# ReadWritePaths=/no\nProtectSystem=strict\n"
TEMPLATE = Path(__file__).parents[3] / "roles/nginx_proxy/templates/host/nginx.service.j2"


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", []),
        (OURS, ["ProtectSystem=strict"]),
        ("[Service]\nReadWritePaths=/run -/var/lib/nginx\n", ["ReadWritePaths=/run -/var/lib/nginx"]),
        ("[Service]\nReadWritePaths = /a \\\n  /b\n", ["ReadWritePaths=/a    /b"]),
        # Takes back what was said before it.
        ("[Service]\nReadWritePaths=\nReadWritePaths=/b\n", ["ReadWritePaths=", "ReadWritePaths=/b"]),
        ("ProtectSystem=strict\n[Unit]\nProtectHome=yes\n", []),
        ("[Service]\n;ProtectHome=yes\nLimitNOFILE=5\nProtectHome\n", []),
    ],
)
def test_settings(text: str, settings: list[str]) -> None:
    assert settings_of(text) == settings


def test_our_drop_in_has_what_decides_about_files() -> None:
    settings = settings_of(re.sub(r"\{[{%].*?[%}]\}", "", TEMPLATE.read_text(encoding="utf-8")))
    names = {setting.partition("=")[0] for setting in settings}
    assert {"ProtectSystem", "ReadWritePaths", "ProtectHome", "PrivateTmp", "CapabilityBoundingSet"} <= names


def test_the_words(tmp_path: Path, write: Fixture) -> None:
    folder = tmp_path / "nginx.service.d"
    assert sandbox_of(folder=str(folder), booted=str(tmp_path)) == []
    write(folder / "local.conf", "[Service]\nReadWritePaths=/data\n")
    write(folder / "asgi-deploy.conf", OURS)
    write(folder / "note.txt", "[Service]\nProtectHome=yes\n")
    words = [*WORDS, "--property=ProtectSystem=strict", "--property=ReadWritePaths=/data"]
    assert sandbox_of(folder=str(folder), booted=str(tmp_path)) == words
    # Not written yet, or to be written otherwise.
    pending = "[Service]\nProtectSystem=full\n"
    assert sandbox_of(pending, str(folder), str(tmp_path))[5:] == [
        "--property=ProtectSystem=full",
        "--property=ReadWritePaths=/data",
    ]
    assert sandbox_of(pending, str(tmp_path / "none"), str(tmp_path)) == [*WORDS, "--property=ProtectSystem=full"]
    # A host that systemd did not start has no unit either.
    assert sandbox_of(pending, str(folder), str(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        (1, 'nginx: [emerg] open() "/data/x.log" failed (30: Read-only file system)', ["ReadWritePaths=/data,"]),
        (226, "", ["status 226", "ReadWritePaths= that is not there"]),
        (1, 'nginx: [emerg] unknown directive "x"', []),
        (1, 'nginx: [emerg] open() "/data/x.log" failed (2: No such file or directory)', []),
    ],
)
def test_the_reason(code: int, message: str, words: list[str]) -> None:
    reason = reason_of(code, message)
    assert (reason is not None) is bool(words)
    assert all(word in (reason or "") for word in words)
