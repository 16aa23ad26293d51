# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which texts are networks that nginx may trust, let in, keep out or leave uncounted."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

_ACCEPTED = "an address or a network such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def networks(path: str, values: t.Sequence[t.Any], everything: str | None = None) -> list[str]:
    """Return networks as nginx writes them, in the order given.

    :param path: the list's place, for the refusal
    :param everything: why a network that holds every address is refused here; None where it is not
    :raises Refused: for a network with host bits set (nginx would silently mask them away), or one that comes twice
    """
    seen: dict[str, str] = {}
    for index, value in enumerate(values):
        here = f"{path}[{index}]"
        text = _network(here, value)
        if everything is not None and text in ("0.0.0.0/0", "::/0"):
            raise Refused(here, value, f"a network that is not everybody: {everything}")
        if text in seen:
            raise Refused(here, value, f"each network once; {seen[text]} is the same one")
        seen[text] = here
    if everything is not None:
        _not_everybody(path, list(seen), everything)
    return list(seen)


def _not_everybody(path: str, found: t.Sequence[str], everything: str) -> None:
    """Refuse two halves that make a whole."""
    ipv4 = [ipaddress.IPv4Network(text) for text in found if ":" not in text]
    ipv6 = [ipaddress.IPv6Network(text) for text in found if ":" in text]
    wholes = [str(network) for network in ipaddress.collapse_addresses(ipv4)]
    wholes += [str(network) for network in ipaddress.collapse_addresses(ipv6)]
    if {"0.0.0.0/0", "::/0"} & set(wholes):
        raise Refused(path, list(found), f"networks that are not everybody together: {everything}")


def _network(path: str, value: t.Any) -> str:
    if not isinstance(value, str) or "%" in value:
        raise Refused(path, value, _ACCEPTED)
    address, slash, prefix = value.partition("/")
    try:
        # A netmask (10.0.0.0/255.0.0.0) is something that Python takes and nginx does not.
        if slash and not (prefix.isascii() and prefix.isdigit()):
            raise ValueError
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise Refused(path, value, _ACCEPTED) from None
    if network.network_address != ipaddress.ip_address(address):
        raise Refused(path, value, f"a network without host bits, {network}")
    if network.version == 6 and network.subnet_of(_MAPPED):
        # nginx looks such a client up by its IPv4 address, and would never find it here.
        raise Refused(path, value, f"{_ACCEPTED}; an IPv4 address in its own form")
    # 10.0.0.1 and 10.0.0.1/32 are one to nginx, which warns of the second.
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
