# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's variables as a host has them, and real certificate pairs."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise

FACTS = {"processor_nproc": 2, "memtotal_mb": 2048}

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]


@pytest.fixture
def application_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "requirements.txt").write_text("gunicorn\n", encoding="utf-8")
    for name in ("static", "app/static"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture
def least(application_folder: Path) -> dict[str, dict[str, t.Any]]:
    """The least that each role needs; a test says only what it changes."""
    return {
        "nginx_proxy": {"nginx_proxy_sites": []},
        "gunicorn_app": {
            "gunicorn_app_name": "notes",
            "gunicorn_app_module": "notes.main:app",
            "gunicorn_app_source": {"type": "directory", "path": str(application_folder)},
        },
        "certbot": {},
        "floating_address": {
            "floating_address_addresses": ["192.0.2.10/24"],
            "groups": {"proxies": ["web1", "web2"]},
        },
    }


@pytest.fixture
def normalised(least: dict[str, dict[str, t.Any]]) -> Normalise:
    """Return the role's structure for a host with these variables: specs and relations, as in a play."""

    def run(role: str, **variables: t.Any) -> dict[str, t.Any]:
        known = {"ansible_facts": FACTS, "inventory_hostname": "web1", **least[role], **variables}
        structure = normalise(role, Host(known, lambda value: value))
        # Most tests are about the one application that most hosts have.
        return structure["applications"][0] if role == "gunicorn_app" else structure

    return run


@pytest.fixture
def refusal(normalised: Normalise) -> Refusal:
    """Return the line that a user reads."""

    def run(role: str, **variables: t.Any) -> str:
        with pytest.raises(Refused) as caught:
            normalised(role, **variables)
        return str(caught.value)

    return run


@pytest.fixture(scope="session")
def make_pair(tmp_path_factory: pytest.TempPathFactory) -> t.Callable[..., Path]:
    """Return a folder with fullchain.pem and privkey.pem for these names, made by openssl."""

    def run(*names: str, days: int = 90, kind: str = "ec") -> Path:
        folder = tmp_path_factory.mktemp("pair")
        san = ["-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)] if names else []
        curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"] if kind == "ec" else []
        key = ["-newkey", kind, *curve, "-nodes", "-keyout", "privkey.pem"]
        command = ["openssl", "req", "-x509", *key, "-days", str(days), "-subj", "/CN=Test authority", *san]
        subprocess.run([*command, "-out", "fullchain.pem"], cwd=folder, check=True, capture_output=True)
        return folder

    return run
