# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take or give back the lock of the release that the journal tells of, and note what is on the host."""

from __future__ import annotations

import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import address_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_run import journal, of_result
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise


class ActionModule(ActionBase):
    """``state``: held or free; ``applications``: their names."""

    _VALID_ARGS = frozenset(("state", "applications"))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        state, names = self._task.args["state"], self._task.args["applications"]
        noted_as = "lock" if state == "held" else "free"
        known = journal(C.DEFAULT_LOCAL_TMP)
        begun = known.beginning()
        with known.noting(noted_as, AnsibleError, host=variables["inventory_hostname"]) as noted:
            result = super().run(tmp, variables)
            if state == "held":
                noted.update(self._inventory(begun["playbook"], names, variables))
            arguments = {
                "state": state,
                "applications": names,
                "id": begun["id"],
                "by": begun["by"],
                "take_over": begun["take_over"],
            }
            result.update(self._execute_module("asgi.deploy.release_lock", arguments, task_vars=variables))
            result.pop("invocation", None)
            noted.update(of_result(result))
        return result

    def _inventory(self, playbook: str, names: t.Sequence[str], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return what the inventory says of these applications on this host."""
        host = Host(variables, self._templar.template)
        try:
            applications = [item for item in normalise("gunicorn_app", host)["applications"] if item["name"] in names]
            for item in applications:
                if playbook == "release" and item["release"]:
                    accepted = "no value in asgi.deploy.release; asgi.deploy.rollback is what goes back"
                    raise Refused(item["places"]["release"], item["release"], accepted)
                if playbook == "rollback" and item["release"] != host.get("gunicorn_app_release"):
                    accepted = "no value in the entry, for asgi.deploy.rollback goes to gunicorn_app_release"
                    raise Refused(item["places"]["release"], item["release"], accepted)
            address = address_of(host.name, host.get)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        return {
            "address": address,
            "wanted": {item["name"]: item["release"] for item in applications},
            "ports": {item["name"]: item["hop"]["port"] for item in applications if item["hop"]},
        }
