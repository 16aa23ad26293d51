# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render certbot's hook and drop-in on the controller, and hand them to the module of the same name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.host_library import FOLDER, library
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

ROLE = "certbot"

PROGRAM = f"{FOLDER}/deploy_certificates.py"
COMMAND = "/usr/local/sbin/asgi-deploy-certificates"

#: What the program imports.
_LIBRARY = ("atomic", "certificate")


class ActionModule(ActionBase):
    """Takes the role's variables from the host; no arguments."""

    _VALID_ARGS = frozenset(())

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        try:
            structure = normalise(ROLE, Host(variables, self._templar.template))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        wanted = {name: value for name, value in structure.items() if name != "tls_dir"}
        arguments = {**wanted, "files": _files(structure), "command": COMMAND}
        result.update(self._execute_module("asgi.deploy.certbot_certificates", arguments, task_vars=variables))
        # The files would come back with it.
        result.pop("invocation", None)
        return result


def _files(structure: dict[str, t.Any]) -> dict[str, dict[str, str]]:
    render = renderer(str(ROLES / ROLE), ROLE)
    program = (ROLES / ROLE / "files" / "deploy_certificates.py").read_text(encoding="utf-8")
    return {
        **{path: {"text": text, "mode": "0644"} for path, text in library(_LIBRARY).items()},
        PROGRAM: {"text": program, "mode": "0644"},
        COMMAND: {"text": render("command.j2", program=PROGRAM, **structure), "mode": "0755"},
        "/etc/letsencrypt/renewal-hooks/deploy/asgi-deploy": {
            "text": render("deploy_hook.j2", command=COMMAND),
            "mode": "0755",
        },
        "/etc/systemd/system/certbot.service.d/asgi-deploy.conf": {
            "text": render("certbot.service.j2", command=COMMAND, **structure),
            "mode": "0644",
        },
    }
