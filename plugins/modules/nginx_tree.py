#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_tree
short_description: Put a whole nginx configuration live, or none of it
version_added: 0.1.0
description:
  - Stages the tree beside the live one, tests it as a whole with C(nginx -t), where a warning counts as a
    failure, switches C(/etc/nginx/deploy/current) to it, loads it, and waits until the new generation answers.
  - Whatever fails, the live tree is as it was and nginx serves it on. A configuration that an earlier run left
    unloaded is loaded; one that was changed by hand is put back.
  - Part of the role P(asgi.deploy.nginx_proxy#role), which renders the tree on the controller.
author:
  - The asgi.deploy authors (@asgi)
options:
  files:
    description: The tree, path relative to the generation's folder to text.
    type: dict
    required: true
  generation:
    description: The id that the tree answers with at C(/generation) of the status port.
    type: str
    required: true
  entry:
    description: Text of C(/etc/nginx/nginx.conf), which includes the tree.
    type: str
    required: true
  pairs:
    description: The TLS folders to keep, each with a self-signed pair until something better is there.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the folder, that of the site.
        type: str
        required: true
      domains:
        description: Host names for the self-signed pair.
        type: list
        elements: str
        required: true
      source:
        description: C(certbot) leaves a switched C(current) alone; C(self_signed) switches it back.
        type: str
        required: true
        choices: [certbot, self_signed]
  served:
    description: Certificates that have to be served as they are on disk, those that certbot does not care for.
    type: list
    elements: dict
    default: []
    suboptions:
      domain:
        description: Host name to ask nginx for.
        type: str
        required: true
      certificate:
        description: Absolute path of the PEM file.
        type: str
        required: true
  tls_dir:
    description: Folder of the TLS folders.
    type: path
    required: true
  webroot:
    description: Folder that ACME challenges are answered from; made when it is absent.
    type: path
    required: true
  status_port:
    description: Port on 127.0.0.1 where nginx tells its generation.
    type: int
    required: true
  keep:
    description: Generations to keep, the live one included.
    type: int
    default: 5
attributes:
  check_mode:
    description: Stages and tests the tree in a temporary folder, and changes nothing.
    support: full
  diff_mode:
    description: Shows each file that differs.
    support: full
"""

EXAMPLES = r"""
- name: Put the configuration live
  asgi.deploy.nginx_tree:
"""

RETURN = r"""
generation:
  description: The generation that nginx serves.
  type: str
  returned: success
reloaded:
  description: Whether nginx loaded a configuration in this run.
  type: bool
  returned: success
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import words_of
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Nginx
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_transaction import (
    NginxTransaction,
    Refusal,
)


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    nginx = Nginx(module.run_command, module.params["status_port"])
    transaction = NginxTransaction(module.params, nginx)
    result: t.Dict[str, t.Any] = {"generation": transaction.generation, "reloaded": False, "diff": transaction.diff()}
    differs = transaction.differs()
    pending = differs or nginx.served_generation() != transaction.generation or bool(transaction.unserved())
    webroot = module.params["webroot"]

    if module.check_mode:
        if differs or transaction.tls.absent():
            transaction.check()
        else:
            transaction.test_live()
        result["changed"] = pending or bool(transaction.tls.stale()) or not os.path.isdir(webroot)
        return result

    changed = False
    if not os.path.isdir(webroot):
        os.makedirs(webroot, mode=0o755)
        changed = True
    # Only what nginx could not open at all: a pair that is served stays as it is until the tree is proven.
    pairs_made = transaction.tls.ensure(transaction.tls.absent())
    if differs:
        transaction.apply()
    else:
        transaction.test_live()
        if pending or pairs_made:
            transaction.load_or_refuse()
    stale = transaction.tls.stale()
    pairs_renewed = transaction.tls.ensure(stale)
    if pairs_renewed:
        transaction.load_or_refuse()
    removed = transaction.tls.remove_foreign()
    result["reloaded"] = pending or pairs_made or pairs_renewed
    result["changed"] = bool(changed or stale or removed or result["reloaded"])
    return result


def main() -> None:
    # A hardened host's root may have 077: nginx and the application could not enter the folders made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "required": True},
            "generation": {"type": "str", "required": True},
            "entry": {"type": "str", "required": True},
            "pairs": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "domains": {"type": "list", "elements": "str", "required": True},
                    "source": {"type": "str", "required": True, "choices": ["certbot", "self_signed"]},
                },
            },
            "served": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "domain": {"type": "str", "required": True},
                    "certificate": {"type": "str", "required": True},
                },
            },
            "tls_dir": {"type": "path", "required": True},
            "webroot": {"type": "path", "required": True},
            "status_port": {"type": "int", "required": True},
            "keep": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (Refusal, ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
