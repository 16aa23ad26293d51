# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a floating address needs of its host: what the host is asked first, and the files that come of the answers."""

from __future__ import annotations

import ipaddress
import re
import shlex
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.host_library import FOLDER
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

Structure = t.Mapping[str, t.Any]
Render = t.Callable[..., str]

ROLE = "floating_address"
CONFIG = "/etc/keepalived/keepalived.conf"
CHECK_PROGRAM = f"{FOLDER}/nginx_answers"
DROP_IN = "/etc/systemd/system/keepalived.service.d/asgi-deploy.conf"

_VERSIONS = (4, 6)


class HostNetwork(t.NamedTuple):
    """What the host has said.

    ``resolved``: the addresses of each name, those of IPv4 and those of IPv6. ``sources``: the address that the host
    itself has on the way to another one. ``own``: all that it has.
    """

    default_interface: str | None
    interfaces: tuple[str, ...]
    own: frozenset[str]
    resolved: t.Mapping[str, tuple[str, ...]]
    sources: t.Mapping[str, str]


def probe(structure: Structure) -> str:
    """Return a shell command whose output :func:`host_network` reads: one trip for all that depends on the host."""
    names = [*structure["peers"], *([structure["known_as"]] if structure["known_as"] else [])]
    words = " ".join(shlex.quote(name) for name in dict.fromkeys(names))
    return (
        "export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin; "
        "{ ip -o -4 route show default; ip -o -6 route show default; } 2>/dev/null | sed 's/^/route /'; "
        "ip -o link show | sed 's/^/link /'; ip -o addr show | sed 's/^/address /'; "
        f"for name in {words}; do "
        'for found in $(getent ahosts "$name" | awk \'$2 == "STREAM" {print $1}\'); do '
        'echo "name $name $found"; echo "source $found $(ip -o route get "$found" 2>/dev/null)"; '
        "done; done"
    )


def host_network(text: str) -> HostNetwork:
    """Read what :func:`probe` printed."""
    routes = re.findall(r"^route default.* dev (\S+)", text, re.MULTILINE)
    resolved: dict[str, list[str]] = {}
    for name, address in re.findall(r"^name (\S+) (\S+)$", text, re.MULTILINE):
        # A link-local address says nothing without its interface.
        if "%" not in address:
            resolved.setdefault(name, []).append(address)
    return HostNetwork(
        default_interface=routes[0] if routes else None,
        # Of a pair the name is followed by that of the other end: eth0@if12.
        interfaces=tuple(re.findall(r"^link \d+: ([^:@\s]+)", text, re.MULTILINE)),
        own=frozenset(re.findall(r"^address \d+: \S+\s+inet6? ([0-9a-f.:]+)", text, re.MULTILINE)),
        resolved={name: tuple(dict.fromkeys(found)) for name, found in resolved.items()},
        sources=dict(re.findall(r"^source (\S+) .*\bsrc (\S+)", text, re.MULTILINE)),
    )


def files(structure: Structure, network: HostNetwork, render: Render) -> dict[str, dict[str, str]]:
    """Return keepalived's files, absolute path to ``text`` and ``mode``.

    :raises Refused: where the host's network does not fit the variables
    """
    _refuse_taken(structure, network)
    version = _version(structure, network)
    peers = [_of_version(network.resolved[peer], version)[0] for peer in structure["peers"]]
    known = {
        **structure,
        "interface": _interface(structure["interface"], network),
        "peers": peers,
        "source": _source(structure, network, version, peers[0]),
        "check_program": CHECK_PROGRAM,
        "addresses": [_written(address) for address in structure["addresses"] if _of(address) == version],
        "other_addresses": [_written(address) for address in structure["addresses"] if _of(address) != version],
    }
    return {
        # First: keepalived's test of the other one looks whether this one can be run.
        CHECK_PROGRAM: {"text": render("nginx_answers.j2"), "mode": "0755"},
        DROP_IN: {"text": render("keepalived.service.j2"), "mode": "0644"},
        CONFIG: {"text": render("keepalived.conf.j2", **known), "mode": "0644"},
    }


def _refuse_taken(structure: Structure, network: HostNetwork) -> None:
    """Refuse an address that another proxy has for itself, whatever name the inventory reaches it by."""
    for index, address in enumerate(structure["addresses"]):
        for peer in structure["peers"]:
            if address.partition("/")[0] in network.resolved.get(peer, ()):
                accepted = f"an address that no host has for itself; this one is that of {peer}"
                raise Refused(f"floating_address_addresses[{index}]", address, accepted)


def _interface(given: str | None, network: HostNetwork) -> str:
    found = given or network.default_interface
    if found is None:
        raise Refused("floating_address_interface", None, "a network interface: this host has no default route")
    if found not in network.interfaces:
        names = ", ".join(name for name in network.interfaces if name != "lo")
        raise Refused("floating_address_interface", found, f"an interface that the host has: {names}")
    return found


def _version(structure: Structure, network: HostNetwork) -> int:
    """Return over which protocol the hosts talk: one that all of them have, and one of the addresses too."""
    for peer in structure["peers"]:
        if not network.resolved.get(peer):
            raise Refused(structure["peers_path"], peer, "hosts whose names this host can resolve, or addresses")
    wanted = {_of(address) for address in structure["addresses"]}
    for version in _VERSIONS:
        if version in wanted and all(_of_version(network.resolved[peer], version) for peer in structure["peers"]):
            return version
    kind = " and ".join(f"IPv{version}" for version in sorted(wanted))
    raise Refused(
        structure["peers_path"], structure["peers"], f"hosts that reach each other over {kind}, as the address"
    )


def _source(structure: Structure, network: HostNetwork, version: int, peer: str) -> str:
    """Return this host's address as the others know it: they believe no other."""
    known = _of_version(network.resolved.get(structure["known_as"] or "", ()), version)
    own = next((address for address in known if address in network.own), None)
    found = own or network.sources.get(peer)
    if found is None:
        raise Refused(structure["peers_path"], peer, "hosts that this host has a route to")
    return found


def _of_version(addresses: t.Iterable[str], version: int) -> list[str]:
    found = [ipaddress.ip_address(address) for address in addresses]
    # In the same order each time: a name server has them in another one.
    return [str(address) for address in sorted(one for one in found if one.version == version and not one.is_loopback)]


def _of(address: str) -> int:
    return ipaddress.ip_interface(address).version


def _written(address: str) -> str:
    # An address that may go at any moment is no good one to begin connections from; of IPv4 the first one is taken.
    return f"{address} preferred_lft 0" if _of(address) == 6 else address


def holders_problem(
    results: t.Mapping[str, t.Mapping[str, t.Any]], addresses: t.Sequence[str], proxies: t.Sequence[str]
) -> str | None:
    """Return what is wrong with who has the addresses, or None.

    :param results: what the module has said on each host of the play: ``held``, or ``failed``
    :param addresses: those that one host is to have
    :param proxies: all hosts that may have them; where the play has not all, one of the others may
    """
    failed = sorted(name for name, result in results.items() if result.get("failed"))
    if failed:
        return f"{' and '.join(failed)} could not take the configuration, and all proxies need the same"
    # Of a host that could not be reached nothing is known.
    held = {name: result["held"] for name, result in results.items() if "held" in result}
    for address in addresses:
        bare = address.partition("/")[0]
        holders = sorted(name for name, found in held.items() if bare in found)
        if len(holders) > 1:
            return (
                f"{bare} is held by {' and '.join(holders)} at once: they do not hear each other. VRRP (IP protocol "
                "112) has to pass between the proxies, within one network, from and to the addresses in "
                f"{CONFIG} on each"
            )
        if not holders and proxies and set(proxies) <= set(held):
            return f"{bare} is held by none of {', '.join(sorted(held))}"
    return None
