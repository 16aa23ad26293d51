# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say who takes the lock, and see whether the one who has it is still there."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.run_holder import has_ended, place, this_run


class ActionModule(ActionBase):
    _VALID_ARGS = frozenset(("name", "what", "token", "take_over"))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        # This is a worker of the run; its parent is there until the end.
        arguments = {**self._task.args, "holder": this_run(os.getppid())}
        done = self._execute_module("asgi.deploy.run_lock", arguments, task_vars=variables)
        holder = done.get("holder")
        if holder and has_ended(holder, place()):
            arguments["over"] = holder["token"]
            done = self._execute_module("asgi.deploy.run_lock", arguments, task_vars=variables)
        result.update(done)
        result.pop("invocation", None)
        return result
