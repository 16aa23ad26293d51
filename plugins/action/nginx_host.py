# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render what stands around nginx on the controller, and hand it to the module of the same name in one piece."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.health_checks import config_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.host_library import FOLDER, library
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import probe_for
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_needs import (
    HEALTH_LIBRARY,
    LIBRARY,
    packages,
    repository_of,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

ROLE = "nginx_proxy"

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


class ActionModule(ActionBase):
    """Takes the role's variables from the host; no arguments."""

    _VALID_ARGS = frozenset(())

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        render = renderer(str(ROLES / ROLE), ROLE)
        try:
            proxy = normalise(ROLE, Host(variables, self._templar.template))
            files = _files(proxy, render)
            key = None
            if proxy["repository"]:
                release = self._low_level_execute_command("cat /etc/os-release")["stdout"]
                repository = repository_of(proxy["repository"], release)
                sources = render("host/nginx.sources.j2", **repository, keyring=KEYRING)
                files[SOURCES] = {"text": sources, "mode": "0644"}
                files[PREFERENCES] = {"text": render("host/nginx.pref.j2"), "mode": "0644"}
                key = {"url": repository["key_url"], "path": KEYRING, "fingerprints": repository["fingerprints"]}
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        arguments = {
            "host": variables["inventory_hostname"],
            "files": files,
            "absent": [] if key else [SOURCES, PREFERENCES, KEYRING],
            "packages": packages(proxy),
            "probe": probe_for(proxy["looked_up"]),
            "key": key,
            "health_files": _health_files(proxy, render),
            "health_checks": proxy["health_checks"] is not None,
        }
        result.update(self._execute_module("asgi.deploy.nginx_host", arguments, task_vars=variables))
        # The files would come back with it.
        result.pop("invocation", None)
        return result


def _files(proxy: dict[str, t.Any], render: t.Callable[..., str]) -> dict[str, dict[str, str]]:
    program = (ROLES / ROLE / "files" / "nginx_rollback.py").read_text(encoding="utf-8")
    return {
        DROP_IN: {"text": render("host/nginx.service.j2", **proxy), "mode": "0644"},
        PROGRAM: {"text": program, "mode": "0644"},
        COMMAND: {"text": render("host/rollback.j2", program=PROGRAM, **proxy), "mode": "0755"},
        **{path: {"text": text, "mode": "0644"} for path, text in library(LIBRARY).items()},
    }


def _health_files(proxy: dict[str, t.Any], render: t.Callable[..., str]) -> dict[str, dict[str, str]]:
    """Return the files of the health checks, without texts where they are to go."""
    checks = proxy["health_checks"]
    program = (ROLES / ROLE / "files" / "health_checks.py").read_text(encoding="utf-8")
    texts = {HEALTH_PROGRAM: program, **library(HEALTH_LIBRARY)}
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
