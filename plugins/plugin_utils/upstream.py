# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One nginx ``upstream`` block: the user's dictionary made complete and checked, then printed.

What nginx 1.22.1 and 1.26.3 (Debian 12 and 13) load without a warning, measured with ``nginx -t``.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils import values
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

#: At least the concurrency one worker sees: with none, or with 8, a third of the requests/s is lost.
KEEPALIVE = 64
#: Must stay below the application server's own keep-alive, or a POST meets a connection that just closed.
KEEPALIVE_TIMEOUT = "60s"
#: nginx's own default: on the way to the application a fresh connection every 1000 requests costs nothing.
KEEPALIVE_REQUESTS = 1000
#: nginx needs 8 pages for a zone, and reads no "g" there.
ZONE_SIZE_MINIMUM = "32k"
ZONE_SIZE_MAXIMUM = "1024m"

METHODS = ("round_robin", "least_conn", "ip_hash", "hash", "random")
_METHODS_WITH_BACKUP = ("round_robin", "least_conn")
_METHOD_OPTIONS = {"hash_key": "hash", "consistent": "hash", "two": "random"}

_COMMERCIAL = "nothing of that name: it is commercial only, nginx as Debian packages it does not load it"
_COMMERCIAL_METHODS = ("least_time", "sticky", "ntlm", "queue", "state")
_COMMERCIAL_KEYS = dict.fromkeys((*_COMMERCIAL_METHODS, "health_check"), _COMMERCIAL)
_COMMERCIAL_SERVER_KEYS = dict.fromkeys(("slow_start", "route", "resolve", "service", "drain"), _COMMERCIAL)

_KEYS = (
    "name",
    "servers",
    "method",
    *_METHOD_OPTIONS,
    "keepalive",
    "keepalive_timeout",
    "keepalive_requests",
    "zone_size",
)
_SERVER_KEYS = ("address", "weight", "max_fails", "fail_timeout", "max_conns", "backup", "down")

# A letter is required: an upstream named 127.0.0.1 or 8000 would shadow that address in proxy_pass.
_NAME = re.compile(r"(?=.*[A-Za-z_])[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# The possessive *+ keeps a long hostile key from being tried in every possible division.
_HASH_KEY = re.compile(
    r"(?=.*\$)(?=.{1,256}\Z)(?:\$[A-Za-z_][A-Za-z0-9_]*+|\$\{[A-Za-z_][A-Za-z0-9_]*\}|(?![#$;{}\"'`\\])[!-~])+"
)

#: ``hash … consistent`` builds 160 points per weight: a total of 65,536 already stops a reload for 5 s.
_CONSISTENT_WEIGHT = 10_000
#: nginx allocates about 150 bytes for each connection it may keep, at the start.
_KEEPALIVE_LARGEST = 1_000_000

# nginx stops when the servers do not fit their zone: 32k hold 16, 64k 53 to 63, 256k 272 to 312. A name may
# stand for several addresses, so the default leaves room; a stated size is refused where it never suffices.
_ZONE_STEP = 64
_ZONE_STEP_SERVERS = 30
_ZONE_FIRST_SERVERS = 16
_ZONE_MOST_SERVERS_PER_K = 2


class Hosts(t.TypedDict):
    """The hosts of an application, in the order of the servers, by their names in the inventory."""

    app: str
    hosts: list[str]


class Server(t.TypedDict, total=False):
    """One server; ``address``, ``backup`` and ``down`` are always there, the rest where it was stated."""

    address: t.Required[str]
    weight: int
    max_fails: int
    fail_timeout: str
    max_conns: int
    backup: t.Required[bool]
    down: t.Required[bool]


class Upstream(t.TypedDict, total=False):
    """A complete upstream; ``hash_key``, ``consistent`` and ``two`` only where the method has them."""

    name: t.Required[str]
    servers: t.Required[list[Server]]
    method: t.Required[str]
    hash_key: str
    consistent: bool
    two: bool
    keepalive: t.Required[int]
    keepalive_timeout: t.Required[str]
    keepalive_requests: t.Required[int]
    zone_size: t.Required[str]
    #: Where the servers are the hosts of an application and not all of them this one, see site_upstreams.py.
    fleet: Hosts
    #: The name in their certificates, where they are reached by mutual TLS.
    tls: str


def normalise_upstream(value: t.Any, path: str = "") -> Upstream:
    """Check an upstream and give it its defaults; what comes out goes in again unchanged.

    :param value: the user's dictionary
    :param path: where it stands in the inventory (``nginx_proxy_sites[0].upstream``); empty for the filter
    :raises Refused: for everything that nginx refuses, or accepts in silence and does harm with
    """
    given = values.mapping(path or "upstream", value, "a dictionary with name and servers")
    values.known_keys(path, given, _KEYS, _COMMERCIAL_KEYS)
    name = upstream_name(values.field(path, "name"), given.get("name"))
    method = _method(values.field(path, "method"), given.get("method", "round_robin"))
    servers = _servers(values.field(path, "servers"), given.get("servers"), method)
    zone_size = given.get("zone_size", default_zone_size(len(servers)))
    upstream: Upstream = {
        "name": name,
        "servers": servers,
        "method": method,
        "keepalive": values.integer(
            values.field(path, "keepalive"), given.get("keepalive", KEEPALIVE), 1, _KEEPALIVE_LARGEST
        ),
        "keepalive_timeout": values.duration(
            values.field(path, "keepalive_timeout"), given.get("keepalive_timeout", KEEPALIVE_TIMEOUT)
        ),
        "keepalive_requests": values.integer(
            values.field(path, "keepalive_requests"), given.get("keepalive_requests", KEEPALIVE_REQUESTS), 1
        ),
        "zone_size": _zone_size(values.field(path, "zone_size"), zone_size, len(servers)),
    }
    for key, owner in _METHOD_OPTIONS.items():
        if key in given and method != owner:
            raise Refused(values.field(path, key), given[key], f"this key with the method {owner} only")
    if method == "hash":
        upstream["hash_key"] = _hash_key(values.field(path, "hash_key"), given.get("hash_key"))
        consistent = values.boolean(values.field(path, "consistent"), given.get("consistent", False))
        upstream["consistent"] = consistent
        if consistent:
            _consistent_weight(values.field(path, "servers"), servers)
    if method == "random":
        upstream["two"] = values.boolean(values.field(path, "two"), given.get("two", False))
    return upstream


def render_upstream(upstream: Upstream) -> str:
    """Return the text of an upstream that :func:`normalise_upstream` returned.

    The method stands before the servers, whose parameters nginx checks against it, and before ``keepalive``,
    which wraps it: the other way round nginx warns, and keeps no connection.
    """
    return _block(upstream, [f"server {' '.join(_server_words(server))};" for server in upstream["servers"]])


def render_fleet(upstream: Upstream) -> str:
    """Return the same of an application's hosts, each line with its host's name: health checks read that."""
    named = zip(upstream["servers"], upstream["fleet"]["hosts"], strict=True)
    return _block(upstream, [f"server {' '.join(_server_words(server))}; # {host}" for server, host in named])


def _block(upstream: Upstream, servers: list[str]) -> str:
    lines = [f"zone {zone_name(upstream['name'])} {upstream['zone_size']};"]
    method = _method_directive(upstream)
    if method:
        lines.append(method)
    lines += servers
    lines += [
        f"keepalive {upstream['keepalive']};",
        f"keepalive_timeout {upstream['keepalive_timeout']};",
        f"keepalive_requests {upstream['keepalive_requests']};",
    ]
    return "".join([f"upstream {upstream['name']} {{\n", *(f"    {line}\n" for line in lines), "}\n"])


def zone_name(name: str) -> str:
    """Return the memory zone of the upstream ``name``; the prefix keeps it apart from limits and caches."""
    return f"upstream_{name}"


def default_zone_size(servers: int) -> str:
    """Return 64k, or for many servers as many times 64k as they need."""
    return f"{_ZONE_STEP * max(1, -(-servers // _ZONE_STEP_SERVERS))}k"


def upstream_name(path: str, value: t.Any) -> str:
    """Return an upstream's name: what follows ``http://`` in ``proxy_pass`` and can mean nothing else."""
    accepted = "a name of at most 128 letters, digits, _, . and -, beginning with a letter, a digit or _"
    name = values.text(path, value, accepted)
    if not _NAME.fullmatch(name):
        raise Refused(path, value, f"{accepted}, not digits and dots alone")
    return name


def _method(path: str, value: t.Any) -> str:
    # "least_time header" is how nginx's documentation writes it.
    word = (value.split() or [""])[0] if isinstance(value, str) else ""
    if word in _COMMERCIAL_METHODS:
        raise Refused(path, value, f"one of {', '.join(METHODS)}; {word} is commercial only")
    return values.choice(path, value, METHODS)


def _hash_key(path: str, value: t.Any) -> str:
    accepted = (
        "a text with at least one nginx variable, such as $request_uri, $binary_remote_addr or "
        "${cookie_session}, without white space, quotes, backslashes or any of ;{}#"
    )
    key = values.text(path, value, accepted)
    # Without a variable every request has the same key, and one server gets them all.
    if not _HASH_KEY.fullmatch(key):
        raise Refused(path, value, accepted)
    return key


def _servers(path: str, value: t.Any, method: str) -> list[Server]:
    given = values.sequence(path, value, "a list of at least one server")
    if not given:
        raise Refused(path, value, "a list of at least one server")
    servers: list[Server] = []
    seen: dict[str, str] = {}
    for index, entry in enumerate(given):
        here = values.item(path, index)
        server = _server(here, entry, method)
        identity = values.same_server(server["address"])
        if identity in seen:
            raise Refused(here, server["address"], f"each server once; {seen[identity]} is the same one")
        seen[identity] = here
        servers.append(server)
    if all(server["backup"] for server in servers):
        raise Refused(path, value, "at least one server that is not backup")
    if all(server["down"] for server in servers):
        raise Refused(path, value, "at least one server that is not down")
    return servers


def _server(path: str, value: t.Any, method: str) -> Server:
    if isinstance(value, str):
        return {"address": values.server_address(path, value), "backup": False, "down": False}
    given = values.mapping(path, value, "host:port, [IPv6 address]:port, unix:/absolute/path or a dictionary")
    values.known_keys(path, given, _SERVER_KEYS, _COMMERCIAL_SERVER_KEYS)
    server: Server = {
        "address": values.server_address(values.field(path, "address"), given.get("address")),
        "backup": values.boolean(values.field(path, "backup"), given.get("backup", False)),
        "down": values.boolean(values.field(path, "down"), given.get("down", False)),
    }
    if "weight" in given:
        server["weight"] = values.integer(values.field(path, "weight"), given["weight"], 1)
    if "max_fails" in given:
        server["max_fails"] = values.integer(values.field(path, "max_fails"), given["max_fails"])
    if "fail_timeout" in given:
        server["fail_timeout"] = values.duration(
            values.field(path, "fail_timeout"), given["fail_timeout"], milliseconds=False
        )
    if "max_conns" in given:
        server["max_conns"] = values.integer(values.field(path, "max_conns"), given["max_conns"])
    if server["backup"] and method not in _METHODS_WITH_BACKUP:
        methods = " and ".join(_METHODS_WITH_BACKUP)
        raise Refused(values.field(path, "backup"), True, f"backup with the methods {methods} only")
    return server


def _consistent_weight(path: str, servers: list[Server]) -> None:
    total = sum(server.get("weight", 1) for server in servers)
    if total > _CONSISTENT_WEIGHT:
        accepted = f"weights that add up to at most {_CONSISTENT_WEIGHT} with a consistent hash"
        raise Refused(path, f"weights of {total}", accepted)


def _zone_size(path: str, value: t.Any, servers: int) -> str:
    needed = ZONE_SIZE_MINIMUM
    if servers > _ZONE_FIRST_SERVERS:
        more = -(-(servers - _ZONE_FIRST_SERVERS) // _ZONE_MOST_SERVERS_PER_K)
        needed = f"{values.size_bytes(needed) // 1024 + more}k"
    return values.size(path, value, units="km", minimum=needed, maximum=ZONE_SIZE_MAXIMUM)


def _method_directive(upstream: Upstream) -> str:
    method = upstream["method"]
    if method == "hash":
        return f"hash {upstream['hash_key']}{' consistent' if upstream['consistent'] else ''};"
    if method == "random":
        return "random two least_conn;" if upstream["two"] else "random;"
    return "" if method == "round_robin" else f"{method};"


def _server_words(server: Server) -> list[str]:
    words = [server["address"]]
    if "weight" in server:
        words.append(f"weight={server['weight']}")
    if "max_fails" in server:
        words.append(f"max_fails={server['max_fails']}")
    if "fail_timeout" in server:
        words.append(f"fail_timeout={server['fail_timeout']}")
    if "max_conns" in server:
        words.append(f"max_conns={server['max_conns']}")
    words += [flag for flag in ("backup", "down") if server[flag]]
    return words
