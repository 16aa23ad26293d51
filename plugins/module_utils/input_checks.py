# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the host can tell of a role's variables: whether it has what they name, and nothing they would harm."""

from __future__ import annotations

import grp
import os
import re
import socket
import ssl
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_package import (
    has_plugin,
    knows_profiles,
    packaged_version,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_venv import Environments
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import (
    not_valid_yet,
    problems_of,
    read_certificate,
)
from ansible_collections.asgi.deploy.plugins.module_utils.hops import Hop, Hops
from ansible_collections.asgi.deploy.plugins.module_utils.lineage import replaced_by_staging
from ansible_collections.asgi.deploy.plugins.module_utils.removal import is_kept_data, is_there, somebody_elses
from ansible_collections.asgi.deploy.plugins.module_utils.renewal import soon_over

Run = t.Callable[..., t.Tuple[int, str, str]]

#: Where the role puts an application's files, and a removed one has left its data.
FOLDERS = ("/opt", "/var/lib", "/var/cache", "/run")

#: Gunicorn and uvicorn of today need it.
_OLDEST = "import sys; raise SystemExit(sys.version_info < (3, 9))"


def pair_problem(pair: t.Mapping[str, t.Any]) -> t.Optional[str]:
    """Return the whole refusal of a certificate that nginx could not serve, or None."""
    problems = problems_of(pair["certificate"], pair["key"], pair["domains"]) or not_valid_yet(pair["certificate"])
    for problem in problems:
        field = "key" if problem.startswith(pair["key"]) else "certificate"
        accepted = "a pair that is on the host, matches, is valid and covers " + ", ".join(pair["domains"])
        return "{0}.{1}: {2}; accepted: {3}".format(pair["path"], field, problem, accepted)
    return None


def pair_warnings(pairs: t.Iterable[t.Mapping[str, t.Any]]) -> t.List[str]:
    """Return warnings of what will be refused some time soon, of pairs of which :func:`pair_problem` has none."""
    read = {pair["certificate"]: read_certificate(pair["certificate"]) for pair in pairs}
    found = [soon_over(path, one.not_before, one.not_after, time.time()) for path, one in read.items()]
    return [warning for warning in found if warning]


def folder_problem(run: Run, path: str) -> t.Optional[str]:
    return None if os.path.isdir(path) else "a folder that is on the host"


def own_certbot_problem(run: Run, version: str) -> t.Optional[str]:
    problem = Environments().link_problem()
    return "no value, or a host where its place is free: " + problem if problem else None


def profile_problem(run: Run, name: str) -> t.Optional[str]:
    version = packaged_version(run)
    if version is None or knows_profiles(version):
        return None
    return "no value with certbot {0}, which this host has; 4.0 or later knows profiles (certbot_version)".format(
        version
    )


def dns_plugin_problem(run: Run, name: str) -> t.Optional[str]:
    if has_plugin(run, name) is not False:
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


def authorities_problem(run: Run, path: str) -> t.Optional[str]:
    """nginx would refuse it late and without the variable's name."""
    accepted = "a file that is on the host, with certificates in PEM form"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):
        return accepted
    return None


def group_problem(run: Run, name: str) -> t.Optional[str]:
    try:
        grp.getgrnam(name)
    except KeyError:
        return "a group that is on the host"
    return None


def interpreter_problem(run: Run, path: str) -> t.Optional[str]:
    fits = os.access(path, os.X_OK) and run([path, "-c", _OLDEST])[0] == 0
    return None if fits else "a Python interpreter that is on the host, 3.9 or later"


def application_problem(run: Run, name: str) -> t.Optional[str]:
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


def absent_problem(run: Run, name: str) -> t.Optional[str]:
    other = somebody_elses(name)
    return "an application of this collection ({0} is not)".format(other) if other else None


def free_address_problem(run: Run, address: str) -> t.Optional[str]:
    """keepalived takes its addresses off a host at each start: whoever is reached by one would be so no more."""
    own = re.findall(r"\binet6? ([0-9a-f.:]+)", run(["ip", "-o", "addr", "show"])[1])
    if address not in own or " {0}/".format(address) in (read_text("/etc/keepalived/keepalived.conf") or ""):
        return None
    return "an address that no host has for itself; this host has it without keepalived"


def host_problem(run: Run, name: str) -> t.Optional[str]:
    try:
        socket.getaddrinfo(name, None)
    except socket.gaierror:
        return "hosts whose names this host can resolve, or addresses"
    return None


def interface_problem(run: Run, name: str) -> t.Optional[str]:
    known = sorted(other for other in os.listdir("/sys/class/net") if other != "lo")
    return None if name in known else "an interface that the host has: " + ", ".join(known)


def port_problem(run: Run, port: str, application: str, tls: bool, base: str = "/") -> t.Optional[str]:
    """It would be found out when the release is live, and whoever has the port would be behind a fence by then."""
    return Hops(run, base).taken(Hop(application, int(port)), tls)


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
    "profile": profile_problem,
}

#: Whether with TLS. These are asked for an application.
PORTS = {"plain_port": False, "tls_port": True}


def problems(params: t.Mapping[str, t.Any], run: Run) -> t.Iterator[str]:
    """Yield what the host has against the parameters of the module role_inputs."""
    for pair in params["pairs"]:
        problem = pair_problem(pair)
        if problem:
            yield problem
    for item in params["named"]:
        kind, value = item["kind"], item["value"]
        if kind in PORTS:
            accepted = port_problem(run, value, item["application"], PORTS[kind])
        else:
            accepted = CHECKS[kind](run, value)
        if accepted:
            yield '{0}: "{1}" is refused; accepted: {2}'.format(item["path"], item["value"], accepted)
    problem = staging_problem(params["staging"]) if params["staging"] else None
    if problem:
        yield problem
