#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: proxy_round
short_description: Say what became of each proxy, and fail where one did
version_added: 0.2.0
description:
  - Reads what the tasks of the playbook C(asgi.deploy.proxy_update) registered on each host. An action plugin
    alone, nothing is done on any host.
author:
  - The asgi.deploy authors (@asgi)
options:
  hosts:
    description: Names of the proxies. One that was not part of the run is left out.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Says what would be updated.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Say what became of each proxy
  asgi.deploy.proxy_round:
    hosts: "{{ groups.proxies }}"
  run_once: true
"""

RETURN = r"""
summary:
  description: A line for each proxy, the generation before, the one after, and what happened.
  type: list
  elements: str
  returned: success; otherwise they are part of the message
"""
