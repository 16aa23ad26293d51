# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The normaliser of the role floating_address: what the user wrote, held against the inventory's proxies."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import integer, server_address

Values = t.Mapping[str, t.Any]
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_ADDRESSES = "floating_address_addresses"
_PEERS = "floating_address_peers"

#: What Linux takes, without the colon of an alias.
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_WITH_PREFIX = "an address with the prefix length of its network, such as 192.0.2.10/24 or 2001:db8::10/64"

#: VRRP has 1 to 254 for hosts that take over. So far apart as the group allows: of two whose waiting times differ by
#: less than a packet takes, both would have the address for a moment.
_HIGHEST, _LOWEST, _APART = 250, 10, 50


class Proxy(t.NamedTuple):
    """A host of the group ``proxies`` as the inventory has it.

    ``compared``: what it says of the variables that all of them must have alike.
    """

    name: str
    address: str
    present: bool = True
    compared: t.Mapping[str, t.Any] = {}


def normalise_floating_address(
    values: Values, name: str, proxies: t.Sequence[Proxy], *, grouped: bool, status_port: int
) -> dict[str, t.Any]:
    """Return the complete structure that keepalived's configuration is rendered from.

    :param values: the role's variables, already of the spec's shape
    :param name: of this host
    :param proxies: the hosts of the group ``proxies`` in its order, this one among them
    :param grouped: whether there is such a group with this host in it
    :param status_port: where nginx of this host answers which generation it serves
    :raises Refused: naming ``floating_address_…`` with its place
    """
    router_id = integer("floating_address_router_id", values["floating_address_router_id"], 1, 255)
    present = values["floating_address_state"] == "present"
    given = values[_ADDRESSES] or []
    if present and not given:
        raise Refused(_ADDRESSES, given, "at least one address; floating_address_state: absent takes them away")
    addresses = _addresses(given)
    position, own = next((index, proxy) for index, proxy in enumerate(proxies) if proxy.name == name)
    partners = [proxy for proxy in proxies if proxy.present and proxy.name != name]
    peers = _peers(values[_PEERS], own, partners, grouped) if present else []
    if present:
        _refuse_taken(addresses, own, partners, peers)
        _refuse_different(own, partners)
    return {
        "state": values["floating_address_state"],
        "addresses": [str(address) for address in addresses],
        "interface": _interface(values["floating_address_interface"]),
        "router_id": router_id,
        "peers": peers,
        "peers_path": "groups.proxies" if values[_PEERS] is None else _PEERS,
        # Where somebody chose how the hosts reach each other, the inventory's address of this one may be another.
        "known_as": own.address if values[_PEERS] is None else None,
        "priority": _priority(position, len(proxies)),
        "status_port": integer("nginx_proxy_status_port", status_port, 1, 65535),
    }


def _addresses(given: t.Sequence[str]) -> list[Interface]:
    found: list[Interface] = []
    for index, value in enumerate(given):
        here = f"{_ADDRESSES}[{index}]"
        address = _address(here, value)
        if address.ip in [one.ip for one in found]:
            raise Refused(here, value, "each address once")
        found.append(address)
    return found


def _address(here: str, value: str) -> Interface:
    _bare, slash, prefix = value.partition("/")
    try:
        # A zone (fe80::1%eth0) and a netmask are things that Python takes and keepalived does not.
        if "%" in value or not (slash and prefix.isascii() and prefix.isdigit()):
            raise ValueError
        address = ipaddress.ip_interface(value)
    except ValueError:
        raise Refused(here, value, _WITH_PREFIX) from None
    ip, network = address.ip, address.network
    if ip.is_loopback or ip.is_multicast or ip.is_unspecified or ip.is_link_local or network.prefixlen == 0:
        raise Refused(here, value, f"{_WITH_PREFIX}: an address that a host can have, and others reach")
    ends = [network.network_address, network.broadcast_address] if network.num_addresses > 2 else []
    if ip in (ends if ip.version == 4 else ends[:1]):
        raise Refused(here, value, f"{_WITH_PREFIX}: this one is the network itself, and no host's")
    return address


def _peers(given: t.Sequence[str] | None, own: Proxy, partners: t.Sequence[Proxy], grouped: bool) -> list[str]:
    if given is None:
        if not grouped:
            raise Refused("groups.proxies", None, f"a group of this name with this host in it, or {_PEERS}")
        if not partners:
            accepted = "two hosts or more with these addresses: an address that floats needs another one to go to"
            raise Refused("groups.proxies", [own.name], accepted)
        return [partner.address for partner in partners]
    if not given:
        raise Refused(_PEERS, [], "at least one host, or no such variable for the others of the group proxies")
    for index, value in enumerate(given):
        here = f"{_PEERS}[{index}]"
        if value in given[:index]:
            raise Refused(here, value, "each host once")
        if value in (own.name, own.address):
            raise Refused(here, value, "another host: this one is where the variable holds")
        _host(here, value)
    return list(given)


def _host(here: str, value: str) -> None:
    accepted = "a host name, or an address without a port and brackets"
    try:
        server_address(here, f"[{value}]:1" if ":" in value else f"{value}:1")
    except Refused:
        raise Refused(here, value, accepted) from None


def _refuse_taken(addresses: t.Sequence[Interface], own: Proxy, partners: t.Sequence[Proxy], peers: list[str]) -> None:
    """Refuse an address by which a host is reached: it would go away from under the connection."""
    taken = {peer: peer for peer in peers} | {partner.address: partner.name for partner in partners}
    taken[own.address] = own.name
    for index, address in enumerate(addresses):
        for known, name in taken.items():
            if known == str(address.ip):
                accepted = f"an address that no host has for itself; this one is that of {name}"
                raise Refused(f"{_ADDRESSES}[{index}]", str(address), accepted)


def _refuse_different(own: Proxy, partners: t.Sequence[Proxy]) -> None:
    """Refuse what another host of the group has otherwise: the two would not know each other."""
    for partner in partners:
        for name, value in own.compared.items():
            if partner.compared[name] != value:
                raise Refused(
                    name, value, f"the same on all hosts of the group proxies; {partner.name} has another value"
                )


def _interface(value: str | None) -> str | None:
    if value is not None and (not _INTERFACE.fullmatch(value) or value == "lo"):
        raise Refused("floating_address_interface", value, "the name of a network interface, such as eth0")
    return value


def _priority(position: int, count: int) -> int:
    step = min(_APART, (_HIGHEST - _LOWEST) // count)
    return max(_HIGHEST - position * step, _LOWEST)
