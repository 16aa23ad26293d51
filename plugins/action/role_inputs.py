# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a role's variables on the controller; the host is asked only for files that the user names."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.host_questions import host_questions
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, examine, normalise


class ActionModule(ActionBase):
    _VALID_ARGS = frozenset(("role",))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        role = self._task.args["role"]
        try:
            host = Host(variables, self._templar.template)
            structure = normalise(role, host)
            examine(role, host, structure)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        questions = host_questions(role, structure)
        if questions:
            result.update(self._execute_module("asgi.deploy.role_inputs", questions, task_vars=variables))
            result.pop("invocation", None)
        result["changed"] = False
        return result
