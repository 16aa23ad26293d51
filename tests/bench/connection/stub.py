# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are not there: each command is answered at once, as a host answers that has nothing to do."""

from __future__ import annotations

DOCUMENTATION = """
name: stub
short_description: Answer for a host that has nothing to do
description: Leaves the work of the controller alone in what is measured.
author: The asgi.deploy authors
"""

import json
import re
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase

SIZE = "2\nvcpus=2\nMemTotal:        4096000 kB\n"
NGINX = (
    "ipv6\ncpus=2\nnginx version: nginx/1.26.3\nbuilt with OpenSSL 3.5.1 1 Jul 2025\nTLS SNI support enabled\n"
    "configure arguments: --with-http_ssl_module --with-http_v2_module --with-http_v3_module\n"
)

#: What each module says of a host that is as it should be.
MODULES: dict[str, dict[str, t.Any]] = {
    "ansible.modules.ping": {"ping": "pong"},
    "asgi.deploy.role_inputs": {
        "proven": True,
        "prepared": {
            "gunicorn_app": {"changed": False, "install": [], "hops": ["notes:8000"]},
            "nginx_proxy": {"changed": False, "install": [], "switch": False, "deferred": False, "probe": NGINX},
            "certbot": {"changed": False, "install": [], "venv": False},
        },
    },
    "asgi.deploy.gunicorn_release": {"name": "notes", "release": "20261130T000000Z-0123456789ab"},
    "asgi.deploy.gunicorn_hop": {},
    "asgi.deploy.nginx_tree": {"generation": "0123456789ab", "reloaded": False},
    "asgi.deploy.certbot_certificates": {},
}

#: What a command that has the word in it is told, in this order.
_TOLD = {"MemTotal": SIZE, "-- nginx --": "-- nginx --\n", "nginx -V": NGINX}

#: Stands in what Ansible sends to the host's Python for a module.
_MODULE = re.compile(rb"module_fqn=['\"](?:ansible_collections\.)?([a-z_.]+)['\"]")


def answer(command: str, sent: bytes | None) -> str:
    """Return what the host prints.

    :param command: for its shell
    :param sent: to the command's input, a module as a rule
    """
    if sent:
        found = _MODULE.search(sent)
        name = found[1].decode().replace(".plugins.modules.", ".") if found else "a module that cannot be told"
        if name not in MODULES:
            raise AnsibleError(f"the stub has no answer of {name}")
        return json.dumps({"changed": False, **MODULES[name]})
    told = [text for word, text in _TOLD.items() if word in command]
    if not told:
        raise AnsibleError(f"the stub has no answer to: {command}")
    return "".join(told)


class Connection(ConnectionBase):  # type: ignore[misc]
    """A connection to nothing."""

    transport = "stub"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return 0, answer(cmd, in_data).encode(), b""

    def put_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleError(f"the stub takes no file: {out_path}")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        raise AnsibleError(f"the stub has no file: {in_path}")

    def close(self) -> None:
        self._connected = False
