# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from proxies on other hosts to an application: a port, and who may reach it."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_values import app_integer
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import is_loopback, is_name
from ansible_collections.asgi.deploy.plugins.plugin_utils.networks import networks
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_host import SITE_PORTS
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import in_brackets, server_address

_UNITS = "/etc/systemd/system/"
#: Template to the place where an application's hop has its file.
_TEMPLATES = {
    "hop/fence.nft.j2": "/etc/asgi-deploy/fences/{name}-{port}.nft",
    "hop/fence.service.j2": _UNITS + "{name}-fence@{port}.service",
    "hop/hop.service.j2": _UNITS + "{name}-hop@{port}.service",
    "hop/hop.socket.j2": _UNITS + "{name}-hop@{port}.socket",
    # One for all fences of the host.
    "hop/nftables.service.j2": _UNITS + "nftables.service.d/asgi-deploy.conf",
}


def normalise_hop(values: t.Mapping[str, t.Any], proxies: t.Sequence[str]) -> dict[str, t.Any] | None:
    """Return ``port`` and ``allow`` (networks, addresses and names), or None where no other host has a proxy.

    :param values: the role's variables, already of the spec's shape
    :param proxies: addresses and names of the proxies on other hosts
    :raises Refused: naming ``gunicorn_app_…``
    """
    port = app_integer(values, "port", 1, 65535)
    if port in SITE_PORTS:
        raise Refused("gunicorn_app_port", port, "a port that no site listens on (not 80, not 443)")
    stated = values["gunicorn_app_proxies"]
    if stated is not None:
        if not stated:
            raise Refused("gunicorn_app_proxies", [], "at least one network; leave it out for the group proxies")
        stated = networks("gunicorn_app_proxies", stated, "anybody could then pose as a proxy")
    if not proxies:
        return None
    return {"port": port, "allow": stated or [_address(proxy) for proxy in proxies]}


def _address(proxy: str) -> str:
    if is_loopback(proxy):
        accepted = "the addresses from which the proxies reach this host, which the inventory does not tell"
        raise Refused("gunicorn_app_proxies", None, accepted)
    server_address("ansible_host of a proxy", f"{in_brackets(proxy)}:1")
    return proxy


def names_to_allow(applications: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the names of proxies that the host has to resolve: its fence knows addresses only."""
    allowed = (proxy for item in applications if item.get("hop") for proxy in item["hop"]["allow"])
    return sorted({proxy for proxy in allowed if is_name(proxy)})


def hop_files(
    render: t.Callable[..., str], application: t.Mapping[str, t.Any], addresses: t.Mapping[str, t.Sequence[str]]
) -> dict[str, dict[str, str]]:
    """Return the files of an application's hop: path on the host to ``text`` and ``mode``.

    :param addresses: those of each name of :func:`names_to_allow`
    :raises Refused: for a proxy whose name has no address
    """
    name, hop = application["name"], application["hop"]
    allowed: list[str] = []
    for proxy in hop["allow"]:
        found = list(addresses.get(proxy, [])) if is_name(proxy) else [proxy]
        if not found:
            raise Refused("gunicorn_app_proxies", proxy, "proxies whose names this host can resolve, or networks")
        allowed += found
    networks = sorted({ipaddress.ip_network(item) for item in allowed}, key=lambda item: (item.version, item))
    structure = {
        **application,
        "port": hop["port"],
        "allowed": [{"family": "ip" if item.version == 4 else "ip6", "network": _short(item)} for item in networks],
    }
    return {
        path.format(name=name, port=hop["port"]): {"text": render(template, **structure), "mode": "0644"}
        for template, path in _TEMPLATES.items()
    }


def _short(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
