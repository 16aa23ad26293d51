#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fleet
short_description: Decide for all hosts of a release at once, on the controller
version_added: 0.2.0
description:
  - Keeps the journal of a release over many hosts, a file in Ansible's own temporary folder, and decides from it
    whether the release goes on, where its hosts go back to, and what is told at its end. No host is ever asked.
  - Part of the playbooks C(asgi.deploy.release) and C(asgi.deploy.rollback). All of it is done by the action plugin.
author:
  - The asgi.deploy authors (@asgi)
options:
  step:
    description: >-
      C(begin) checks the variables C(release_...), looks which hosts have an application to be released, and begins the
      journal; C(ask) says whether the release goes on;
      C(failed) notes what a task has failed with;
      C(back) says which hosts go back after a failure, C(targets) where all go back to in a rollback; C(end) prints the
      summary, writes the report, and fails where a host has failed.
    type: str
    required: true
    choices: [begin, ask, failed, back, targets, end]
  playbook:
    description: With O(step=begin), which one it is.
    type: str
    choices: [release, rollback]
  only:
    description: With O(step=begin), the application that is meant. Without it all of them are.
    type: str
  kind:
    description: With O(step=failed), which step of the journal it was.
    type: str
    choices: [position, lock, prepare, live, back, free, requests]
  result:
    description: With O(step=failed), the task's result.
    type: dict
attributes:
  action:
    description: Runs on the controller.
    support: full
  check_mode:
    description: Nothing is ever changed on a host. The report is written in check mode too.
    support: full
  diff_mode:
    description: There is none.
    support: none
"""

EXAMPLES = r"""
- name: Begin
  asgi.deploy.fleet:
    step: begin
    playbook: release
  run_once: true
"""

RETURN = r"""
batches:
  description: What follows from C(release_serial), for a play with all hosts.
  type: list
  elements: raw
  returned: with O(step=begin)
go:
  description: Whether the release goes on.
  type: bool
  returned: with O(step=ask)
hosts:
  description: >-
    The hosts that have an application to be released; with O(step=back) and O(step=targets) by host the C(name) of each
    application with the C(release) that it goes back to.
  type: raw
  returned: with O(step=begin), O(step=back) and O(step=targets)
id:
  description: That of the release, for its lock.
  type: str
  returned: with O(step=begin)
report:
  description: What has become of each host; see docs/fleet-releases.md.
  type: dict
  returned: with O(step=end)
why:
  description: Why the release does not go on.
  type: str
  returned: with O(step=ask) and O(step=targets), when it does not
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "required": True, "choices": ["begin", "ask", "failed", "back", "targets", "end"]},
            "playbook": {"type": "str", "choices": ["release", "rollback"]},
            "only": {"type": "str"},
            "kind": {
                "type": "str",
                "choices": ["position", "lock", "prepare", "live", "back", "free", "requests"],
            },
            "result": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="asgi.deploy.fleet runs on the controller, by its action plugin")


if __name__ == "__main__":
    main()
