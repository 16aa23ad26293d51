# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render what stands around certbot on the controller, and hand it to the module of the same name in one piece."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.certbot_needs import ROLE, host_parameters
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise


class ActionModule(ActionBase):
    """Takes the role's variables from the host. ``known``: what the module would say, where it was seen before."""

    _VALID_ARGS = frozenset(("known",))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        result.update(self._task.args.get("known") or self._prepare(variables))
        # The files would come back with it.
        result.pop("invocation", None)
        return result

    def _prepare(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        try:
            structure = normalise(ROLE, Host(variables, self._templar.template))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        arguments = host_parameters(structure, variables["inventory_hostname"])
        result = self._execute_module("asgi.deploy.certbot_host", arguments, task_vars=variables)
        return t.cast("dict[str, t.Any]", result)
