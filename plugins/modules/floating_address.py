#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: floating_address
short_description: Let keepalived hold addresses on one of several proxies
version_added: 0.4.0
description:
  - Tries a configuration by C(keepalived --config-test), puts it live, and waits until this host or another one holds
    each address. Where that does not come about, the configuration before is live again. keepalived is restarted or
    reloaded only for a change.
  - Without the package, what has to be there before it is written, and the package is named in C(install).
  - Part of the role P(asgi.deploy.floating_address#role); its action plugin renders the files on the controller.
author:
  - The asgi.deploy authors (@asgi)
options:
  confirm:
    description: >-
      Names of variables in which results of this module were registered; the last one that was not skipped counts.
      With it nothing is put live: the action plugin fails where more than one host of the play has an address, or
      none of all proxies, and puts the configuration before live again.
    type: list
    elements: str
  before:
    description: What a change has replaced, to be put live again. Filled by the action plugin.
    type: dict
  state:
    description: Whether the addresses are to be held. Filled by the action plugin.
    type: str
    choices: [present, absent]
    default: present
  files:
    description: Absolute path to a dictionary of C(text) and C(mode). Filled by the action plugin.
    type: dict
    default: {}
  addresses:
    description: Addresses without prefix lengths. Filled by the action plugin.
    type: list
    elements: str
    default: []
  status_port:
    description: Where nginx says on the loopback address which generation it serves. Filled by the action plugin.
    type: int
    default: 8099
attributes:
  check_mode:
    description: Tries the configuration, where keepalived is installed, and changes nothing.
    support: full
  diff_mode:
    description: Shows each file that differs.
    support: full
"""

EXAMPLES = r"""
- name: Hold the addresses on one of the hosts
  asgi.deploy.floating_address:
  register: floating_address

- name: See that exactly one host holds each address
  asgi.deploy.floating_address:
    confirm: [floating_address]
"""

RETURN = r"""
before:
  description: The texts that a change has replaced, by path; none for a file that was not there.
  type: dict
  returned: success
held:
  description: The addresses that this host has.
  type: list
  elements: str
  returned: success
install:
  description: The packages to install, and then to call this module again.
  type: list
  elements: str
  returned: success
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.floating_address import FloatingAddress
from ansible_collections.asgi.deploy.plugins.module_utils.keepalived import Keepalived
from ansible_collections.asgi.deploy.plugins.module_utils.packages import absent_packages


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    params = module.params
    keepalived = Keepalived(module.run_command, params["status_port"], params["addresses"])
    floating = FloatingAddress(keepalived, params["files"])
    if params["before"]:
        if not module.check_mode:
            floating.put_back(params["before"])
        return {"changed": True, "install": [], "held": [], "before": {}}
    if params["state"] == "absent":
        return {"install": [], **floating.remove(module.check_mode)}
    install = absent_packages(module.run_command, ["keepalived"])
    result = floating.prepare(module.check_mode) if install else floating.put_live(module.check_mode)
    return {"install": install, **result}


def main() -> None:
    # A hardened host's root may have 077: nobody else could read what is made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "confirm": {"type": "list", "elements": "str"},
            "before": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "files": {"type": "dict", "default": {}},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "status_port": {"type": "int", "default": 8099},
        },
        supports_check_mode=True,
    )
    try:
        with locked(".floating-address", "a run of the role floating_address"):
            result = run(module)
    except (ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
