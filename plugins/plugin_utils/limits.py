# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of requests and connections: the user's list checked, and each given its memory zone."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.headers import variable_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.networks import networks
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import integer

_RATE = re.compile(r"([1-9][0-9]{0,6})r/([sm])")

#: Who is counted, as http/limits.conf names it. The header's name is added to the last.
_KEYS = {
    "address": "$client_network",
    "site": "$server_name",
    "certificate": "$client_certificate",
    "header": "$client_header_",
}


class Place(t.NamedTuple):
    """Whose limits these are. ``zone`` names their memory: a site's slug, or with ``__`` a location's."""

    path: str
    zone: str
    mutual_tls: bool
    trusted_headers: t.Sequence[str]


def limits(items: t.Sequence[t.Mapping[str, t.Any]], place: Place) -> list[dict[str, t.Any]]:
    """Return each limit as ``zone``, ``key``, ``counted``, ``exempt``, ``rate``, ``dry_run``, ``directive``, ``pause``.

    ``pause`` are the seconds after which a refused client may come again.

    A zone is named by all that decides about its key: nginx accepts another key for an existing zone, says so in
    its error log only, and goes on with the configuration it had.

    :raises Refused: for what nginx would misunderstand in silence
    """
    found: list[dict[str, t.Any]] = []
    for index, item in enumerate(items):
        path = f"{place.path}[{index}]"
        limit = _limit(item, path, place)
        if any(limit["zone"] == other["zone"] for other in found):
            raise Refused(path, item["rate"] or item["connections"], "each limit once")
        if item["dry_run"] != items[0]["dry_run"]:
            accepted = "the same for all limits of a list: nginx knows it for a whole location only"
            raise Refused(f"{path}.dry_run", item["dry_run"], accepted)
        found.append(limit)
    return found


def _limit(item: t.Mapping[str, t.Any], path: str, place: Place) -> dict[str, t.Any]:
    rate, connections = item["rate"], item["connections"]
    if (rate is None) == (connections is None):
        raise Refused(path, [key for key in ("rate", "connections") if item[key] is not None], "one of the two")
    counted, key_name = _key(item, path, place)
    exempt = networks(f"{path}.exempt", item["exempt"], "then nobody is counted")
    zone = "__".join([place.zone, _counted(item, path), key_name, *(["exempt"] if exempt else [])])
    return {
        "zone": zone,
        "key": f"$limited__{zone}" if exempt else counted,
        "counted": counted,
        "exempt": exempt,
        "rate": rate,
        "dry_run": item["dry_run"],
        "directive": _rate_directive(item, path, zone) if rate is not None else f"limit_conn {zone} {connections};",
        "pause": _pause(rate),
    }


def _counted(item: t.Mapping[str, t.Any], path: str) -> str:
    """Return the part of a zone's name that says what is counted."""
    if item["rate"] is None:
        integer(f"{path}.connections", item["connections"], 1, 65_535)
        for key, nothing in (("burst", 0), ("delay", None)):
            if item[key] != nothing:
                raise Refused(f"{path}.{key}", item[key], f"no {key} with connections")
        return "connections"
    if not _RATE.fullmatch(item["rate"]):
        raise Refused(f"{path}.rate", item["rate"], "a rate above zero with its unit, such as 10r/s or 30r/m")
    return str(item["rate"]).replace("/", "_")


def _rate_directive(item: t.Mapping[str, t.Any], path: str, zone: str) -> str:
    burst = integer(f"{path}.burst", item["burst"], 0, 1_000_000)
    words = [f"limit_req zone={zone}", *([f"burst={burst}"] if burst else [])]
    if item["delay"] is None:
        return " ".join([*words, *(["nodelay"] if burst else [])]) + ";"
    delay = integer(f"{path}.delay", item["delay"], 0)
    if delay > burst:
        raise Refused(f"{path}.delay", delay, f"at most the burst, {burst}")
    return " ".join([*words, *([f"delay={delay}"] if delay else [])]) + ";"


def _key(item: t.Mapping[str, t.Any], path: str, place: Place) -> tuple[str, str]:
    """Return nginx's variable for the key, and its part of the zone's name."""
    key, header = item["key"], item["header"]
    if key != "header":
        if header is not None:
            raise Refused(f"{path}.header", header, "no header unless key is header")
        if key == "certificate" and not place.mutual_tls:
            raise Refused(f"{path}.key", key, "this key where the site has tls.client_ca")
        return _KEYS[key], key
    known = {name.lower() for name in place.trusted_headers}
    if header is None or header.lower() not in known:
        # A client would choose a new value for each request, and never be limited.
        accepted = "a header of nginx_proxy_client_address.headers, which trusted proxies set on each request"
        raise Refused(f"{path}.header", header, accepted)
    return _KEYS["header"] + variable_of(header), f"header_{variable_of(header)}"


def _pause(rate: str | None) -> int:
    """Return the seconds after which another request fits: the Retry-After of a refusal."""
    match = _RATE.fullmatch(rate) if rate else None
    if match is None:
        return 1
    period = 1 if match[2] == "s" else 60
    return -(-period // int(match[1]))
