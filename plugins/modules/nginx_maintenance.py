#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_maintenance
short_description: Show the maintenance page of sites, or the sites again
version_added: 0.2.0
description:
  - Makes or removes the file that nginx looks for, C(/etc/nginx/maintenance/SITE), without a reload, and asks nginx on
    the host itself until each site answers with its page and 503, or no longer.
  - If one site does not, the files of all are as they were.
  - Part of the playbook C(asgi.deploy.maintenance), which does the same on all proxies or on none.
author:
  - The asgi.deploy authors (@asgi)
options:
  state:
    description: C(on) for the page, C(off) for the site. Required without O(before).
    type: str
    choices: ["on", "off"]
  site:
    description: Name of a site of the host, or a list. All of them if left out. Used by the action plugin.
    type: raw
  sites:
    description: Names of the sites. Filled by the action plugin.
    type: list
    elements: str
    default: []
  before:
    description: Instead of O(state), what RV(before) of an earlier run of this module told, to be so again.
    type: dict
  folder:
    description: Where nginx looks for the files. Filled by the action plugin.
    type: path
    default: /etc/nginx/maintenance
attributes:
  check_mode:
    description: Refuses what cannot be switched, and changes nothing.
    support: full
  diff_mode:
    description: Shows the files that would come or go.
    support: full
"""

EXAMPLES = r"""
- name: Show the page of the shop
  asgi.deploy.nginx_maintenance:
    state: "on"
    site: shop
"""

RETURN = r"""
before:
  description: What the files held that were, or would be, changed; null where there was none.
  type: dict
  returned: success
unproven:
  description: The sites for which nobody on the host can ask for the page, each with the reason.
  type: dict
  returned: success
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.maintenance import Site, Switches, live_site
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import LOCK, LOCK_HOLDER
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import Generations, Refusal


def find(names: t.Iterable[str], current: str) -> t.List[Site]:
    """Return the sites of the live configuration.

    :raises Refusal: for one that it does not have
    """
    sites = []
    for name in names:
        site = live_site(current, name)
        if site is None:
            raise Refusal(
                'site: "{0}" is refused; accepted: one that nginx serves on this host already. It is in the inventory; '
                "asgi.deploy.proxy_update or asgi.deploy.site puts that live".format(name)
            )
        sites.append(site)
    return sites


def run(module: AnsibleModule, generations: Generations) -> t.Dict[str, t.Any]:
    params = module.params
    again = params["before"]
    sites = find(params["sites"] if again is None else again, generations.current)
    switches = Switches(params["folder"], sites)
    targets = switches.targets(params["state"]) if again is None else again
    due = switches.due(targets)
    unproven = {site.name: site.unproven() for site in sites if site.unproven()}
    result = {
        "changed": bool(due) or switches.opens_folder(targets),
        "before": {name: switches.before[name] for name in due},
        "diff": switches.diff(targets),
        "unproven": unproven,
    }
    if again is None:
        switches.refuse(targets)
    if not module.check_mode:
        switches.switch(targets)
        for name, reason in unproven.items():
            module.warn("{0}: switched, and not confirmed by a request: {1}".format(name, reason))
    return result


def main() -> None:
    # A hardened host's root may have 077: nginx could not see the files made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["on", "off"]},
            "site": {"type": "raw"},
            "sites": {"type": "list", "elements": "str", "default": []},
            "before": {"type": "dict"},
            "folder": {"type": "path", "default": "/etc/nginx/maintenance"},
        },
        required_one_of=[("state", "before")],
        mutually_exclusive=[("state", "before")],
        supports_check_mode=True,
    )
    try:
        if module.check_mode:
            result = run(module, Generations())
        else:
            # What is confirmed has to be what is live: no other configuration is put there meanwhile.
            with locked(LOCK, LOCK_HOLDER):
                result = run(module, Generations())
    except (Refusal, ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
