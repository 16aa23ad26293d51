# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the variables of roles on the controller; the host is asked for its size and for what the user names."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.examination import examine
from ansible_collections.asgi.deploy.plugins.plugin_utils.host_questions import host_questions
from ansible_collections.asgi.deploy.plugins.plugin_utils.preflight import Answer, answer, host_parameters, question
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
                role, host = self._task.args["role"], Host(variables, self._templar.template)
                structure = normalise(role, host)
                warnings = examine(role, host, structure)
                result.update(_with(warnings, self._ask(host_questions(role, structure), variables)))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        result["changed"] = False
        return result

    def _all(self, roles: list[str], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        known = dict(variables)
        told = self._tell(question(roles, self._looked_up(known) if PROXY in roles else []))
        # These facts alone: gathering them would look for every disk of the host.
        known["ansible_facts"] = {**(variables.get("ansible_facts") or {}), **told.facts}
        # What the inventory reckons of them, it reckons as in the tasks that follow.
        self._templar.available_variables = known
        host = Host(known, self._templar.template)
        structures = {role: normalise(role, host) for role in roles}
        warnings = [warning for role in roles for warning in examine(role, host, structures[role])]
        render = renderer(str(ROLES / PROXY), PROXY)
        questions = host_parameters(structures, variables["inventory_hostname"], told.probe, render)
        found = {"proven": False, "prepared": {}, **self._ask(questions, variables)}
        # Where the host's Python is may have been found out just now: the tasks that follow need not look again.
        found["ansible_facts"] = {**told.facts, **(found.get("ansible_facts") or {})}
        return _with(warnings, {**found, "checked": roles, "probe": told.probe, "fleet": known.get(FLEET)})

    def _tell(self, asked: str) -> Answer:
        """Ask the host.

        :raises ValueError: with its words, where it does not let us: sudo wants a password, or has no such user
        """
        if not asked:
            return Answer({}, "")
        ran = self._low_level_execute_command(asked)
        told = answer(ran["stdout"])
        if told is None:
            raise ValueError(f"this host cannot be asked: {(ran['stderr'] or ran['stdout']).strip()}")
        return told

    def _looked_up(self, known: dict[str, t.Any]) -> list[str]:
        """Return the names that nginx needs the addresses of, and note the fleet in the variables.

        The fleet comes from the variables of every application host: once is enough.
        """
        host = Host(known, self._templar.template)
        try:
            fleet = fleet_before(host)
            if fleet is not None:
                known[FLEET] = {name: [list(place) for place in places] for name, places in fleet.items()}
            return list(normalise(PROXY, host)["looked_up"])
        except ValueError:
            # It is refused in its turn: after the application, whose mistake may be the cause.
            return []

    def _ask(self, questions: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        if not questions:
            return {}
        result = self._execute_module("asgi.deploy.role_inputs", questions, task_vars=variables)
        # The texts that it was told would come back with it.
        result.pop("invocation", None)
        return t.cast("dict[str, t.Any]", result)


def _with(warnings: list[str], result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the result with these warnings before those that the host has."""
    return {**result, "warnings": [*warnings, *(result.get("warnings") or [])]} if warnings else result
