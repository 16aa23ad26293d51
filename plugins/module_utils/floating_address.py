# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a floating address on one host: staged, proven, live, confirmed, or the one before again."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, read_text, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.host_files import Files, of_systemd, stale_files, write_files
from ansible_collections.asgi.deploy.plugins.module_utils.keepalived import (
    CONFIG,
    PENDING,
    UNIT,
    Keepalived,
    is_foreign,
)

Texts = t.Dict[str, t.Optional[str]]
Result = t.Dict[str, t.Any]

FOREIGN = (
    "{0} is not of this collection; accepted: a host on which nothing else uses keepalived. Move the file away, and "
    "the addresses in it to floating_address_addresses"
).format(CONFIG)


class FloatingAddress:
    """:param files: keepalived's configuration, the program of its check, the drop-in of its unit"""

    def __init__(self, keepalived: Keepalived, files: Files, pending: str = PENDING) -> None:
        self._keepalived = keepalived
        self._files = files
        self._pending = pending
        self._live: Texts = {path: read_text(path) for path in files}

    def prepare(self, check_mode: bool) -> Result:
        """Write what has to be there before the package, whose installation starts the unit where it has a file."""
        self._refuse_foreign()
        early = stale_files({path: wanted for path, wanted in self._files.items() if path != CONFIG})
        if early and not check_mode:
            write_files(early)
            self._keepalived.systemctl("daemon-reload")
        shown = self._files if check_mode else early
        return {"changed": True, "diff": self._diff(shown), "held": [], "before": {}}

    def put_live(self, check_mode: bool) -> Result:
        """:raises ValueError: with the reason; what was live before is live still, or again"""
        self._refuse_foreign()
        stale, state = stale_files(self._files), self._keepalived.state()
        is_set = state.get("ActiveState") == "active" and state.get("UnitFileState") == "enabled"
        killed = read_text(self._pending)
        due = bool(stale or killed or not is_set or state.get("NeedDaemonReload") == "yes")
        result: Result = {"changed": due, "diff": self._diff(stale), "before": {}}
        if due:
            self._prove(needs_nginx=not check_mode)
        if due and not check_mode:
            result["before"] = json.loads(killed) if killed else self._live
            self._change(stale, state, result["before"], restart=bool(killed))
        elif not due and not check_mode and self._keepalived.missing():
            problem = self._keepalived.settle()
            if problem:
                raise ValueError(problem)
        result["held"] = self._keepalived.held()
        return result

    def put_back(self, before: Texts) -> None:
        """Undo a change. :param before: what :meth:`put_live` said of it"""
        write_files({p: {"text": text, "mode": self._mode(p)} for p, text in before.items() if text is not None})
        for path in [path for path, text in before.items() if text is None and os.path.lexists(path)]:
            os.unlink(path)
        self._keepalived.systemctl("daemon-reload")
        self._keepalived.systemctl("stop" if not before.get(CONFIG) else "restart", UNIT)
        self._confirmed()

    def remove(self, check_mode: bool) -> Result:
        """Give the addresses up. A keepalived of somebody else's goes on."""
        ours = [path for path, text in self._live.items() if text is not None]
        if is_foreign(self._live[CONFIG]):
            ours.remove(CONFIG)
        result: Result = {
            "changed": bool(ours),
            "diff": diff_of({path: self._live[path] for path in ours}, {}),
            "before": {},
            "held": [],
        }
        if not ours or check_mode:
            return result
        if CONFIG in ours and self._keepalived.state().get("UnitFileState"):
            self._keepalived.systemctl("disable", "--now", UNIT)
            held = self._keepalived.held()
            if held:
                raise ValueError("keepalived.service is stopped, and this host still has " + ", ".join(held))
        # The configuration is the last one: a run that was killed is done again as long as it is there.
        for path in sorted(ours, key=lambda path: path == CONFIG):
            os.unlink(path)
        self._keepalived.systemctl("daemon-reload")
        return result

    def _refuse_foreign(self) -> None:
        if is_foreign(self._live[CONFIG]):
            raise ValueError(FOREIGN)

    def _prove(self, needs_nginx: bool) -> None:
        if needs_nginx and not self._keepalived.nginx_answers():
            raise ValueError(
                "nginx of this host does not say which configuration it serves, and a host without it gets no "
                "address: apply the role nginx_proxy first"
            )
        program = next(path for path in self._files if path != CONFIG and not of_systemd([path]))
        problem = self._keepalived.test_text(self._files[CONFIG]["text"], program, self._files[program]["text"])
        if problem:
            raise ValueError("keepalived refuses the configuration, and nothing was changed:\n" + problem)

    def _change(self, stale: Files, state: t.Mapping[str, str], before: Texts, restart: bool) -> None:
        os.makedirs(os.path.dirname(self._pending), mode=0o700, exist_ok=True)
        write_file(self._pending, json.dumps(before), 0o600)
        try:
            write_files(stale)
            self._load(stale, state, restart)
            problem = self._keepalived.settle()
        except ValueError as error:
            problem = str(error)
        if problem:
            self.put_back(before)
            raise ValueError("{0}\nThe configuration before is live again.".format(problem))
        self._confirmed()

    def _load(self, stale: Files, state: t.Mapping[str, str], restart: bool) -> None:
        """Let keepalived take the new files, and do no more than that needs: a restart moves the address."""
        if of_systemd(stale) or state.get("NeedDaemonReload") == "yes":
            self._keepalived.systemctl("daemon-reload")
            restart = True
        if state.get("UnitFileState") != "enabled":
            self._keepalived.systemctl("enable", UNIT)
        if state.get("ActiveState") != "active":
            self._keepalived.systemctl("start", UNIT)
        elif restart:
            self._keepalived.systemctl("restart", UNIT)
        elif CONFIG in stale:
            self._keepalived.systemctl("reload", UNIT)

    def _confirmed(self) -> None:
        if os.path.exists(self._pending):
            os.unlink(self._pending)

    def _diff(self, changed: Files) -> t.List[t.Dict[str, str]]:
        return diff_of(
            {path: self._live[path] for path in changed}, {path: wanted["text"] for path, wanted in changed.items()}
        )

    def _mode(self, path: str) -> str:
        return self._files[path]["mode"]
