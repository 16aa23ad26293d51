#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_host
short_description: Prepare a host for nginx, before its package is there
version_added: 0.2.0
description:
  - Writes what stands around nginx, its systemd drop-in and the program to go back to an old configuration, and
    says which packages are to be installed. A running nginx is never restarted; as long as it runs by an older
    drop-in, a warning says so.
  - With O(key), a package repository's signing key is fetched, read by C(gpg) and held against the fingerprints that
    are trusted, before anything is written.
  - Part of the role P(asgi.deploy.nginx_proxy#role), which renders the files on the controller.
author:
  - The asgi.deploy authors (@asgi)
options:
  host:
    description: The inventory's name for the host, for warnings.
    type: str
    default: this host
  files:
    description: Absolute path to a dictionary of C(text) and C(mode).
    type: dict
    required: true
  absent:
    description: Files to remove.
    type: list
    elements: path
    default: []
  packages:
    description: Packages that have to be installed.
    type: list
    elements: str
    required: true
  probe:
    description: A shell command to run, whose output is returned.
    type: str
    default: ""
  health_checks:
    description: Whether the hosts of applications are asked for their health.
    type: bool
    default: false
  health_files:
    description:
      - The files of that as in O(files). Without O(health_checks) they are removed, as soon as nginx has no
        configuration any more that they look after.
    type: dict
    default: {}
  key:
    description: The signing key of the nginx project's repository, where nginx comes from there.
    type: dict
    suboptions:
      url:
        description: Where it is fetched from.
        type: str
        required: true
      path:
        description: Where it is kept, binary.
        type: path
        required: true
      fingerprints:
        description: The only keys that may be in it.
        type: list
        elements: str
        required: true
attributes:
  check_mode:
    description: Fetches and checks a key, where C(gpg) is installed, and changes nothing.
    support: full
  diff_mode:
    description: Shows each file that differs.
    support: full
"""

EXAMPLES = r"""
- name: Prepare the host
  asgi.deploy.nginx_host:
"""

RETURN = r"""
deferred:
  description: >-
    Whether something was left for a second run of this module, because nginx still runs by another configuration: the
    unit's drop-in beside one that was made by hand, the health checks beside one with their marks.
  type: bool
  returned: success
install:
  description: The packages to install now.
  type: list
  elements: str
  returned: success
probe:
  description: What the command O(probe) printed.
  type: str
  returned: success
switch:
  description: Whether nginx is installed from elsewhere, and has to be replaced.
  type: bool
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import words_of
from ansible_collections.asgi.deploy.plugins.module_utils.call import Call
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_prepare import prepare_nginx


def main() -> None:
    # A hardened host's root may have 077: nobody else could read what is made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": "this host"},
            "files": {"type": "dict", "required": True},
            "absent": {"type": "list", "elements": "path", "default": []},
            "packages": {"type": "list", "elements": "str", "required": True},
            "health_checks": {"type": "bool", "default": False},
            "health_files": {"type": "dict", "default": {}},
            "probe": {"type": "str", "default": ""},
            "key": {
                "type": "dict",
                "no_log": False,
                "options": {
                    "url": {"type": "str", "required": True},
                    "path": {"type": "path", "required": True},
                    "fingerprints": {"type": "list", "elements": "str", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        result = prepare_nginx(Call(module.params, module.check_mode, module.run_command, module.warn))
    except (ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
