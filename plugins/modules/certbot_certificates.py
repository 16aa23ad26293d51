#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: certbot_certificates
short_description: Hold certificates with certbot, and bring them to nginx
version_added: 0.1.0
description:
  - Orders a certificate where there is none, where its names differ from the wanted ones as a set, where its server
    or key type changed, or where it has expired. Before an order, each name's challenge is tried on port 80 here.
  - Then runs C(asgi-deploy-certificates), which switches nginx to the certificates that fit, and confirms that they are
    served. What fails leaves the pair before it in place.
  - Part of the role P(asgi.deploy.certbot#role).
author:
  - The asgi.deploy authors (@asgi)
options:
  certificates:
    description: The certificates to hold.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the lineage and of the site that serves it.
        type: str
        required: true
      domains:
        description: Host names that it covers.
        type: list
        elements: str
        required: true
      key_type:
        description: C(ecdsa) or C(rsa).
        type: str
        required: true
  server:
    description: Directory URL of the ACME server.
    type: str
    required: true
  email:
    description: Address for the account; without one, none is given.
    type: str
  ca_bundle:
    description: PEM file on the host that the ACME server's own certificate is checked against.
    type: path
  webroot:
    description: Folder from which nginx answers challenges.
    type: path
    required: true
  certbot:
    description: The certbot to call.
    type: path
    required: true
  command:
    description: The program that brings certificates to nginx.
    type: path
    required: true
attributes:
  check_mode:
    description: Says which certificates would be ordered.
    support: full
  diff_mode:
    description: Shows the reasons for an order.
    support: full
"""

EXAMPLES = r"""
- name: Hold the certificates
  asgi.deploy.certbot_certificates:
"""

RETURN = r"""
ordered:
  description: Names of the certificates that were ordered.
  type: list
  elements: str
  returned: success
deployed:
  description: What the deployment changed, a line each.
  type: list
  elements: str
  returned: success
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import words_of
from ansible_collections.asgi.deploy.plugins.module_utils.certbot import Lineage, challenge_problem
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_units import ensure_timers


def order(module: AnsibleModule, due: t.Sequence[Lineage]) -> t.Tuple[t.List[str], t.List[str]]:
    """Order what is due. Returns the names that came, and the complaints: one failure keeps no other waiting."""
    ordered, complaints = [], []
    for lineage in due:
        problems = [challenge_problem(module.params["webroot"], domain) for domain in lineage.domains]
        problem = "; ".join(filter(None, problems))
        if problem:
            complaints.append("{0}: no order was placed: {1}".format(lineage.name, problem))
            continue
        problem = lineage.order(module.run_command, module.params) or ""
        if problem:
            complaints.append("{0}, from {1}: {2}".format(lineage.name, module.params["server"], problem))
        else:
            ordered.append(lineage.name)
    return ordered, complaints


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    params = module.params
    lineages = [Lineage(wanted) for wanted in params["certificates"]]
    reasons = {lineage.name: lineage.reasons(params["server"]) for lineage in lineages}
    due = [lineage for lineage in lineages if reasons[lineage.name]]
    diff = [
        {
            "before_header": lineage.name,
            "after_header": lineage.name,
            "before": "; ".join(reasons[lineage.name]) + "\n",
            "after": ", ".join(lineage.domains) + "\n",
        }
        for lineage in due
    ]
    changed = ensure_timers(module.run_command, module.check_mode)
    result: t.Dict[str, t.Any] = {"ordered": [lineage.name for lineage in due], "deployed": [], "diff": diff}
    if module.check_mode:
        result["changed"] = changed or bool(due)
        return result
    result["ordered"], complaints = order(module, due)
    code, output, errors = module.run_command([params["command"]])
    result["deployed"] = output.splitlines()
    if code:
        # Of a certificate that did not come, its old one's unfitness is no news.
        missing = tuple(lineage.name + ":" for lineage in due if lineage.name not in result["ordered"])
        complaints += [line for line in errors.splitlines() if not line.startswith(missing)]
    result["changed"] = changed or bool(result["ordered"]) or bool(result["deployed"])
    if complaints:
        module.fail_json(msg="\n".join(complaints), **result)
    return result


def main() -> None:
    # A hardened host's root may have 077: nginx and the application could not enter the folders made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "certificates": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "domains": {"type": "list", "elements": "str", "required": True},
                    "key_type": {"type": "str", "required": True, "no_log": False},
                },
            },
            "server": {"type": "str", "required": True},
            "email": {"type": "str"},
            "ca_bundle": {"type": "path"},
            "webroot": {"type": "path", "required": True},
            "certbot": {"type": "path", "required": True},
            "command": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
