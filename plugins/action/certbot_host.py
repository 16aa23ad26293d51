# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render what stands around certbot on the controller, and hand it to the module of the same name in one piece."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.certbot_needs import (
    ROLE,
    environment_of,
    files,
    folders,
    packages,
    private_files,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise


class ActionModule(ActionBase):
    """Takes the role's variables from the host; no arguments."""

    _VALID_ARGS = frozenset(())

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        try:
            structure = normalise(ROLE, Host(variables, self._templar.template))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        arguments = {
            "host": variables["inventory_hostname"],
            "folders": folders(structure),
            "files": json.dumps(files(structure)),
            "private": private_files(structure),
            "packages": packages(structure),
            "environment": environment_of(structure),
        }
        result.update(self._execute_module("asgi.deploy.certbot_host", arguments, task_vars=variables))
        # The files would come back with it.
        result.pop("invocation", None)
        return result
