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
  host:
    description: The inventory's name for the host, for warnings.
    type: str
    default: this host
  probe:
    description: What M(asgi.deploy.nginx_host) told of the host's nginx. Used by the action plugin; it asks otherwise.
    type: str
  files:
    description: The tree, path relative to the generation's folder to text.
    type: dict
    default: {}
  private:
    description: Further files of the tree, which only root and nginx's workers can read. Never shown.
    type: dict
    default: {}
  generation:
    description: The id that the tree answers with at C(/generation) of the status port. Required with O(files).
    type: str
  back_to:
    description:
      - Instead of a tree, an old generation to put live that is on the host, C(previous), its id or its folder's name.
    type: str
  expected:
    description:
      - The generations, by name or id, one of which has to be live when this begins, or C(any) for one at all;
        otherwise nothing is done. By that nobody undoes what another run has put live meanwhile.
    type: list
    elements: str
    default: []
  entry:
    description: Text of C(/etc/nginx/nginx.conf), which includes the tree. Required with O(files).
    type: str
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
      lineage:
        description: Name of certbot's certificate, where it is not the folder's.
        type: str
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
  folders:
    description: Folders that have to be there before nginx starts; one that is there is left as it is.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      owner:
        description: The user who gets it; its group is that user's.
        type: str
        default: root
      mode:
        description: Its mode, octal.
        type: str
        default: "0755"
  drop_in:
    description:
      - Text of our drop-in for C(nginx.service), in whose sandbox nginx is tested also where it is not written yet.
        The file on the host otherwise.
    type: str
  proxy_protocol:
    description: Whether nginx expects the PROXY protocol, also from the checks of this module.
    type: bool
    default: false
  status_port:
    description: Port on 127.0.0.1 where nginx tells its generation. Required with O(files).
    type: int
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
before:
  description: Name of the generation that was live when this began, null where there was none.
  type: str
  returned: success
live:
  description: Name of the generation that is live now.
  type: str
  returned: success, but not in check mode
generation:
  description: The generation that nginx serves.
  type: str
  returned: success
found:
  description: The first run on a host whose nginx was configured by hand, the files that it does not read any more.
  type: list
  elements: dict
  returned: when there were any
  contains:
    path:
      description: The file, left as it is.
      type: str
    names:
      description: The host names that it served.
      type: list
      elements: str
reloaded:
  description: Whether nginx loaded a configuration in this run.
  type: bool
  returned: success
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import LOCK, LOCK_HOLDER
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import Generations, Refusal
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_run import Call, Result, expect, put_back, put_live


def run(module: AnsibleModule) -> Result:
    generations = Generations()
    call = Call(module.params, module.check_mode, module.run_command, module.warn)
    work = put_back if module.params["back_to"] else put_live
    if module.check_mode:
        return {"before": expect(generations, module.params["expected"]), **work(call, generations)}
    with locked(LOCK, LOCK_HOLDER):
        generations.clean()
        before = expect(generations, module.params["expected"])
        result = work(call, generations)
        return {"before": before, "live": generations.live(), **result}


def main() -> None:
    # A hardened host's root may have 077: nginx and the application could not enter the folders made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": "this host"},
            "probe": {"type": "str"},
            "files": {"type": "dict", "default": {}},
            "private": {"type": "dict", "default": {}, "no_log": True},
            "generation": {"type": "str"},
            "back_to": {"type": "str"},
            "expected": {"type": "list", "elements": "str", "default": []},
            "entry": {"type": "str"},
            "pairs": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "domains": {"type": "list", "elements": "str", "required": True},
                    "source": {"type": "str", "required": True, "choices": ["certbot", "self_signed"]},
                    "lineage": {"type": "str"},
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
            "folders": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "owner": {"type": "str", "default": "root"},
                    "mode": {"type": "str", "default": "0755"},
                },
            },
            "drop_in": {"type": "str"},
            "proxy_protocol": {"type": "bool", "default": False},
            "status_port": {"type": "int"},
            "keep": {"type": "int", "default": 5},
        },
        required_one_of=[("generation", "back_to")],
        required_by={"generation": ("entry", "status_port")},
        mutually_exclusive=[("generation", "back_to")],
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (Refusal, ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
