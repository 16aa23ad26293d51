#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: certbot_venv
short_description: Keep a certbot of a chosen version beside the distribution's
version_added: 0.3.0
description:
  - Installs certbot from the Python package index into a virtual environment, proves that it runs and knows its DNS
    plugin, and only then lets C(certbot.service) and C(/usr/local/bin/certbot) lead to it. What fails leaves the one
    before in use. Without O(version), the distribution's certbot is put back in its place.
  - Part of the role P(asgi.deploy.certbot#role).
author:
  - The asgi.deploy authors (@asgi)
options:
  version:
    description: The version; without one, the distribution's package.
    type: str
  plugin:
    description: Name of the DNS plugin to install with it, in the same version.
    type: str
  drop_in:
    description: Text of the unit's drop-in that starts it.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says that it would be installed or removed; the index is not asked.
    support: full
  diff_mode:
    description: Shows the version and the one before it.
    support: full
"""

EXAMPLES = r"""
- name: Keep a certbot of a chosen version
  asgi.deploy.certbot_venv:
"""

RETURN = r"""
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked, target_of, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_turn import turn
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_venv import Environments, Wanted
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError

DISTRIBUTION = "the distribution's"


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    wanted = Wanted(*(module.params[name] for name in Wanted._fields))
    environments = Environments()
    if not environments.is_due(wanted):
        return {"changed": False}
    before = target_of(environments.current) or DISTRIBUTION
    after = environments.name_of(wanted) if wanted.version else DISTRIBUTION
    if not module.check_mode:
        with locked(".certbot-venv", "an installation of certbot", seconds=300, by="Ansible"):
            if wanted.version:
                environments.install(wanted)
            else:
                # A renewal that runs in what is removed would end in the middle.
                with turn(module.run_command):
                    environments.remove()
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    diff = {"before_header": "certbot", "after_header": "certbot", "before": before + "\n", "after": after + "\n"}
    return {"changed": True, "diff": [diff]}


def main() -> None:
    # A hardened host's root may have 077: whoever types certbot could not start it.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str"},
            "plugin": {"type": "str"},
            "drop_in": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except BuildError as error:
        module.fail_json(msg="certbot_version: {0}".format(error))
    except (ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
