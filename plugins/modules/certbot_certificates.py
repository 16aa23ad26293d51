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
  - Orders a certificate where there is none, where its names differ from the wanted ones as a set, where its server,
    key or profile changed, or where it cannot be served or is so near its end that no renewal can have come. Another
    way to prove the names is only written to its renewal file.
  - Before an order, each name's challenge is tried, and the order is rehearsed where there is a server for it. After
    refusals of the CA orders pause. What fails leaves the certificate before it in place, and keeps no other waiting.
  - A certificate whose O(certificates[].state) is C(absent) is revoked if asked and deleted, after nginx has gone back
    to the self-signed pair. One that is not to be revoked is kept, with a warning, while a site is served with it whose
    own certificate did not come.
  - Then runs C(asgi-deploy-certificates), which switches nginx to the certificates that fit, and confirms that they are
    served.
  - Part of the role P(asgi.deploy.certbot#role).
author:
  - The asgi.deploy authors (@asgi)
options:
  certificates:
    description: The certificates to hold, and those to remove.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the lineage.
        type: str
        required: true
      domains:
        description: Host names that it covers.
        type: list
        elements: str
        required: true
      state:
        description: C(present) or C(absent).
        type: str
        required: true
      revoke:
        description: Whether to revoke it before it is deleted.
        type: bool
        required: true
      revoke_reason:
        description: What the CA is told.
        type: str
        required: true
      challenge:
        description: C(webroot), C(standalone) or C(dns).
        type: str
        required: true
      key_type:
        description: C(ecdsa) or C(rsa).
        type: str
        required: true
      elliptic_curve:
        description: Curve of a key of the first kind.
        type: str
      rsa_key_size:
        description: Bits of a key of the second kind.
        type: int
      profile:
        description: The CA's profile.
        type: str
  server:
    description: Directory URL of the ACME server.
    type: str
    required: true
  staging:
    description: Whether it is one for trials, whose certificates replace no valid one of another server.
    type: bool
    required: true
  rehearsal:
    description: Directory URL of the server at which orders are tried first.
    type: str
  email:
    description: Address for the account; without one, none is given.
    type: str
  eab_kid:
    description: Key identifier of the external account.
    type: str
  eab_hmac_key:
    description: The external account's key.
    type: str
  dns:
    description: The DNS plugin; without one, no certificate uses it.
    type: dict
    suboptions:
      plugin:
        description: Its name.
        type: str
        required: true
      credentials_file:
        description: Where its credentials are.
        type: path
      name_server:
        description: IP address of the server that the plugin sends updates to, where it has one.
        type: str
      name_server_port:
        description: The server's port.
        type: int
      propagation_seconds:
        description: Seconds to wait for the name servers.
        type: int
  probe:
    description: C(resolved), C(local) or C(none).
    type: str
    required: true
  ignore_cooldown:
    description: Whether to order in spite of refusals.
    type: bool
    required: true
  webroot:
    description: Folder from which nginx answers challenges.
    type: path
    required: true
  tls_dir:
    description: Folder in which nginx looks for its pairs.
    type: path
    required: true
  environment:
    description: What certbot needs in its environment.
    type: dict
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
    description: Says which certificates would be ordered, edited and removed. Nothing is asked of anybody.
    support: full
  diff_mode:
    description: Shows the reasons for an order, changes of renewal files, and what a removal takes.
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
edited:
  description: Names of the certificates whose renewals were changed.
  type: list
  elements: str
  returned: success
removed:
  description: Names of the certificates that were removed.
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
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_leftovers import (
    remove_unused_credentials,
    unused_credentials,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_units import ensure_timers
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_orders import Plan, Work

#: What the program says that is no failure of this run.
_WARNING = "warning: "


def bring(module: AnsibleModule) -> t.Tuple[int, t.List[str], str]:
    """Bring the certificates to nginx. Returns the program's exit code, what was changed, a line each, and errors."""
    code, output, errors = module.run_command([module.params["command"], "--play"])
    return code, output.splitlines(), errors


def deploy(module: AnsibleModule, missing: t.Tuple[str, ...]) -> t.Tuple[t.List[str], t.List[str]]:
    """Bring the certificates to nginx. Returns what was changed and the complaints, a line each.

    :param missing: beginnings of lines that are no news: of certificates whose order is complained of already
    """
    code, changes, errors = bring(module)
    lines = [line for line in errors.splitlines() if line.strip()]
    for line in lines:
        if line.startswith(_WARNING):
            module.warn(line[len(_WARNING) :])
    complaints = [line for line in lines if not line.startswith((_WARNING, *missing))]
    if code and not lines:
        complaints = ["{0} failed without a word".format(module.params["command"])]
    return changes, complaints if code else []


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    params = module.params
    plan = Plan(module.run_command, params)
    work = Work(module.run_command, params)
    keep = [params["dns"]["credentials_file"]] if params["dns"] else []
    result: t.Dict[str, t.Any] = {
        "ordered": [lineage.name for lineage in plan.due],
        "edited": [lineage.name for lineage, _edited in plan.edits],
        "removed": [removal.name for removal in plan.removals],
        "deployed": [],
        "diff": plan.diff(),
    }
    started = ensure_timers(module.run_command, module.check_mode)
    if module.check_mode:
        named = result["ordered"] or result["edited"] or result["removed"]
        other = work.would_change_account() or bool(unused_credentials(keep))
        return {**result, "changed": started or bool(named) or other}
    early: t.List[str] = []
    # What is wrong then, the run at the end says.
    outcome = work.carry_out(plan, lambda: early.extend(bring(module)[1]))
    missing = tuple(name + ":" for name in outcome.failed)
    late, complaints = deploy(module, missing)
    deployed = early + late
    # Always: a removal is what leaves some behind.
    cleared = remove_unused_credentials(keep)
    changed = started or outcome.is_changed() or cleared or bool(deployed)
    result.update(
        ordered=outcome.ordered,
        edited=outcome.edited,
        removed=outcome.removed,
        deployed=deployed,
        changed=changed,
    )
    for warning in outcome.warnings:
        module.warn(warning)
    if outcome.complaints or complaints:
        module.fail_json(msg="\n".join(outcome.complaints + complaints), **result)
    return result


def main() -> None:
    # A hardened host's root may have 077: nginx and the application could not enter the folders made here.
    os.umask(0o022)
    text = {"type": "str", "required": True}
    flag = {"type": "bool", "required": True}
    folder = {"type": "path", "required": True}
    certificate = {
        "name": text,
        "domains": {"type": "list", "elements": "str", "required": True},
        "state": text,
        "revoke": flag,
        "revoke_reason": text,
        "challenge": text,
        "key_type": {"type": "str", "required": True, "no_log": False},
        "elliptic_curve": {"type": "str"},
        "rsa_key_size": {"type": "int", "no_log": False},
        "profile": {"type": "str"},
    }
    dns = {
        "plugin": text,
        "credentials_file": {"type": "path", "no_log": False},
        "name_server": {"type": "str"},
        "name_server_port": {"type": "int"},
        "propagation_seconds": {"type": "int"},
    }
    module = AnsibleModule(
        argument_spec={
            "certificates": {"type": "list", "elements": "dict", "required": True, "options": certificate},
            "server": text,
            "staging": flag,
            "rehearsal": {"type": "str"},
            "email": {"type": "str"},
            "eab_kid": {"type": "str"},
            "eab_hmac_key": {"type": "str", "no_log": True},
            "dns": {"type": "dict", "options": dns},
            "probe": text,
            "ignore_cooldown": flag,
            "webroot": folder,
            "tls_dir": folder,
            "environment": {"type": "dict", "required": True},
            "certbot": folder,
            "command": folder,
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
