# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the host for its network, render keepalived's files on the controller, and hand them to the module."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.floating_needs import (
    CHECK_PROGRAM,
    CONFIG,
    DROP_IN,
    ROLE,
    files,
    holders_problem,
    host_network,
    probe,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise
from ansible_collections.asgi.deploy.plugins.plugin_utils.shape import plain


class ActionModule(ActionBase):
    """Takes the role's variables from the host."""

    _VALID_ARGS = frozenset(("confirm",))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        host = Host(variables, self._templar.template)
        try:
            structure = normalise(ROLE, host)
            if "confirm" in self._task.args:
                return {**result, **self._confirmed(structure, host, variables)}
            written = self._files(structure)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(self._module(structure, variables, files=written))
        return result

    def _files(self, structure: dict[str, t.Any]) -> dict[str, dict[str, str]]:
        if structure["state"] == "absent":
            return _unwritten()
        network = host_network(self._low_level_execute_command(probe(structure))["stdout"])
        return files(structure, network, renderer(str(ROLES / ROLE), ROLE))

    def _confirmed(self, structure: dict[str, t.Any], host: Host, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Fail where the hosts do not agree on who has the addresses, and go back to the configuration before."""
        results = self._results(variables)
        members = (variables.get("groups") or {}).get("proxies") or []
        problem = holders_problem(results, structure["addresses"], members)
        before = results[host.name].get("before")
        if problem is None:
            return {"changed": False}
        if not before:
            return {"failed": True, "msg": problem}
        back = self._module(structure, variables, files=_unwritten(), before=before)
        if back.get("failed"):
            return {**back, "msg": f"{problem}\nGoing back failed too: {back.get('msg')}"}
        return {"failed": True, "msg": f"{problem}\nThe configuration before is live again."}

    def _results(self, variables: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
        """Return what the module has said on each host of the play."""
        found = {}
        for name in variables["ansible_play_hosts_all"]:
            registered = [variables["hostvars"][name].get(variable) or {} for variable in self._task.args["confirm"]]
            found[str(name)] = next((plain(one) for one in reversed(registered) if one and not one.get("skipped")), {})
        return found

    def _module(self, structure: dict[str, t.Any], variables: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
        arguments = {
            "state": structure["state"],
            "addresses": [address.partition("/")[0] for address in structure["addresses"]],
            "status_port": structure["status_port"],
            **more,
        }
        found = self._execute_module("asgi.deploy.floating_address", arguments, task_vars=variables)
        # The files would come back with it.
        found.pop("invocation", None)
        return t.cast("dict[str, t.Any]", found)


def _unwritten() -> dict[str, dict[str, str]]:
    """Return which files there are, for what only takes them away or puts other texts into them."""
    return {path: {"text": "", "mode": mode} for path, mode in
            {CHECK_PROGRAM: "0755", DROP_IN: "0644", CONFIG: "0644"}.items()}  # fmt: skip
