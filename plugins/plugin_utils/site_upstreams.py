# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who answers for a site or a location: the hosts of an application, or servers of the user's own."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.application import application_name
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import Fleet, Place, checked, is_name
from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import app_socket
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.timeouts import Application
from ansible_collections.asgi.deploy.plugins.plugin_utils.upstream import Server, Upstream, normalise_upstream
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import (
    in_brackets,
    integer,
    same_server,
    server_address,
)

#: Towards other hosts. Less than the three seconds for which a slot that ends leaves idle connections open: otherwise
#: a POST would meet one that is just being closed.
_KEEPALIVE = "2s"
#: A host whose packets are dropped costs one request a second, once in five; nginx's own values cost ten of sixty.
_PATIENCE = {"max_fails": 1, "fail_timeout": "5s"}


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What the inventory says of a proxy besides the role's own variables.

    ``host``: its name in the inventory. ``fleet``: the hosts of each application, None where nothing is known of them.
    ``addresses``: the addresses of a group's hosts, None where there is no such group. ``own_ports``: where nginx
    itself listens. ``has_identity``: whether the proxy has certificates for mutual TLS.
    """

    host: str | None = None
    fleet: Fleet | None = None
    addresses: t.Callable[[str], list[str] | None] = lambda group: None
    own_ports: tuple[int, ...] = ()
    has_identity: bool = False

    @functools.cached_property
    def applications(self) -> dict[str, Application]:
        """What nginx has to know of each application."""
        return {
            name: Application(
                name, places[0].timeout, places[0].health_path, any(place.host != self.host for place in places)
            )
            for name, places in (self.fleet or {}).items()
        }


def site_upstream(
    rules: t.Mapping[str, t.Any], path: str, name: str, blocks: dict[str, Upstream], around: Surroundings
) -> str | None:
    """Note the upstream block that ``app`` and ``upstream`` ask for, and return its name; None for neither."""
    app, upstream = rules["app"], rules["upstream"]
    if app is not None and upstream is not None:
        raise Refused(path, ["app", "upstream"], "one of app and upstream")
    if app is None and upstream is None:
        return None
    if upstream is not None:
        if "name" in upstream:
            raise Refused(f"{path}.upstream.name", upstream["name"], "no name here: the site's own is used")
        servers = _servers_of_group(upstream, f"{path}.upstream", around)
        block = normalise_upstream({**servers, "name": name}, f"{path}.upstream")
        _refuse_itself(block["servers"], f"{path}.upstream.servers", around.own_ports)
    else:
        block = _of_application(app, f"{path}.app", name, around)
    blocks[name] = block
    return name


def is_here(server: Server) -> bool:
    """Return whether a server is on the host of nginx itself, whose CPUs it then shares."""
    return same_server(server["address"]).startswith(("unix:", "127.", "[::1]:", "localhost:"))


def names_of(blocks: t.Iterable[Upstream]) -> list[str]:
    """Return the names of application hosts, which nginx gets the addresses of: a name server that is down must not
    keep it from starting."""
    hosts = (_host(server) for block in blocks if block.get("fleet") for server in block["servers"])
    return sorted({host for host in hosts if host and is_name(host)})


def with_addresses(block: Upstream, addresses: t.Mapping[str, t.Sequence[str]]) -> Upstream:
    """Return the block of an application with addresses in place of names.

    :param addresses: those of each name
    :raises Refused: naming a host without one
    """
    if not block.get("fleet"):
        return block
    return t.cast("Upstream", {**block, "servers": [_addressed(server, addresses) for server in block["servers"]]})


def _addressed(server: Server, addresses: t.Mapping[str, t.Sequence[str]]) -> Server:
    host = _host(server)
    if not host or not is_name(host):
        return server
    if not addresses.get(host):
        raise Refused("gunicorn_app_address", host, "a name that this proxy can resolve, or an address")
    port = server["address"].rpartition(":")[2]
    return {**server, "address": f"{in_brackets(addresses[host][0])}:{port}"}


def _host(server: Server) -> str | None:
    address = server["address"]
    return None if address.startswith("unix:") else address.rpartition(":")[0]


def _of_application(app: str, path: str, name: str, around: Surroundings) -> Upstream:
    application_name(path, app)
    if around.fleet is None:
        return normalise_upstream({"name": name, "servers": [_here(app)]}, path)
    places = around.fleet.get(app, [])
    if not places:
        # nginx would load, and answer every request with 502.
        known = " or ".join(around.fleet)
        there = f"{known}, the applications there are" if known else "an application that a host of the group apps has"
        raise Refused(path, app, f"{there}, or an upstream")
    if all(place.host == around.host for place in places):
        return normalise_upstream({"name": name, "servers": [_here(app)]}, path)
    tls = _server_name(app, places, around)
    # With TLS its own is reached as the others are: nginx has one scheme for all servers of an upstream.
    servers = [_here(app) if place.host == around.host and tls is None else _elsewhere(place) for place in places]
    _refuse_one_address(places)
    block = normalise_upstream({"name": name, "servers": servers, "keepalive_timeout": _KEEPALIVE}, path)
    block["fleet"] = {"app": app, "hosts": [place.host for place in places]}
    if tls is not None:
        block["tls"] = tls
    return block


def _server_name(app: str, places: t.Sequence[Place], around: Surroundings) -> str | None:
    """Return the name in the certificates of an application's hosts, None where they are reached by plain HTTP."""
    first, *others = places
    name = first.tls["name"] if first.tls else None
    for place in others:
        other = place.tls["name"] if place.tls else None
        if other != name:
            said = f"the name {name} as on {first.host}" if name else f"no value, as on {first.host}"
            accepted = f"{said}: the hosts of an application are reached in one way"
            raise Refused(f"gunicorn_app_port_tls of {place.host}", other, accepted)
    if name is not None and not around.has_identity:
        accepted = f"ca, certificate and key, for {first.host} lets nobody in to {app} without (gunicorn_app_port_tls)"
        raise Refused("nginx_proxy_app_tls", None, accepted)
    return t.cast("str | None", name)


def _refuse_one_address(places: t.Sequence[Place]) -> None:
    seen: dict[str, str] = {}
    for place in places:
        other = seen.setdefault(f"{place.address.lower()}:{place.port}", place.host)
        if other != place.host:
            raise Refused(f"gunicorn_app_address of {place.host}", place.address, f"another one than that of {other}")


def _here(app: str) -> str:
    return f"unix:{app_socket(app)}"


def _elsewhere(place: Place) -> dict[str, t.Any]:
    return {"address": checked(place), **_PATIENCE}


def _refuse_itself(servers: t.Sequence[Server], path: str, ports: t.Sequence[int]) -> None:
    """Refuse this very nginx as a server: requests would go round, or strangers would read its status."""
    own = {same_server(f"{host}:{port}") for host in ("127.0.0.1", "localhost", "[::1]") for port in ports}
    for index, server in enumerate(servers):
        if same_server(server["address"]) in own:
            raise Refused(f"{path}[{index}]", server["address"], "another server than this nginx itself")


def _servers_of_group(upstream: t.Mapping[str, t.Any], path: str, around: Surroundings) -> dict[str, t.Any]:
    """Return the upstream with ``servers`` in place of ``group`` and ``port``."""
    if "group" not in upstream:
        if "port" in upstream:
            raise Refused(f"{path}.port", upstream["port"], "a port together with group only")
        return dict(upstream)
    if "servers" in upstream:
        raise Refused(path, ["group", "servers"], "one of group and servers")
    group = upstream["group"]
    addresses = around.addresses(group) if isinstance(group, str) else None
    if not addresses:
        raise Refused(f"{path}.group", group, "an inventory group with at least one host")
    port = integer(f"{path}.port", upstream.get("port"), 1, 65535)
    rest = {key: value for key, value in upstream.items() if key not in ("group", "port")}
    servers: dict[str, None] = {}
    for address in addresses:
        # At the place that the user wrote: there is no list of servers in the inventory.
        server = server_address(f"{path}.group", f"{address}:{port}")
        if same_server(server) in servers:
            raise Refused(f"{path}.group", server, "a group whose hosts have an address each")
        servers[same_server(server)] = None
    return {**rest, "servers": [f"{address}:{port}" for address in addresses]}
