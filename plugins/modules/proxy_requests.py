#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: proxy_requests
short_description: Count the requests that nginx has lost since a moment, by server
version_added: 0.2.0
description:
  - Reads the access logs in JSON that the role P(asgi.deploy.nginx_proxy#role) sets up, from a position that was noted
    before. Which they are is read from nginx's configuration on the host.
  - Lost is a request whose client got 502 or 504, at the server that was tried last. Retried is one that was answered
    when nginx asked a second time, another server as a rule.
  - Part of the playbook C(asgi.deploy.release). Nothing is ever changed.
author:
  - The asgi.deploy authors (@asgi)
options:
  state:
    description: C(noted) returns the position, C(counted) counts from it.
    type: str
    required: true
    choices: [noted, counted]
  positions:
    description: What C(state=noted) has returned. Filled by the action plugin.
    type: dict
  servers:
    description: The servers to count for. Filled by the action plugin.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Its name in the inventory.
        type: str
        required: true
      application:
        description: Name of the application.
        type: str
        required: true
      address:
        description: C(host:port), or C(unix:) and the path of a socket.
        type: str
        required: true
  folder:
    description: Where nginx's configuration is.
    type: path
    default: /etc/nginx/deploy/current
attributes:
  check_mode:
    description: Nothing is ever changed.
    support: full
  diff_mode:
    description: There is none.
    support: none
"""

EXAMPLES = r"""
- name: Note where the logs are
  asgi.deploy.proxy_requests:
    state: noted
"""

RETURN = r"""
positions:
  description: Where the logs are now.
  type: dict
  returned: with O(state=noted)
requests:
  description: >-
    C(servers), each O(servers) with C(lost) and C(retried); C(without_server), the requests for which no server was
    left; and C(not_counted), why there are no numbers.
  type: dict
  returned: with O(state=counted)
"""

import socket
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.access_log import (
    FLUSH,
    Count,
    lines_since,
    logs_of,
    positions,
)
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import words_of


def addresses_of(address: str) -> t.List[str]:
    """Return how nginx writes an address: of a name, those that it resolves to."""
    host, colon, port = address.rpartition(":")
    if address.startswith("unix:") or not colon:
        return [address]
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError:
        return [address]
    return ["{0}:{1}".format("[{0}]".format(item[4][0]) if ":" in item[4][0] else item[4][0], port) for item in found]


def counted(noted: t.Mapping[str, t.Any], servers: t.Sequence[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
    result = {"servers": [], "without_server": 0, "not_counted": noted["why"]}  # type: t.Dict[str, t.Any]
    if noted["why"]:
        return result
    time.sleep(FLUSH + 0.2)
    numbers = {address: number for number, item in enumerate(servers) for address in addresses_of(item["address"])}
    count = Count(numbers, noted["since"])
    try:
        for position in noted["files"]:
            for line in lines_since(position):
                count.add(line)
    except ValueError as error:
        return {**result, "not_counted": str(error)}
    result["without_server"] = count.without_server
    result["servers"] = [
        {**item, "lost": count.lost.get(number, 0), "retried": count.retried.get(number, 0)}
        for number, item in enumerate(servers)
    ]
    return result


def main() -> None:
    server = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["noted", "counted"]},
            "positions": {"type": "dict"},
            "servers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": dict.fromkeys(("host", "application", "address"), server),
            },
            "folder": {"type": "path", "default": "/etc/nginx/deploy/current"},
        },
        required_if=[("state", "counted", ("positions",))],
        supports_check_mode=True,
    )
    params = module.params
    try:
        if params["state"] == "counted":
            module.exit_json(changed=False, requests=counted(params["positions"], params["servers"]))
        paths, why = logs_of(params["folder"])
        noted = {"files": positions(paths), "why": why, "since": time.time()}
    except OSError as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(changed=False, positions=noted)


if __name__ == "__main__":
    main()
