# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around nginx on a host, as the module nginx_host is told of it."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.health_checks import config_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.host_library import FOLDER, library
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import probe_for
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_needs import HEALTH_LIBRARY, LIBRARY, packages

PROGRAM = f"{FOLDER}/nginx_rollback.py"
COMMAND = "/usr/local/sbin/asgi-deploy-nginx-rollback"
DROP_IN = "/etc/systemd/system/nginx.service.d/asgi-deploy.conf"

HEALTH_PROGRAM = f"{FOLDER}/health_checks.py"
HEALTH_COMMAND = "/usr/local/sbin/asgi-deploy-health"
HEALTH_CONFIG = "/etc/asgi-deploy/health.json"
HEALTH_UNITS = "/etc/systemd/system/asgi-deploy-health"

KEYRING = "/etc/apt/keyrings/asgi-deploy-nginx.gpg"
SOURCES = "/etc/apt/sources.list.d/asgi-deploy-nginx.sources"
PREFERENCES = "/etc/apt/preferences.d/asgi-deploy-nginx.pref"

_PROGRAMS = pathlib.Path(__file__).resolve().parents[2] / "roles" / "nginx_proxy" / "files"


def host_parameters(
    proxy: t.Mapping[str, t.Any], render: t.Callable[..., str], name: str, repository: t.Mapping[str, t.Any] | None
) -> dict[str, t.Any]:
    """Return the parameters of the module nginx_host.

    :param proxy: the normalised structure of nginx_proxy
    :param name: the host's in the inventory
    :param repository: the nginx project's for this host, None where nginx comes from the distribution
    """
    files = _files(proxy, render)
    key = None
    if repository:
        files[SOURCES] = {"text": render("host/nginx.sources.j2", **repository, keyring=KEYRING), "mode": "0644"}
        files[PREFERENCES] = {"text": render("host/nginx.pref.j2"), "mode": "0644"}
        key = {"url": repository["key_url"], "path": KEYRING, "fingerprints": repository["fingerprints"]}
    return {
        "host": name,
        "files": files,
        "absent": [] if key else [SOURCES, PREFERENCES, KEYRING],
        "packages": packages(proxy),
        "probe": probe_for(proxy["looked_up"]),
        "key": key,
        "health_files": _health_files(proxy["health_checks"], render),
        "health_checks": proxy["health_checks"] is not None,
    }


def _files(proxy: t.Mapping[str, t.Any], render: t.Callable[..., str]) -> dict[str, dict[str, str]]:
    return {
        DROP_IN: {"text": render("host/nginx.service.j2", **proxy), "mode": "0644"},
        PROGRAM: {"text": _program("nginx_rollback.py"), "mode": "0644"},
        COMMAND: {"text": render("host/rollback.j2", program=PROGRAM, **proxy), "mode": "0755"},
        **{path: {"text": text, "mode": "0644"} for path, text in library(LIBRARY).items()},
    }


def _health_files(checks: t.Mapping[str, t.Any] | None, render: t.Callable[..., str]) -> dict[str, dict[str, str]]:
    """Return the files of the health checks, without texts where they are to go."""
    texts = {HEALTH_PROGRAM: _program("health_checks.py"), **library(HEALTH_LIBRARY)}
    templates = {
        HEALTH_COMMAND: "health",
        f"{HEALTH_UNITS}.service": "health.service",
        f"{HEALTH_UNITS}.timer": "health.timer",
    }
    if checks is None:
        return {path: {"text": "", "mode": ""} for path in [*texts, *templates, HEALTH_CONFIG]}
    known = {**checks, "program": HEALTH_PROGRAM, "command": HEALTH_COMMAND}
    texts |= {path: render(f"host/{name}.j2", **known) for path, name in templates.items()}
    texts[HEALTH_CONFIG] = config_of(checks)
    return {path: {"text": text, "mode": "0755" if path == HEALTH_COMMAND else "0644"} for path, text in texts.items()}


def _program(name: str) -> str:
    return (_PROGRAMS / name).read_text(encoding="utf-8")
