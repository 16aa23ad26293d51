# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts have which applications, and where a proxy on another host reaches them."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.hop_tls import server_name
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.shape import conform
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import in_brackets, integer, server_address

_PREFIX = "gunicorn_app_"
_LIST = "gunicorn_app_applications"
#: All that a proxy has to know. Of two hundred hosts the rest would be minutes of templating.
_KEYS = ("name", "state", "port", "timeout", "health_path", "health_status", "health_body", "port_tls")


class Place(t.NamedTuple):
    """An application on a host. ``address``: without the port, an IPv6 address in brackets; times in seconds.

    ``tls``: what the host's variables say of mutual TLS at the port, in its spec's shape and without the key; None for
    plain HTTP.
    """

    host: str
    address: str
    port: int
    timeout: int
    health_path: str
    health_status: int
    health_body: str | None
    tls: t.Mapping[str, t.Any] | None = None


Fleet = dict[str, list[Place]]


def places_on(
    host: str, get: t.Callable[[str], t.Any], options: t.Mapping[str, t.Any]
) -> t.Iterator[tuple[str, Place]]:
    """Yield each application that is present on a host, by its name.

    :param get: one of the host's variables, None for one that it does not have
    :param options: those of gunicorn_app's argument spec
    :raises Refused: for a value that is not of its spec's shape
    """
    wanted = {name: options[name] for name in (_PREFIX + key for key in _KEYS)}
    general = {name: value for name in wanted if (value := get(name)) is not None}
    listed = get(_LIST)
    address = None
    for entry in [{}] if listed is None else listed:
        # What is no dictionary, or has no name, the host's own check refuses with its place.
        own = {_PREFIX + key: entry[key] for key in _KEYS if key in entry} if isinstance(entry, dict) else {}
        values = conform(wanted, {**general, **own})
        name, state, port, timeout, path, status, body, tls = (values[_PREFIX + key] for key in _KEYS)
        if name is None or state != "present":
            continue
        address = address or address_of(host, get)
        port = integer(f"{_PREFIX}port of {host}", port, 1, 65535)
        known = None if tls is None else {**tls, "key": None, "name": server_name(f"{_PREFIX}port_tls", tls, name)}
        yield name, Place(host, address, port, timeout, path, status, body, known)


def address_of(host: str, get: t.Callable[[str], t.Any]) -> str:
    """Return where the inventory says that proxies reach an application host; see :func:`checked`."""
    stated = get("gunicorn_app_address")
    return in_brackets(str(stated if stated is not None else get("ansible_host") or host))


def checked(place: Place) -> str:
    """Return ``host:port`` of a place on another host.

    :raises Refused: for an address that is none, or that leads every host to itself
    """
    path = f"gunicorn_app_address of {place.host}"
    if is_loopback(place.address):
        raise Refused(path, place.address, "an address by which other hosts reach it")
    return server_address(path, f"{place.address}:{place.port}")


def is_loopback(address: str) -> bool:
    """Return whether an address leads every host to itself."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def is_name(address: str) -> bool:
    """Return whether ``address`` has to be resolved. A network is none."""
    try:
        ipaddress.ip_network(address.strip("[]"), strict=False)
    except ValueError:
        return True
    return False


def lookup(names: t.Iterable[str]) -> str:
    """Return the shell command that resolves ``names`` on a host, for :func:`resolved`; empty where there is none."""
    # Names of the inventory, which server_address has checked: nothing in them has a meaning to the shell.
    words = " ".join(sorted(set(names)))
    if not words:
        return ""
    return f"for name in {words}; do echo address=$name $(getent ahosts $name | cut -d ' ' -f 1 | sort -u); done"


def resolved(text: str) -> dict[str, list[str]]:
    """Read what :func:`lookup` printed, among other lines: the addresses of each name, IPv4 first."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("address="):
            name, *addresses = line.removeprefix("address=").split()
            # Docker's and glibc's own answers hold addresses of the link, which no rule can hold.
            usable = [address for address in addresses if not address.lower().startswith("fe80:")]
            found[name] = sorted(usable, key=lambda address: ":" in address)
    return found
