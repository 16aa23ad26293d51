#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: role_inputs
short_description: Refuse a role's variables that cannot work, before anything changes
version_added: 0.1.0
description:
  - Holds the variables of a role of this collection against its argument spec and against each other, on the
    controller. The first that does not fit fails the task with one line, which names the variable with its place,
    the value, and what would be accepted.
  - What only the host can tell is asked there, whether the files and groups exist that the variables name, and
    whether a certificate of the user's (C(tls.source=files)) fits its site. Nothing is ever changed.
author:
  - The asgi.deploy authors (@asgi)
options:
  role:
    description: The role whose variables to check. Used by the action plugin.
    type: str
    choices: [certbot, floating_address, gunicorn_app, nginx_proxy]
  pairs:
    description: Pairs to read on the host. Filled by the action plugin.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Place in the inventory, for the message.
        type: str
        required: true
      certificate:
        description: Absolute path of the PEM file.
        type: str
        required: true
      key:
        description: Absolute path of its key.
        type: str
        required: true
      domains:
        description: Host names that it has to cover.
        type: list
        elements: str
        required: true
  named:
    description: What the variables name and the host has to have, or must not have. Filled by the action plugin.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: >-
          What it is. Of an application, the name must be nobody else's, nor of one that is to go (C(absent)). A
          C(profile) needs a certbot that knows profiles, a C(dns_plugin) the distribution's package, and a version of
          certbot that is installed (C(own_certbot)) a place that nobody else's has. A C(plain_port) must not be open
          with TLS, nor a C(tls_port) without. A C(free_address) must not be the
          host's own, a C(host) one that can be resolved. The others must be there.
        type: str
        required: true
        choices:
          - absent
          - application
          - authorities
          - dns_plugin
          - folder
          - free_address
          - group
          - host
          - interface
          - interpreter
          - own_certbot
          - plain_port
          - profile
          - tls_port
      path:
        description: Place in the inventory, for the message.
        type: str
        required: true
      value:
        description: A name or an absolute path.
        type: str
        required: true
  staging:
    description: >-
      What is to be ordered from a server for trials: no valid certificate of another server may be replaced by that.
      Filled by the action plugin.
    type: dict
    suboptions:
      server:
        description: Its directory URL.
        type: str
        required: true
      certificates:
        description: Names of the lineages.
        type: list
        elements: str
        required: true
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  asgi.deploy.role_inputs:
    role: nginx_proxy
"""

RETURN = r"""
"""

import grp
import os
import re
import socket
import ssl
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_package import (
    has_plugin,
    knows_profiles,
    packaged_version,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_venv import Environments
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import problems_of
from ansible_collections.asgi.deploy.plugins.module_utils.hops import Hops
from ansible_collections.asgi.deploy.plugins.module_utils.lineage import replaced_by_staging
from ansible_collections.asgi.deploy.plugins.module_utils.removal import is_kept_data, is_there, somebody_elses

#: Where the role puts an application's files, and a removed one has left its data.
FOLDERS = ("/opt", "/var/lib", "/var/cache", "/run")

#: Gunicorn and uvicorn of today need it.
_OLDEST = "import sys; raise SystemExit(sys.version_info < (3, 9))"


def pair_problem(pair: t.Mapping[str, t.Any]) -> t.Optional[str]:
    """Return the whole refusal of a certificate that nginx could not serve, or None."""
    for problem in problems_of(pair["certificate"], pair["key"], pair["domains"]):
        field = "key" if problem.startswith(pair["key"]) else "certificate"
        accepted = "a pair that is on the host, matches, is valid and covers " + ", ".join(pair["domains"])
        return "{0}.{1}: {2}; accepted: {3}".format(pair["path"], field, problem, accepted)
    return None


def folder_problem(module: AnsibleModule, path: str) -> t.Optional[str]:
    return None if os.path.isdir(path) else "a folder that is on the host"


def own_certbot_problem(module: AnsibleModule, version: str) -> t.Optional[str]:
    problem = Environments().link_problem()
    return "no value, or a host where its place is free: " + problem if problem else None


def profile_problem(module: AnsibleModule, name: str) -> t.Optional[str]:
    version = packaged_version(module.run_command)
    if version is None or knows_profiles(version):
        return None
    return "no value with certbot {0}, which this host has; 4.0 or later knows profiles (certbot_version)".format(
        version
    )


def dns_plugin_problem(module: AnsibleModule, name: str) -> t.Optional[str]:
    if has_plugin(module.run_command, name) is not False:
        return None
    return "a plugin that this host's distribution has a package of, or this one with certbot_version, from PyPI"


def staging_problem(staging: t.Mapping[str, t.Any]) -> t.Optional[str]:
    for name in staging["certificates"]:
        server = replaced_by_staging(name, staging["server"])
        if server is not None:
            return (
                "certbot_staging: true is refused; accepted: false, as long as {0} has a valid certificate from {1}: "
                "what is for trials does not take its place".format(name, server)
            )
    return None


def authorities_problem(module: AnsibleModule, path: str) -> t.Optional[str]:
    """nginx would refuse it late and without the variable's name."""
    accepted = "a file that is on the host, with certificates in PEM form"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):
        return accepted
    return None


def group_problem(module: AnsibleModule, name: str) -> t.Optional[str]:
    try:
        grp.getgrnam(name)
    except KeyError:
        return "a group that is on the host"
    return None


def interpreter_problem(module: AnsibleModule, path: str) -> t.Optional[str]:
    fits = os.access(path, os.X_OK) and module.run_command([path, "-c", _OLDEST])[0] == 0
    return None if fits else "a Python interpreter that is on the host, 3.9 or later"


def application_problem(module: AnsibleModule, name: str) -> t.Optional[str]:
    """A user or a folder of this name that is not ours would be taken over, its login and its files with it."""
    other = somebody_elses(name)
    if other:
        return "a name that nothing on the host has ({0} is not of this collection)".format(other)
    if is_there(name):
        return None
    taken = [path for path in (folder + "/" + name for folder in FOLDERS) if is_in_use(path)]
    return "a name whose folders are free ({0} is there already)".format(taken[0]) if taken else None


def is_in_use(path: str) -> bool:
    empty = os.path.isdir(path) and not os.listdir(path)
    return os.path.lexists(path) and not empty and not is_kept_data(path)


def absent_problem(module: AnsibleModule, name: str) -> t.Optional[str]:
    other = somebody_elses(name)
    return "an application of this collection ({0} is not)".format(other) if other else None


def free_address_problem(module: AnsibleModule, address: str) -> t.Optional[str]:
    """keepalived takes its addresses off a host at each start: whoever is reached by one would be so no more."""
    own = re.findall(r"\binet6? ([0-9a-f.:]+)", module.run_command(["ip", "-o", "addr", "show"])[1])
    if address not in own or " {0}/".format(address) in (read_text("/etc/keepalived/keepalived.conf") or ""):
        return None
    return "an address that no host has for itself; this host has it without keepalived"


def host_problem(module: AnsibleModule, name: str) -> t.Optional[str]:
    try:
        socket.getaddrinfo(name, None)
    except socket.gaierror:
        return "hosts whose names this host can resolve, or addresses"
    return None


def interface_problem(module: AnsibleModule, name: str) -> t.Optional[str]:
    known = sorted(other for other in os.listdir("/sys/class/net") if other != "lo")
    return None if name in known else "an interface that the host has: " + ", ".join(known)


def plain_port_problem(module: AnsibleModule, port: str) -> t.Optional[str]:
    return Hops(module.run_command).other_kind(int(port), tls=False)


def tls_port_problem(module: AnsibleModule, port: str) -> t.Optional[str]:
    return Hops(module.run_command).other_kind(int(port), tls=True)


CHECKS = {
    "absent": absent_problem,
    "application": application_problem,
    "authorities": authorities_problem,
    "dns_plugin": dns_plugin_problem,
    "folder": folder_problem,
    "free_address": free_address_problem,
    "group": group_problem,
    "host": host_problem,
    "interface": interface_problem,
    "interpreter": interpreter_problem,
    "own_certbot": own_certbot_problem,
    "plain_port": plain_port_problem,
    "profile": profile_problem,
    "tls_port": tls_port_problem,
}


def problems(module: AnsibleModule) -> t.Iterator[str]:
    for pair in module.params["pairs"]:
        problem = pair_problem(pair)
        if problem:
            yield problem
    for item in module.params["named"]:
        accepted = CHECKS[item["kind"]](module, item["value"])
        if accepted:
            yield '{0}: "{1}" is refused; accepted: {2}'.format(item["path"], item["value"], accepted)
    problem = staging_problem(module.params["staging"]) if module.params["staging"] else None
    if problem:
        yield problem


def main() -> None:
    text = {"type": "str", "required": True}
    pair = {
        "path": text,
        "certificate": text,
        "key": {"type": "str", "required": True, "no_log": False},
        "domains": {"type": "list", "elements": "str", "required": True},
    }
    staging = {"server": text, "certificates": {"type": "list", "elements": "str", "required": True}}
    named = {"kind": {"type": "str", "required": True, "choices": sorted(CHECKS)}, "path": text, "value": text}
    module = AnsibleModule(
        argument_spec={
            "role": {"type": "str", "choices": ["certbot", "floating_address", "gunicorn_app", "nginx_proxy"]},
            "pairs": {"type": "list", "elements": "dict", "default": [], "options": pair},
            "named": {"type": "list", "elements": "dict", "default": [], "options": named},
            "staging": {"type": "dict", "options": staging},
        },
        supports_check_mode=True,
    )
    problem = next(problems(module), None)
    if problem:
        module.fail_json(msg=problem)
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
