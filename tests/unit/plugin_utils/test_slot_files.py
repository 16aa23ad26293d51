# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of both slots, and an environment file that systemd reads back as it was given."""

from __future__ import annotations

import ast
import contextlib
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES
from ansible_collections.asgi.deploy.plugins.plugin_utils.slot_files import environment_text, slot_files

Normalise = t.Callable[..., dict[str, t.Any]]
Render = t.Callable[..., str]

SOURCES = ROLES / "gunicorn_app" / "files"


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
    files = slot_files(render, application, SOURCES)
    assert "hunter2" in environment_text(render, application)
    assert not any("hunter2" in text for slot in files.values() for text in slot.values())


OWN = {
    "gunicorn": ["gunicorn.conf.py", "draining_worker.py", "worker_replacement.py"],
    "uvicorn": ["uvicorn_server.py"],
}
SHARED = [
    "slot_settings.py",
    "draining_server.py",
    "held_websockets.py",
    "request_guard.py",
    "slot_logging.py",
    "systemd_notify.py",
]


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_each_server_has_what_it_reads_and_nothing_else(normalised: Normalise, render: Render, server: str) -> None:
    files = slot_files(render, normalised("gunicorn_app", gunicorn_app_server=server), SOURCES)["blue"]
    assert set(files) == {
        "/etc/systemd/system/notes@blue.service",
        "/etc/systemd/system/notes@blue.socket",
        *(f"/opt/notes/slots/blue/{name}" for name in SHARED + OWN[server]),
    }
    for path, text in files.items():
        if path.endswith(".py"):
            # The oldest Python that a release may bring.
            ast.parse(text, feature_version=(3, 9))


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_files_of_a_slot(normalised: Normalise, render: Render, slot: str) -> None:
    other = {"blue": "green", "green": "blue"}[slot]
    application = normalised("gunicorn_app", gunicorn_app_timeout=70, gunicorn_app_workers=3)
    files = slot_files(render, application, SOURCES)[slot]
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
    worker = (SOURCES / "draining_worker.py").read_text(encoding="utf-8")
    assert files[f"/opt/notes/slots/{slot}/draining_worker.py"] == worker


def settings_of(source: str) -> dict[str, t.Any]:
    """Return what a file of Python says in so many words; what it takes from another file is left out."""
    settings = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            with contextlib.suppress(ValueError):
                settings[node.targets[0].id] = ast.literal_eval(node.value)
    return settings


def files_of_blue(normalised: Normalise, render: Render, **variables: t.Any) -> dict[str, str]:
    application = normalised("gunicorn_app", **{f"gunicorn_app_{name}": value for name, value in variables.items()})
    files = slot_files(render, application, SOURCES)["blue"]
    return {path.removeprefix("/opt/notes/slots/blue/"): text for path, text in files.items()}


def test_gunicorns_settings(normalised: Normalise, render: Render) -> None:
    settings = settings_of(files_of_blue(normalised, render, timeout=70, workers=3)["gunicorn.conf.py"])
    assert settings == {
        "bind": "unix:/run/notes/blue.sock",
        "workers": 3,
        "timeout": 70,
        # The master must not kill a worker before that has ended its requests itself, nor systemd the master.
        "graceful_timeout": 119,
        "forwarded_allow_ips": "*",
        "worker_class": "draining_worker.DrainingWorker",
        "control_socket_disable": True,
        "worker_tmp_dir": "/dev/shm",
    }


def test_what_is_asked_for_is_set(normalised: Normalise, render: Render) -> None:
    settings = settings_of(files_of_blue(normalised, render, preload=True, max_requests=5000)["gunicorn.conf.py"])
    assert settings["preload_app"] is True
    assert settings["max_requests"] == 5000
    assert settings["max_requests_jitter"] == 500


def test_what_both_servers_go_by(normalised: Normalise, render: Render) -> None:
    text = files_of_blue(
        normalised, render, drain=7, limit_request_fields=50, log_level="error", log_format="json", access_log=True
    )["slot_settings.py"]
    assert settings_of(text) == {
        "SLOT": "blue",
        "SOCKET": "/run/notes/blue.sock",
        "LINK": "/opt/notes/current.sock",
        "PROBE": "/opt/notes/slots/blue/probe",
        "LOOP": "auto",
        "HTTP": "auto",
        "KEEPALIVE": 75,
        "TIMEOUT": 90,
        "DRAIN": 7,
        "LIMIT_LINE": 8190,
        "LIMIT_FIELDS": 50,
        "LIMIT_FIELD_SIZE": 8190,
        "LOG_LEVEL": "error",
        "LOG_FORMAT": "json",
        "ACCESS_LOG": True,
    }


ANY_VALUE: list[t.Any] = [
    "", "a b", "'", '"', "'''\"\"\"", "\\", "\\\n", "a\nb", "\r\n", "\0", "\x1b[0m", "{{ x }}", "{% raw %}", "{# #}",
    "é€\U0001f600", "\ud800", "\u2028", "# no comment", True, False, None, 0, -1, 2**59, 1.5, -1e300, [], {},
    ["a", [1, {"b'": None}]], {"a\nb": {"c": ["\"", 1.0]}},
]  # fmt: skip


@pytest.mark.parametrize("value", ANY_VALUE)
def test_any_value_of_a_setting_is_python(normalised: Normalise, render: Render, value: t.Any) -> None:
    source = files_of_blue(normalised, render, settings={"secure_scheme_headers": value})["gunicorn.conf.py"]
    # As it lies on the host.
    settings = settings_of(source.encode("utf-8").decode("utf-8"))
    assert settings["secure_scheme_headers"] == value
    assert type(settings["secure_scheme_headers"]) is type(value)


def test_both_slots_differ_in_nothing_but_their_name(normalised: Normalise, render: Render) -> None:
    files = slot_files(render, normalised("gunicorn_app"), SOURCES)
    blue = {path.replace("blue", "green"): text.replace("blue", "green") for path, text in files["blue"].items()}
    assert blue == files["green"]
    assert all(Path(path).is_absolute() for path in blue)
