#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: certbot_host
short_description: Prepare a host for certbot, before its package is there
version_added: 0.3.0
description:
  - Writes what stands around certbot, the program that brings certificates to nginx, its units and configuration,
    and says which packages are to be installed, and whether another certbot is.
  - Private keys that others than root can read, as a backup restored without modes leaves them, are closed with a
    warning. A group that may read them is somebody's choice, and stays.
  - What renews beside certbot's timer, in a crontab or by a timer of another certbot, is named in a warning.
  - Part of the role P(asgi.deploy.certbot#role), which renders the files on the controller.
author:
  - The asgi.deploy authors (@asgi)
options:
  host:
    description: The inventory's name for the host, for warnings.
    type: str
    default: this host
  folders:
    description: Folders to keep, absolute path to mode.
    type: dict
    required: true
  files:
    description: Files that anybody may read, absolute path to a dictionary of C(text) and C(mode), as JSON.
    type: str
    required: true
  private:
    description: Files that only root may read, absolute path to text.
    type: dict
    default: {}
  packages:
    description: Packages that have to be installed.
    type: list
    elements: str
    required: true
  environment:
    description: What certbot_venv is to be told, to see whether it has anything to do.
    type: dict
    required: true
    suboptions:
      version:
        description: The version of certbot to install; without one, the distribution's.
        type: str
      plugin:
        description: Name of the DNS plugin to install with it.
        type: str
      drop_in:
        description: Text of the unit's drop-in that starts it.
        type: str
        default: ""
attributes:
  check_mode:
    description: Says which files differ.
    support: full
  diff_mode:
    description: Shows each file that differs; of one with secrets, only that it does.
    support: full
"""

EXAMPLES = r"""
- name: Prepare the host
  asgi.deploy.certbot_host:
"""

RETURN = r"""
install:
  description: The packages to install now.
  type: list
  elements: str
  returned: success
venv:
  description: Whether certbot_venv has something to do.
  type: bool
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import words_of
from ansible_collections.asgi.deploy.plugins.module_utils.call import Call
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_prepare import prepare_certbot


def main() -> None:
    # A hardened host's root may have 077: nobody else could read what is made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": "this host"},
            "folders": {"type": "dict", "required": True},
            # In one piece, which is not logged: the journal would get all the texts with each run, 80 kB of them.
            "files": {"type": "str", "required": True, "no_log": True},
            # Nothing that comes back may hold a text of these either.
            "private": {"type": "dict", "default": {}, "no_log": True},
            "packages": {"type": "list", "elements": "str", "required": True},
            "environment": {
                "type": "dict",
                "required": True,
                "options": {
                    "version": {"type": "str"},
                    "plugin": {"type": "str"},
                    "drop_in": {"type": "str", "default": ""},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        result = prepare_certbot(Call(module.params, module.check_mode, module.run_command, module.warn))
    except (ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
