# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the host can tell of a role's variables: the files and groups that they name."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_hop import names_to_allow

Structure = t.Mapping[str, t.Any]

#: Every Debian and Ubuntu has these; asking for them would cost every run a trip.
_ALWAYS_THERE = ("/usr/bin/python3", "www-data")


def host_questions(role: str, structure: Structure) -> dict[str, t.Any]:
    """Return the parameters of the module role_inputs for a role's normalised structure; empty for no question."""
    asked = _QUESTIONS[role](structure)
    return {kind: questions for kind, questions in asked.items() if questions}


def all_questions(structures: t.Mapping[str, Structure]) -> dict[str, t.Any]:
    """Return the questions for the structures of several roles together, so that one trip asks them all."""
    merged: dict[str, t.Any] = {}
    for role, structure in structures.items():
        for kind, questions in host_questions(role, structure).items():
            # Only certbot asks for what is no list.
            merged[kind] = [*merged.get(kind, []), *questions] if isinstance(questions, list) else questions
    return merged


def _proxy(structure: Structure) -> dict[str, list[dict[str, t.Any]]]:
    pairs = [
        {
            "path": f"{site['path']}.tls",
            "certificate": site["tls"]["certificate"],
            "key": site["tls"]["key"],
            "domains": site["names"],
        }
        for site in structure["sites"]
        if site["tls"]["source"] == "files"
    ]
    named = [
        {"kind": "authorities", "path": f"{site['path']}.tls.client_ca", "value": site["tls"]["client_ca"]}
        for site in structure["sites"]
        if site["tls"]["client_ca"] is not None
    ]
    return {"pairs": pairs, "named": named}


def _applications(structure: Structure) -> dict[str, list[dict[str, t.Any]]]:
    named = [question for application in structure["applications"] for question in _application(application)]
    present = [application for application in structure["applications"] if application["state"] == "present"]
    # The same proxies reach all of them.
    for name in names_to_allow(present):
        named += _named("host", "gunicorn_app_proxies", name)
    return {"named": named}


def _application(application: Structure) -> list[dict[str, t.Any]]:
    places = application["places"]
    if application["state"] == "absent":
        return [{"kind": "absent", "path": places["name"], "value": application["name"]}]
    return [
        {"kind": "application", "path": places["name"], "value": application["name"]},
        *_named("interpreter", places["python"], application["python"]),
        *_named("group", places["proxy_group"], application["proxy_group"]),
        *_port(application),
    ]


def _port(application: Structure) -> list[dict[str, t.Any]]:
    hop = application["hop"]
    if hop is None:
        return []
    kind = "tls_port" if hop["tls"] else "plain_port"
    port = {"kind": kind, "path": application["places"]["port"], "value": str(hop["port"])}
    return [{**port, "application": application["name"]}]


def _certificates(structure: Structure) -> dict[str, t.Any]:
    present = [item["name"] for item in structure["certificates"] if item["state"] == "present"]
    named = [
        *_named("authorities", "certbot_ca_bundle", structure["ca_bundle"]),
        *_named("folder", "certbot_textfile_dir", structure["textfile_dir"]),
        *_named("own_certbot", "certbot_version", structure["version"]),
    ]
    if structure["version"] is None:
        named += [item for path, value in structure["profiles"].items() for item in _named("profile", path, value)]
        if structure["dns"]:
            # Debian 13 has fewer of them than 12.
            named += _named("dns_plugin", "certbot_dns_plugin", structure["dns"]["plugin"])
    staging = {"server": structure["server"], "certificates": present} if structure["staging"] else None
    return {"named": named, "staging": staging}


def _floating_address(structure: Structure) -> dict[str, list[dict[str, t.Any]]]:
    if structure["state"] == "absent":
        return {}
    addresses = [
        {"kind": "free_address", "path": f"floating_address_addresses[{index}]", "value": address.partition("/")[0]}
        for index, address in enumerate(structure["addresses"])
    ]
    peers = [item for peer in structure["peers"] for item in _named("host", structure["peers_path"], peer)]
    return {"named": [*_named("interface", "floating_address_interface", structure["interface"]), *addresses, *peers]}


def _named(kind: str, path: str, value: str | None) -> list[dict[str, t.Any]]:
    return [] if value is None or value in _ALWAYS_THERE else [{"kind": kind, "path": path, "value": value}]


_QUESTIONS: dict[str, t.Callable[[Structure], t.Mapping[str, t.Any]]] = {
    "certbot": _certificates,
    "floating_address": _floating_address,
    "gunicorn_app": _applications,
    "nginx_proxy": _proxy,
}
