"""Writes what each task did on each host as JSON, to the file that PLAY_REPORT names."""

from __future__ import annotations

DOCUMENTATION = """
name: play_report
type: aggregate
short_description: What each task did on each host, as JSON
description: For the tests, which must know which task changed a host, and with which message one failed.
requirements: [enabled by ANSIBLE_CALLBACKS_ENABLED]
"""

import json
import os
import typing as t
from pathlib import Path

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "play_report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.hosts: dict[str, dict[str, list[str]]] = {}

    def _entry(self, result: t.Any) -> dict[str, list[str]]:
        return self.hosts.setdefault(result.host.get_name(), {"ok": [], "changed": [], "failed": []})

    def v2_runner_on_ok(self, result: t.Any) -> None:
        kind = "changed" if result.result.get("changed") else "ok"
        self._entry(result)[kind].append(result.task.name)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        # Of a loop the items have told already: "One or more items failed" says nothing.
        if "results" not in result.result:
            self._entry(result)["failed"].append(str(result.result.get("msg")))

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        self._entry(result)["failed"].append(str(result.result.get("msg")))

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._entry(result)["failed"].append(str(result.result.get("msg")))

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        Path(os.environ["PLAY_REPORT"]).write_text(json.dumps(self.hosts), encoding="utf-8")
