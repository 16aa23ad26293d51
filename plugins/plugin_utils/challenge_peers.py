# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a proxy asks the other ones for a challenge that a CA has put to it."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import is_loopback, is_name
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import in_brackets, server_address

Addresses = t.Mapping[str, t.Sequence[str]]


def names_of(hosts: t.Iterable[str]) -> list[str]:
    """Return those of the hosts that have to be resolved, and can be: an alias of ssh's may be any word."""
    return [host for host in hosts if is_name(host) and _is_valid(host)]


def peers_of(hosts: t.Iterable[str], addresses: Addresses) -> dict[str, str]:
    """Return the address of each host that has one, as it stands before a port.

    nginx would not start with a name that has no address. The loopback is no other host.

    :param hosts: as the inventory reaches them
    :param addresses: of the names among them
    """
    found = {}
    for host in hosts:
        known = addresses.get(host, ()) if is_name(host) else [host]
        usable = [address for address in known if not is_loopback(address)]
        if usable and _is_valid(usable[0]):
            found[host] = in_brackets(usable[0])
    return found


def _is_valid(host: str) -> bool:
    try:
        server_address("host", f"{in_brackets(host)}:80")
    except Refused:
        return False
    return True
