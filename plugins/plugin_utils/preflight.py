# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All roles of a host seen to at once: what it is asked before they are checked, and what after that."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.nginx_proven import digest_of
from ansible_collections.asgi.deploy.plugins.plugin_utils import app_needs, certbot_needs, proxy_prepare
from ansible_collections.asgi.deploy.plugins.plugin_utils.host_questions import all_questions
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import host_facts, nginx_version, probe_for
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree

#: Stands between the two answers.
_NEXT = "-- nginx --"

Render = t.Callable[..., str]
Structure = t.Mapping[str, t.Any]


class Answer(t.NamedTuple):
    """What a host says of itself: facts by Ansible's own names, and of its nginx the words for the templates."""

    facts: dict[str, int]
    probe: str


def question(roles: t.Collection[str], names: t.Iterable[str]) -> str:
    """Return the one shell command that tells what the check of ``roles`` depends on; empty for nothing.

    :param names: to be resolved on the host
    """
    size = [app_needs.MACHINE] if "gunicorn_app" in roles else []
    nginx = [probe_for(names)] if "nginx_proxy" in roles else []
    return "; ".join([*size, f"echo '{_NEXT}'", *nginx]) if size or nginx else ""


def answer(printed: str) -> Answer | None:
    """Read what the command of :func:`question` printed; None where it did not run."""
    # A terminal, which sudo may ask for, ends lines otherwise.
    size, mark, probe = printed.replace("\r\n", "\n").partition(f"{_NEXT}\n")
    return Answer(app_needs.machine_facts(size), probe) if mark else None


def host_parameters(structures: t.Mapping[str, Structure], name: str, probe: str, render: Render) -> dict[str, t.Any]:
    """Return the parameters of the module role_inputs for all roles of a host.

    :param structures: role to its normalised structure
    :param name: the host's in the inventory
    :param probe: what the host said of its nginx
    :param render: of the templates of nginx_proxy
    :raises Refused: for what this nginx does not know
    """
    parameters = all_questions(structures)
    nginx = _wanted_nginx(structures["nginx_proxy"], probe, render) if "nginx_proxy" in structures else None
    if nginx:
        parameters["nginx"] = nginx
    prepare = _preparation(structures, name, render)
    if prepare:
        parameters["prepare"] = json.dumps(prepare)
    return parameters


def _wanted_nginx(proxy: Structure, probe: str, render: Render) -> dict[str, str] | None:
    """Return what the host is to hold its live configuration against, None where there is nothing to compare."""
    if proxy["generation"] is not None or "nginx version:" not in probe or "masked" in probe.split():
        return None
    tree = build_tree(render, proxy, nginx_version(probe), host_facts(probe))
    digest = digest_of({**tree.files, **tree.private}, render("nginx.conf.j2"))
    return {"digest": digest, "drop_in": render("host/nginx.service.j2", **proxy)}


def _preparation(structures: t.Mapping[str, Structure], name: str, render: Render) -> dict[str, t.Any]:
    """Return what each role's preparation of the host is told."""
    found: dict[str, t.Any] = {}
    for role, structure in structures.items():
        if role == "gunicorn_app":
            present = [item for item in structure["applications"] if item["state"] == "present"]
            found[role] = app_needs.host_parameters(present)
        # With a repository of the nginx project there are more questions, and a key to fetch.
        if role == "nginx_proxy" and not structure["repository"]:
            found[role] = proxy_prepare.host_parameters(structure, render, name, None)
        if role == "certbot":
            found[role] = certbot_needs.host_parameters(structure, name)
    return found
