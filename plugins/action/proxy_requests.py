# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a proxy count the requests that were lost in the release that the journal tells of."""

from __future__ import annotations

import typing as t

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_progress import log_position, servers
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_run import journal, of_result


class ActionModule(ActionBase):
    """``state``: noted before the release, counted after it."""

    _VALID_ARGS = frozenset(("state",))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        host, state = variables["inventory_hostname"], self._task.args["state"]
        known = journal(C.DEFAULT_LOCAL_TMP)
        arguments: dict[str, t.Any] = {"state": state}
        if state == "counted":
            entries = known.entries()
            arguments.update(positions=log_position(entries, host), servers=servers(entries, host))
            if arguments["positions"] is None:
                return {"skipped": True, "changed": False}
        with known.noting("requests" if state == "counted" else "position", AnsibleError, host=host) as noted:
            result: dict[str, t.Any] = super().run(tmp, variables)
            result.update(self._execute_module("asgi.deploy.proxy_requests", arguments, task_vars=variables))
            result.pop("invocation", None)
            noted.update(of_result(result))
        return result
