# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what a host needs for its applications, and hand it to the module of the same name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_needs import MACHINE, host_parameters, machine_facts
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise


class ActionModule(ActionBase):
    """Takes the role's variables from the host.

    ``only``: the application that is meant, where not all are. ``prepare``: false to ask for their names and the
    host's size alone. ``known``: what the module would say, where that has been seen already.
    """

    _VALID_ARGS = frozenset(("only", "prepare", "known"))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        prepare = self._task.args.get("prepare", True)
        if not prepare:
            # Of these two alone: gathering facts would look for every disk of the host.
            result["ansible_facts"] = machine_facts(self._low_level_execute_command(MACHINE)["stdout"])
            known = variables.get("ansible_facts") or {}
            variables = {**variables, "ansible_facts": {**known, **result["ansible_facts"]}}
        try:
            applications = normalise("gunicorn_app", Host(variables, self._templar.template))["applications"]
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        only = self._task.args.get("only")
        # Where no host of a release has it, its beginning says so.
        result["named"] = [item["name"] for item in applications if item["state"] == "present"]
        chosen = [application for application in applications if not only or application["name"] == only]
        present = [application for application in chosen if application["state"] == "present"]
        names = [application["name"] for application in present]
        if prepare:
            known = self._task.args.get("known")
            arguments = host_parameters(present)
            result.update(known or self._execute_module("asgi.deploy.gunicorn_host", arguments, task_vars=variables))
            result.pop("invocation", None)
        wanted = [f"{item['name']}:{item['hop']['port']}" for item in present if item["hop"]]
        result["open"] = bool(wanted)
        # At the end of the play, when no proxy uses them any more. Those of removed applications go with these.
        result["close"] = [
            hop for hop in result.get("hops", []) if hop not in wanted and hop.partition(":")[0] in names
        ]
        result["present"] = names
        # The role may come twice in a play, each time with an application of its own.
        result["seen"] = sorted({*names, *(variables.get("__gunicorn_app_host") or {}).get("seen", [])})
        result["absent"] = [application["name"] for application in chosen if application["state"] == "absent"]
        return result
