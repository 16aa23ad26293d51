# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of both slots, and an environment file that systemd reads back as it was given."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES
from ansible_collections.asgi.deploy.plugins.plugin_utils.slot_files import environment_text, slot_files

Normalise = t.Callable[..., dict[str, t.Any]]
Render = t.Callable[..., str]

WORKER = ROLES / "gunicorn_app" / "files" / "draining_worker.py"


@pytest.fixture
def render() -> Render:
    return renderer(str(ROLES / "gunicorn_app"), "gunicorn_app")


def read_as_systemd(text: str) -> dict[str, str]:
    """Read an environment file as systemd does: in double quotes a backslash takes away a meaning."""
    values = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\["\\`$])*)"', line)
        assert match is not None, line
        values[match[1]] = re.sub(r'\\(["\\`$])', r"\1", match[2])
    return values


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        " a ",
        "a b",
        'a"b',
        '"',
        "\\",
        "a\\",
        '\\"',
        "\\n",
        "$HOME ${HOME} $(id) `id`",
        "'single'",
        "# no comment",
        "; no comment",
        "{{ 1 + 1 }}",
        "{% raw %}",
        "a=b",
        "%i %%",
        "tab\there",
        "é€\U0001f600",
        "!&*?[]|<>~",
    ],
)
def test_environment(normalised: Normalise, render: Render, value: str) -> None:
    application = normalised("gunicorn_app", gunicorn_app_env={"B": value, "A": 1})
    text = environment_text(render, application)
    assert text.startswith("# Managed by Ansible (asgi.deploy, role gunicorn_app).")
    assert read_as_systemd(text) == {"A": "1", "B": value}
    assert text.index("\nA=") < text.index("\nB=")


def test_no_secret_outside_the_environment_file(normalised: Normalise, render: Render) -> None:
    application = normalised("gunicorn_app", gunicorn_app_env={"KEY": "hunter2"})
    files = slot_files(render, application, WORKER)
    assert "hunter2" in environment_text(render, application)
    assert not any("hunter2" in text for slot in files.values() for text in slot.values())


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_files_of_a_slot(normalised: Normalise, render: Render, slot: str) -> None:
    other = {"blue": "green", "green": "blue"}[slot]
    application = normalised("gunicorn_app", gunicorn_app_timeout=70, gunicorn_app_workers=3)
    files = slot_files(render, application, WORKER)[slot]
    assert set(files) == {
        f"/etc/systemd/system/notes@{slot}.service",
        f"/etc/systemd/system/notes@{slot}.socket",
        f"/opt/notes/slots/{slot}/gunicorn.conf.py",
        f"/opt/notes/slots/{slot}/draining_worker.py",
    }
    assert not any(other in text for text in files.values())
    service = files[f"/etc/systemd/system/notes@{slot}.service"].splitlines()
    assert f"EnvironmentFile=/opt/notes/slots/{slot}/environment" in service
    assert "TimeoutStopSec=120" in service
    assert "User=notes" in service
    [start] = [line for line in service if line.startswith("ExecStart=")]
    assert start.endswith(f"/opt/notes/slots/{slot}/gunicorn.conf.py notes.main:app")
    socket = files[f"/etc/systemd/system/notes@{slot}.socket"].splitlines()
    assert f"ListenStream=/run/notes/{slot}.sock" in socket
    assert "SocketMode=0660" in socket
    assert "SocketGroup=www-data" in socket
    assert files[f"/opt/notes/slots/{slot}/draining_worker.py"] == WORKER.read_text(encoding="utf-8")


def settings_of(source: str) -> dict[str, t.Any]:
    settings = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            settings[node.targets[0].id] = ast.literal_eval(node.value)
    return settings


def test_gunicorns_settings(normalised: Normalise, render: Render) -> None:
    application = normalised("gunicorn_app", gunicorn_app_timeout=70, gunicorn_app_workers=3)
    source = slot_files(render, application, WORKER)["blue"]["/opt/notes/slots/blue/gunicorn.conf.py"]
    settings = settings_of(source)
    assert settings["bind"] == "unix:/run/notes/blue.sock"
    assert settings["workers"] == 3
    assert settings["timeout"] == settings["graceful_timeout"] == 70
    assert settings["keepalive"] == 75
    assert settings["forwarded_allow_ips"] == "*"
    assert settings["worker_class"] == "draining_worker.DrainingWorker"


def test_both_slots_differ_in_nothing_but_their_name(normalised: Normalise, render: Render) -> None:
    files = slot_files(render, normalised("gunicorn_app"), WORKER)
    blue = {path.replace("blue", "green"): text.replace("blue", "green") for path, text in files["blue"].items()}
    assert blue == files["green"]
    assert all(Path(path).is_absolute() for path in blue)
