#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: run_lock
short_description: Keep two runs of a playbook apart
version_added: 0.2.0
description:
  - Takes a lock on the host for a whole run, and gives it back. A run has no process on the host that could hold one,
    so it is a file below C(/run/asgi-deploy), which is gone with a reboot.
  - Whoever finds it held is told by whom and since when. A run that was killed on this very controller counts as
    ended, and so does one that began four hours ago.
author:
  - The asgi.deploy authors (@asgi)
options:
  name:
    description: Name of the lock.
    type: str
    required: true
  what:
    description: What such a run is, for the message.
    type: str
    default: Another run
  token:
    description: Give the lock back that was taken under this token, instead of taking it.
    type: str
  take_over:
    description: Take it from whoever has it.
    type: bool
    default: false
  holder:
    description: Who takes it. Filled by the action plugin.
    type: dict
    default: {}
  over:
    description: Token of a holder that is known to be dead. Filled by the action plugin.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says whether the lock could be taken.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Keep other runs away
  asgi.deploy.run_lock:
    name: proxies
  register: __lock

- name: Let them in again
  asgi.deploy.run_lock:
    name: proxies
    token: "{{ __lock.token }}"
"""

RETURN = r"""
token:
  description: By this it is given back.
  type: str
  returned: when it was taken
holder:
  description: Who has it, C(by), C(place), C(pid), C(since) and C(token).
  type: dict
  returned: when it could not be taken
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import words_of
from ansible_collections.asgi.deploy.plugins.module_utils.run_lock import Held, RunLock


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "what": {"type": "str", "default": "Another run"},
            # No secret: whoever can read the lock's file is root.
            "token": {"type": "str", "no_log": False},
            "take_over": {"type": "bool", "default": False},
            "holder": {"type": "dict", "default": {}},
            "over": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    lock = RunLock(params["name"])
    try:
        if params["token"]:
            lock.give_back(params["token"])
            module.exit_json(changed=False)
        over = "any" if params["take_over"] else params["over"]
        token = lock.take(params["what"], params["holder"], over, keep=not module.check_mode)
    except Held as error:
        module.fail_json(msg=str(error), holder=error.holder)
    except (ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    # Nothing that outlasts the run, so no change.
    module.exit_json(changed=False, token=token)


if __name__ == "__main__":
    main()
