#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gunicorn_host
short_description: Prepare a host for its ASGI applications
version_added: 0.2.0
description:
  - Makes the applications' users, and says which packages are missing.
  - Part of the role P(asgi.deploy.gunicorn_app#role).
author:
  - The asgi.deploy authors (@asgi)
options:
  packages:
    description: Packages of the distribution that have to be there.
    type: list
    elements: str
    required: true
  users:
    description: Names of the applications, which are their users' too.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Says which users would be made.
    support: full
  diff_mode:
    description: Shows the lines that /etc/passwd would get.
    support: full
"""

EXAMPLES = r"""
- name: Prepare the host
  asgi.deploy.gunicorn_host:
"""

RETURN = r"""
hops:
  description: The ports that are open for proxies on other hosts, C(application:port) each.
  type: list
  elements: str
  returned: success
open:
  description: Whether there are ports to be open.
  type: bool
  returned: success
close:
  description: Those of the ports that no proxy uses any more, but for ports of applications that are to be removed.
  type: list
  elements: str
  returned: success
install:
  description: The packages to install now.
  type: list
  elements: str
  returned: success
named:
  description: Names of all applications that the host is to have, also of those that are not meant.
  type: list
  elements: str
  returned: success
present:
  description: Names of the applications to deploy.
  type: list
  elements: str
  returned: success
seen:
  description: Names of the applications that the host was to deploy so far in this run.
  type: list
  elements: str
  returned: success
absent:
  description: Names of the applications to remove.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.app_prepare import prepare_applications
from ansible_collections.asgi.deploy.plugins.module_utils.call import Call


def main() -> None:
    names = {"type": "list", "elements": "str", "required": True}
    module = AnsibleModule(argument_spec={"packages": names, "users": names}, supports_check_mode=True)
    try:
        result = prepare_applications(Call(module.params, module.check_mode, module.run_command, module.warn))
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
