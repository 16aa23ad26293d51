#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gunicorn_hop
short_description: Open the ports by which proxies on other hosts reach the applications of a host
version_added: 0.2.0
description:
  - systemd keeps each port open, through every release, and passes on what comes in to the slot that is live. A rule of
    nftables lets nobody in but the proxies; a port is never open without it.
  - With C(gunicorn_app_port_tls), stunnel ends mutual TLS there. Changed certificates are taken for new connections;
    none that is open ends.
  - A changed list of proxies is put in place in one transaction, and no connection ends by it.
  - Part of the role P(asgi.deploy.gunicorn_app#role), which renders the files on the controller.
author:
  - The asgi.deploy authors (@asgi)
options:
  only:
    description: Names of the applications that are meant, where not all are. Used by the action plugin.
    type: list
    elements: str
  open:
    description: The ports to be open, C(application:port) each. Filled by the action plugin.
    type: list
    elements: str
    default: []
  files:
    description: JSON, path on the host to C(text), C(mode) and C(group). Filled by the action plugin.
    type: str
    default: "{}"
  close:
    description: Ports to close instead, as M(asgi.deploy.gunicorn_host) returned them.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Says whether a port would be opened, closed or fenced anew.
    support: full
  diff_mode:
    description: Shows each file that differs.
    support: full
"""

EXAMPLES = r"""
- name: Open the ports for proxies on other hosts
  asgi.deploy.gunicorn_hop:
"""

RETURN = r"""
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, locked, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.hops import Hop, Hops
from ansible_collections.asgi.deploy.plugins.module_utils.host_files import shown, shown_before

LOCK = ".hops"
LOCK_HOLDER = "Another play that opens ports"


def hop_of(text: str) -> Hop:
    name, _colon, port = text.partition(":")
    return Hop(name, int(port))


def main() -> None:
    # A hardened host's root may have 077: what is written here is no secret.
    os.umask(0o022)
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "only": {"type": "list", "elements": "str"},
            "open": names,
            # Or the journal would get them whole, in each run.
            "files": {"type": "str", "default": "{}", "no_log": True},
            "close": names,
        },
        supports_check_mode=True,
    )
    files = json.loads(module.params["files"])
    before, after = shown_before(files), shown(files)
    closing = [hop_of(text) for text in module.params["close"]]
    opening = [hop_of(text) for text in module.params["open"]]
    hops = Hops(module.run_command)
    try:
        with locked(LOCK, LOCK_HOLDER):
            changed = hops.open(opening, files, module.check_mode) if opening else bool(closing)
            if closing and not module.check_mode:
                hops.close(closing)
    except (ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    diff = diff_of(before, after)
    if closing:
        gone = "".join("port {0} of {1}\n".format(hop.port, hop.name) for hop in closing)
        diff += diff_of({"ports": gone}, {"ports": ""})
    module.exit_json(changed=changed, diff=diff)


if __name__ == "__main__":
    main()
