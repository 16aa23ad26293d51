# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render an application's slots on the controller, and hand them to the module of the same name."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.pack import pack
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise
from ansible_collections.asgi.deploy.plugins.plugin_utils.slot_files import environment_text, slot_files

ROLE = "gunicorn_app"


class ActionModule(ActionBase):
    """Takes the role's variables from the host, and ``repository`` and ``commit`` where git fetched the source."""

    TRANSFERS_FILES = True
    _VALID_ARGS = frozenset(("repository", "commit"))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        try:
            application = normalise(ROLE, Host(variables, self._templar.template))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        render = renderer(str(ROLES / ROLE), ROLE)
        arguments = {
            "name": application["name"],
            "root": application["root"],
            "requirements": application["requirements"],
            "python": application["python"],
            "files": slot_files(render, application, ROLES / ROLE / "files" / "draining_worker.py"),
            "environment": environment_text(render, application),
            "health": {
                "path": application["health_path"],
                "host": application["health_host"],
                "timeout": application["health_timeout"],
            },
            "keep": application["releases"],
        }
        # Ansible removes this one also when the run is interrupted.
        with tempfile.TemporaryDirectory(dir=C.DEFAULT_LOCAL_TMP) as folder:
            result.update(self._deploy(application["source"], arguments, folder, variables))
        # The module's arguments come back in the result, the environment's text hidden, the rest long.
        result.pop("invocation", None)
        return result

    def _deploy(
        self, source: dict[str, t.Any], arguments: dict[str, t.Any], folder: str, variables: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        if source["type"] == "git":
            commit = str(self._task.args["commit"])
            described = {"type": "git", "url": source["url"], "version": source["version"], "digest": commit}
            return self._call(
                {**arguments, "source": described, "repository": self._task.args["repository"]}, variables
            )
        archive = os.path.join(folder, "source.tar.gz")
        described = {"type": "directory", "digest": pack(source["path"], source["exclude"], archive)}
        result = self._call({**arguments, "source": described}, variables)
        if not result.get("needs_archive"):
            return result
        # Sent only when a release has to be built from it.
        remote = self._make_tmp_path()
        try:
            archived = self._connection._shell.join_path(remote, "source.tar.gz")
            self._transfer_file(archive, archived)
            return self._call({**arguments, "source": described, "archive": archived}, variables)
        finally:
            self._remove_tmp_path(remote, force=True)

    def _call(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        result = self._execute_module("asgi.deploy.gunicorn_release", arguments, task_vars=variables)
        return t.cast("dict[str, t.Any]", result)
