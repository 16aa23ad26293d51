# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of a release over many hosts; its plan is in docs/fleet-releases.md."""

from __future__ import annotations

import json
import os
import time
import typing as t
import uuid

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.asgi.deploy.plugins.plugin_utils import fleet_progress as progress
from ansible_collections.asgi.deploy.plugins.plugin_utils import fleet_summary as summary
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_members import batch_sizes, members
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_options import options
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_run import journal, who, words_of_failure
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host

_OPTIONS = ("release_serial", "release_max_failures", "release_on_failure", "release_lock", "release_report")

display = Display()


class ActionModule(ActionBase):
    """``step`` says what is done; all but the first and the last never fail, so that a play goes on to its end.

    ``only``: the application that is meant, for the beginning. ``result``: what a task failed with, whose ``kind`` the
    journal knows.
    """

    _VALID_ARGS = frozenset(("step", "playbook", "only", "kind", "result"))
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        self._journal = journal(C.DEFAULT_LOCAL_TMP)
        steps: dict[str, t.Callable[[dict[str, t.Any]], dict[str, t.Any]]] = {
            "begin": self._begin,
            "ask": self._ask,
            "failed": self._failed,
            "back": self._back,
            "targets": self._targets,
            "end": self._end,
        }
        result.update(changed=False, **steps[self._task.args["step"]](variables))
        return result

    def _begin(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        host, others = Host(variables, self._templar.template), variables["hostvars"]
        everybody, here = list(variables["ansible_play_hosts_all"]), variables["ansible_play_hosts"]
        only = self._task.args.get("only")
        try:
            chosen = options({name: host.get(name) for name in _OPTIONS if name in variables})
            hosts = members(everybody, lambda name: others[name].get("__release_host") if name in here else None, only)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        identity = str(uuid.uuid4())
        self._journal.begin(
            playbook=self._task.args["playbook"],
            id=identity,
            by=who(),
            began=time.time(),
            check_mode=self._task.check_mode,
            hosts=hosts,
            only=only,
            **chosen._asdict(),
        )
        return {"id": identity, "hosts": hosts, "batches": batch_sizes(chosen.batches, hosts, everybody)}

    def _ask(self, _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        why = progress.stopped(self._journal.entries())
        return {"go": why is None, "why": why}

    def _failed(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Note what a task failed with that did not come as far as to note it itself."""
        host, kind = variables["inventory_hostname"], self._task.args["kind"]
        if host not in progress.failures(self._journal.entries(), kind):
            self._journal.note(kind, host=host, failed=words_of_failure(self._task.args["result"]))
        return {}

    def _back(self, _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        entries = self._journal.entries()
        due = entries[0]["back"] and progress.stopped(entries) is not None
        return {"hosts": progress.way_back(entries) if due else {}}

    def _targets(self, _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        hosts, why = progress.way_to_targets(self._journal.entries())
        if why:
            self._journal.note("refused", why=why)
        return {"hosts": hosts, "why": why}

    def _end(self, _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        entries = self._journal.entries()
        found = summary.report(entries)
        for line in summary.table(found):
            display.display(f"    {line}")
        if entries[0]["report"]:
            _write(entries[0]["report"], found)
        result: dict[str, t.Any] = {"report": found}
        if summary.failed(found):
            result.update(failed=True, msg=summary.failure(found))
        return result


def _write(path: str, found: t.Mapping[str, t.Any]) -> None:
    """Write the report, whole or not at all: somebody may wait for it."""
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(found, indent=2) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise AnsibleActionFail(f"release_report: {path}: {error.strerror}") from error
