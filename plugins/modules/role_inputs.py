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
  - Certificates that the user puts on the host (C(tls.source=files)) are read there. Nothing is ever changed.
author:
  - The asgi.deploy authors (@asgi)
options:
  role:
    description: The role whose variables to check. Used by the action plugin.
    type: str
    choices: [certbot, gunicorn_app, nginx_proxy]
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
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.certificate import problems_of


def main() -> None:
    pair = {
        "path": {"type": "str", "required": True},
        "certificate": {"type": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": False},
        "domains": {"type": "list", "elements": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "choices": ["certbot", "gunicorn_app", "nginx_proxy"]},
            "pairs": {"type": "list", "elements": "dict", "default": [], "options": pair},
        },
        supports_check_mode=True,
    )
    for item in module.params["pairs"]:
        for problem in problems_of(item["certificate"], item["key"], item["domains"]):
            field = "key" if problem.startswith(item["key"]) else "certificate"
            module.fail_json(
                msg="{0}.{1}: {2}; accepted: a pair that is on the host, matches, is valid and covers {3}".format(
                    item["path"], field, problem, ", ".join(item["domains"])
                )
            )
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
