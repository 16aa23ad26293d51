#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: role_inputs
short_description: Refuse a role's variables that cannot work, before anything changes
version_added: 0.1.0
description:
  - Holds the variables of a role of this collection against its argument spec and against each other, on the
    controller. The first that does not fit fails the task with one line, which names the variable with its place,
    the value, and what would be accepted.
  - What only the host can tell is asked there, whether the files and groups exist that the variables name, and
    whether a certificate of the user's (C(tls.source=files)) fits its site. Nothing is ever changed.
  - Warns of certificates of the user's that expire soon, on the host or on the controller, because nothing here renews
    them.
author:
  - The asgi.deploy authors (@asgi)
options:
  role:
    description: The role whose variables to check. Used by the action plugin.
    type: str
    choices: [certbot, floating_address, gunicorn_app, nginx_proxy]
  roles:
    description:
      - Instead of one role, all that the host is going to get. The host is then asked all at once, and told what it is
        asked for besides; the play needs no facts for that.
    type: list
    elements: str
    choices: [certbot, floating_address, gunicorn_app, nginx_proxy]
  pairs:
    description: Pairs to read on the host. Filled by the action plugin.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Place in the inventory, for the message.
        type: str
        required: true
      certificate:
        description: Absolute path of the PEM file.
        type: str
        required: true
      key:
        description: Absolute path of its key.
        type: str
        required: true
      domains:
        description: Host names that it has to cover.
        type: list
        elements: str
        required: true
  named:
    description: What the variables name and the host has to have, or must not have. Filled by the action plugin.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: >-
          What it is. Of an application, the name must be nobody else's, nor of one that is to go (C(absent)). A
          C(profile) needs a certbot that knows profiles, a C(dns_plugin) the distribution's package, and a version of
          certbot that is installed (C(own_certbot)) a place that nobody else's has. A C(plain_port) must not be open
          with TLS, nor a C(tls_port) without, and neither may be anybody else's. A C(free_address) must not be the
          host's own, a C(host) one that can be resolved. The others must be there.
        type: str
        required: true
        choices:
          - absent
          - application
          - authorities
          - dns_plugin
          - folder
          - free_address
          - group
          - host
          - interface
          - interpreter
          - own_certbot
          - plain_port
          - profile
          - tls_port
      path:
        description: Place in the inventory, for the message.
        type: str
        required: true
      value:
        description: A name or an absolute path.
        type: str
        required: true
      application:
        description: Of a port, the name of the application that it is for.
        type: str
  staging:
    description: >-
      What is to be ordered from a server for trials: no valid certificate of another server may be replaced by that.
      Filled by the action plugin.
    type: dict
    suboptions:
      server:
        description: Its directory URL.
        type: str
        required: true
      certificates:
        description: Names of the lineages.
        type: list
        elements: str
        required: true
  nginx:
    description: >-
      What nginx is to serve, to see whether it is live already and passes the test of nginx. Filled by the action
      plugin.
    type: dict
    suboptions:
      digest:
        description: What stands for the whole configuration.
        type: str
        required: true
      drop_in:
        description: Text of our drop-in for C(nginx.service).
        type: str
        required: true
  prepare:
    description: >-
      For each role what its preparation of the host is told, as JSON, to see whether that has anything to do. Filled by
      the action plugin.
    type: str
    default: "{}"
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  asgi.deploy.role_inputs:
    role: nginx_proxy
"""

RETURN = r"""
prepared:
  description: >-
    Of the roles whose preparation of the host has nothing to do and nothing to warn of, what it would return. Their
    tasks are told, and need not ask the host.
  type: dict
  returned: with O(roles)
checked:
  description: The roles whose variables were checked.
  type: list
  elements: str
  returned: with O(roles)
probe:
  description: What the host told of its nginx.
  type: str
  returned: with O(roles), where nginx_proxy is among them
proven:
  description: >-
    Whether nginx's configuration is live already, and passes its test now, so that there is nothing to try before the
    roles begin.
  type: bool
  returned: with O(roles), where nginx_proxy is among them
"""

import json

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.input_checks import CHECKS, PORTS, pair_warnings, problems
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_proven import is_proven
from ansible_collections.asgi.deploy.plugins.module_utils.prepared import already_prepared

ROLES = ["certbot", "floating_address", "gunicorn_app", "nginx_proxy"]


def main() -> None:
    text = {"type": "str", "required": True}
    pair = {
        "path": text,
        "certificate": text,
        "key": {"type": "str", "required": True, "no_log": False},
        "domains": {"type": "list", "elements": "str", "required": True},
    }
    staging = {"server": text, "certificates": {"type": "list", "elements": "str", "required": True}}
    kind = {"type": "str", "required": True, "choices": sorted([*CHECKS, *PORTS])}
    named = {"kind": kind, "path": text, "value": text, "application": {"type": "str"}}
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "choices": ROLES},
            "roles": {"type": "list", "elements": "str", "choices": ROLES},
            "pairs": {"type": "list", "elements": "dict", "default": [], "options": pair},
            "named": {"type": "list", "elements": "dict", "default": [], "options": named},
            "staging": {"type": "dict", "options": staging},
            "nginx": {"type": "dict", "options": {"digest": text, "drop_in": text}},
            # In one piece, which is not logged: there are secrets in it, and a hundred kB of texts.
            "prepare": {"type": "str", "default": "{}", "no_log": True},
        },
        supports_check_mode=True,
    )
    problem = next(problems(module.params, module.run_command), None)
    if problem:
        module.fail_json(msg=problem)
    for warning in pair_warnings(module.params["pairs"]):
        module.warn(warning)
    nginx, prepare = module.params["nginx"], json.loads(module.params["prepare"])
    module.exit_json(
        changed=False,
        proven=bool(nginx and is_proven(module.run_command, nginx)),
        prepared=already_prepared(prepare, module.run_command),
    )


if __name__ == "__main__":
    main()
