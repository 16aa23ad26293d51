# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the variables of roles on the controller; the host is asked for its size and for what the user names."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_needs import MACHINE, machine_facts
from ansible_collections.asgi.deploy.plugins.plugin_utils.host_questions import all_questions, host_questions
from ansible_collections.asgi.deploy.plugins.plugin_utils.preflight import wanted_nginx
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import probe_for
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import (
    FLEET,
    ROLES,
    Host,
    fleet_before,
    normalise,
)

PROXY = "nginx_proxy"

# Before Ansible forks: see there.
renderer(str(ROLES / PROXY), PROXY)


class ActionModule(ActionBase):
    """``role``: the one that is about to begin. ``roles``: all of the host, before the first of them."""

    _VALID_ARGS = frozenset(("role", "roles"))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        try:
            if "roles" in self._task.args:
                result.update(self._all(self._task.args["roles"], variables))
            else:
                role = self._task.args["role"]
                structure = normalise(role, Host(variables, self._templar.template))
                result.update(self._ask(host_questions(role, structure), variables))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        result["changed"] = False
        return result

    def _all(self, roles: list[str], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        found: dict[str, t.Any] = {"checked": roles, "proven": False}
        facts = machine_facts(self._low_level_execute_command(MACHINE)["stdout"]) if "gunicorn_app" in roles else {}
        # These alone: gathering facts would look for every disk of the host.
        known = {**variables, "ansible_facts": {**(variables.get("ansible_facts") or {}), **facts}}
        # What the inventory reckons of them, it reckons as in the tasks that follow.
        self._templar.available_variables = known
        structures = {}
        for role in roles:
            if role == PROXY:
                # Once: it comes from the variables of every application host.
                fleet = fleet_before(Host(known, self._templar.template))
                plain = None if fleet is None else {name: [list(place) for place in on] for name, on in fleet.items()}
                found["fleet"] = known[FLEET] = plain
            structures[role] = normalise(role, Host(known, self._templar.template))
        questions = all_questions(structures)
        if PROXY in roles:
            proxy = structures[PROXY]
            found["probe"] = self._low_level_execute_command(probe_for(proxy["looked_up"]))["stdout"]
            nginx = wanted_nginx(proxy, found["probe"], renderer(str(ROLES / PROXY), PROXY))
            questions |= {"nginx": nginx} if nginx else {}
        found.update(self._ask(questions, variables))
        # Where the host's Python is may have been found out just now: the tasks that follow need not look again.
        found["ansible_facts"] = {**facts, **(found.get("ansible_facts") or {})}
        return found

    def _ask(self, questions: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        if not questions:
            return {}
        answer = self._execute_module("asgi.deploy.role_inputs", questions, task_vars=variables)
        answer.pop("invocation", None)
        return t.cast("dict[str, t.Any]", answer)
