# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render the ports for proxies on other hosts on the controller, and hand them to the module of the same name."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_hop import hop_files, names_to_allow
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import lookup, resolved
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

ROLE = "gunicorn_app"


class ActionModule(ActionBase):
    """Takes the role's variables from the host. ``only``: the names of the applications that are meant.

    ``close``: the ports to close instead, as M(asgi.deploy.gunicorn_host) returned them.
    """

    _VALID_ARGS = frozenset(("only", "close"))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        close = self._task.args.get("close")
        try:
            arguments = {"close": close} if close else self._opened(Host(variables, self._templar.template))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(self._execute_module("asgi.deploy.gunicorn_hop", arguments, task_vars=variables))
        result.pop("invocation", None)
        return result

    def _opened(self, host: Host) -> dict[str, t.Any]:
        only = self._task.args.get("only")
        applications = [
            application
            for application in normalise(ROLE, host)["applications"]
            if application["state"] == "present" and application["hop"] and (not only or application["name"] in only)
        ]
        names = names_to_allow(applications)
        addresses = resolved(self._low_level_execute_command(lookup(names))["stdout"]) if names else {}
        render = renderer(str(ROLES / ROLE), ROLE)
        files: dict[str, t.Any] = {}
        for application in applications:
            files |= hop_files(render, application, addresses)
        return {
            "open": [f"{application['name']}:{application['hop']['port']}" for application in applications],
            # As text: Ansible would take the templates' braces for its own.
            "files": json.dumps(files),
        }
