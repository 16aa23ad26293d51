# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which certificates a host has to hold, and hand it to the module of the same name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.plugin_utils.certbot_needs import (
    COMMAND,
    ROLE,
    certbot_environment,
    certbot_program,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.dns_credentials import for_module
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise

#: What the module is told of the structure, and of each certificate.
_WANTED = ("server", "staging", "rehearsal", "email", "probe", "ignore_cooldown", "webroot", "tls_dir")
_CERTIFICATE = (
    "name", "domains", "state", "revoke", "revoke_reason", "challenge", "key_type", "elliptic_curve", "rsa_key_size",
    "profile",
)  # fmt: skip


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
        eab = structure["eab"] or {"kid": None, "hmac_key": None}
        arguments = {
            **{name: structure[name] for name in _WANTED},
            "certificates": [{name: item[name] for name in _CERTIFICATE} for item in structure["certificates"]],
            "eab_kid": eab["kid"],
            "eab_hmac_key": eab["hmac_key"],
            "dns": for_module(structure["dns"]),
            "environment": certbot_environment(structure),
            "certbot": certbot_program(structure),
            "command": COMMAND,
        }
        result.update(self._execute_module("asgi.deploy.certbot_certificates", arguments, task_vars=variables))
        result.pop("invocation", None)
        return result
