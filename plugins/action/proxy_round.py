# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up a round of asgi.deploy.proxy_update from what its tasks registered."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_round import Proxy, failure, row
from ansible_collections.asgi.deploy.plugins.plugin_utils.shape import plain


class ActionModule(ActionBase):
    _VALID_ARGS = frozenset(("hosts",))
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        # The first task registers this on each proxy of the run: not on those that --limit leaves out.
        proxies = [
            Proxy(
                str(name),
                *(plain(known.get(f"__proxy_{what}", {})) for what in ("tried", "updated", "back")),
                str(known.get("__proxy_failure", "")),
            )
            for name, known in ((name, variables["hostvars"][name]) for name in self._task.args["hosts"])
            if "__proxy_lock" in known
        ]
        rows = [row(proxy, self._task.check_mode) for proxy in proxies]
        problem = failure(proxies, rows, self._task.check_mode)
        if problem:
            result.update(failed=True, msg=problem)
        else:
            result["summary"] = [item.line() for item in rows]
            result["_ansible_verbose_always"] = True
        return result
