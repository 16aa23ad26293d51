# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the sites in the inventory, and hand their names to the module of the same name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.maintenance import wanted_sites, wanted_state
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_host import MAINTENANCE_DIR
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host
from ansible_collections.asgi.deploy.plugins.plugin_utils.shape import plain


class ActionModule(ActionBase):
    """``state`` and ``site`` as the user gave them, or ``before`` as the module told it."""

    _VALID_ARGS = frozenset(("state", "site", "before"))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        given = {name: plain(value) for name, value in self._task.args.items()}
        arguments: dict[str, t.Any] = {"folder": MAINTENANCE_DIR}
        if given.get("before") is not None:
            arguments["before"] = given["before"]
        else:
            try:
                state = wanted_state(given.get("state"))
                # Only what is asked for here: another mistake in the inventory keeps no site from its page.
                sites = Host(variables, self._templar.template).values("nginx_proxy")["nginx_proxy_sites"]
                arguments.update(state=state, sites=wanted_sites(sites, state, given.get("site")))
            except ValueError as error:
                raise AnsibleActionFail(str(error)) from error
        result.update(self._execute_module("asgi.deploy.nginx_maintenance", arguments, task_vars=variables))
        result.pop("invocation", None)
        return result
