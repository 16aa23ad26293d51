#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release_lock
short_description: Hold a host's applications for one release over many hosts, and say what is on it
version_added: 0.2.0
description:
  - Takes or gives back the lock of a release. It lies in C(/run/asgi-deploy/NAME.release), and
    M(asgi.deploy.gunicorn_release) refuses whatever does not belong to the release that holds it.
  - It ends by itself four hours after the last step of its release on the host, or when the host is started again.
  - Part of the playbooks C(asgi.deploy.release) and C(asgi.deploy.rollback). Nothing that stays is changed.
author:
  - The asgi.deploy authors (@asgi)
options:
  state:
    description: C(held) takes it, or keeps it; C(free) gives it back, unless it is somebody else's by now.
    type: str
    required: true
    choices: [held, free]
  applications:
    description: Names of the applications; all of them or none.
    type: list
    elements: str
    required: true
  id:
    description: That of the release. Filled by the action plugin.
    type: str
    required: true
  by:
    description: Who releases, for the message of another one. Filled by the action plugin.
    type: str
    default: ""
  take_over:
    description: Take it also where somebody else holds it. Filled by the action plugin.
    type: bool
    default: false
attributes:
  check_mode:
    description: Takes nothing, and says whether it could.
    support: full
  diff_mode:
    description: There is none.
    support: none
"""

EXAMPLES = r"""
- name: Hold the lock
  asgi.deploy.release_lock:
    state: held
    applications: [notes]
"""

RETURN = r"""
applications:
  description: >-
    What there is of each application; its C(name), its C(live) release, its C(releases) with their C(code), and which
    of them have C(lived).
  type: list
  elements: dict
  returned: success
"""

import contextlib
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.lease import Lease
from ansible_collections.asgi.deploy.plugins.module_utils.standing import root_of, standing


def hold(module: AnsibleModule, names: t.Sequence[str]) -> None:
    """Take the lease of each application, or none."""
    params = module.params
    with contextlib.ExitStack() as stack:
        for name in names:
            if not module.check_mode:
                # A deployment that runs without a lease is seen by this.
                stack.enter_context(locked(name, "Another deployment of " + name, seconds=0, by=params["by"]))
            lease = Lease(name)
            if not params["take_over"]:
                lease.require(params["id"], check_mode=True)
        for name in [] if module.check_mode else names:
            Lease(name).take(params["id"], params["by"], params["take_over"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["held", "free"]},
            "applications": {"type": "list", "elements": "str", "required": True},
            "id": {"type": "str", "required": True},
            "by": {"type": "str", "default": ""},
            "take_over": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    names = module.params["applications"]
    try:
        if module.params["state"] == "held":
            hold(module, names)
        elif not module.check_mode:
            for name in names:
                Lease(name).give_back(module.params["id"])
        found = [standing(name, root_of(name)) for name in names]
    except (ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(changed=False, applications=found)


if __name__ == "__main__":
    main()
