# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locations of a site: what each says itself, and what it takes from its site."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.access import access, methods
from ansible_collections.asgi.deploy.plugins.plugin_utils.headers import security_headers
from ansible_collections.asgi.deploy.plugins.plugin_utils.limits import Place, limits
from ansible_collections.asgi.deploy.plugins.plugin_utils.nginx_text import raw_directives
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.static_files import static_folder
from ansible_collections.asgi.deploy.plugins.plugin_utils.timeouts import Application, check_chain
from ansible_collections.asgi.deploy.plugins.plugin_utils.url_paths import SITE, literally, slugs, url_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import UNLIMITED, duration, duration_ms, size

#: Between two messages of a WebSocket or two events: the application's pings come far more often.
_IDLE = "1h"

#: To an upstream that may be far away; and to the hosts of an application, where the next one is tried after it.
_CONNECT = "5s"
_CONNECT_REMOTE = "1s"

Rules = t.Mapping[str, t.Any]


class Site(t.NamedTuple):
    """What a location has to know of its site. ``given`` is the user's, of the spec's shape."""

    given: Rules
    path: str
    name: str
    slug: str
    tls: Rules
    hsts: str | None
    trusted_headers: t.Sequence[str]
    applications: t.Mapping[str, Application]
    #: Returns the name of the upstream block of ``app`` and ``upstream`` at a path, None where neither is said.
    upstream: t.Callable[[Rules, str, str], str | None]


def site_locations(site: Site) -> tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]:
    """Return the proxied locations and the static ones, complete; ``/`` is among them.

    :raises Refused: for two rules of one path, or a location that nothing answers
    """
    given = site.given
    _check_site(site)
    statics = list(given["static"])
    located = list(given["locations"])
    root = {**dict.fromkeys(_LOCATION_KEYS), "path": "/", "match": "prefix", "extra": "", "access_log": True}
    has_root = any(item["path"] == "/" and item["match"] == "prefix" for item in located)
    implied = not has_root and not any(item["path"] == "/" for item in statics)
    items = [(f"{site.path}.locations[{index}]", item) for index, item in enumerate(located)]
    if implied:
        items.append((site.path, root))
    names = slugs([item["path"] for _place, item in items] + [item["path"] for item in statics])
    proxied = [_proxied(item, path, slug, site) for (path, item), slug in zip(items, names, strict=False)]
    served = [
        _static(item, f"{site.path}.static[{index}]", slug, site)
        for index, (item, slug) in enumerate(zip(statics, names[len(items) :], strict=True))
    ]
    _check_paths(site, proxied, served)
    return proxied, served


def _check_site(site: Site) -> None:
    """Refuse at the site's place what is wrong there, also where every location says something else."""
    given = site.given
    access({**{key: given[key] for key in _ACCESS}, "satisfy": None}, site.path, "", ("", ""), strict=False)
    methods(given["methods"], f"{site.path}.methods")
    for key, value in given["timeouts"].items():
        if value is not None:
            _timeout(f"{site.path}.timeouts.{key}", key, value)
    if given["cache"] is not None and given["cache"]["valid"] is not None:
        duration(f"{site.path}.cache.valid", given["cache"]["valid"], milliseconds=False)
    _check_cache(given, site.path)


_LOCATION_KEYS = (
    "app",
    "upstream",
    "strip_prefix",
    "websocket",
    "events",
    "limits",
    "headers",
    "cache",
    "allow",
    "deny",
    "basic_auth",
    "satisfy",
    "methods",
    "client_certificate",
    "body_size",
    "timeouts",
    "request_buffering",
    "response_buffering",
)


def _proxied(item: Rules, path: str, slug: str, site: Site) -> dict[str, t.Any]:
    url = url_path(f"{path}.path", item["path"])
    exact = item["match"] == "exact"
    strip = bool(item["strip_prefix"])
    if strip and (exact or not url.endswith("/") or url == "/"):
        raise Refused(f"{path}.strip_prefix", True, "this for a prefix that ends with a slash, such as /api/")
    own = {key: item[key] if item[key] is not None else site.given[key] for key in _INHERITED}
    events = bool(item["events"])
    _check_cache(item, path)
    counted = _limits(item, path, slug, site)
    return {
        **_rules(item, path, slug, site),
        "methods": methods(own["methods"], f"{path}.methods"),
        "url": url,
        "match": f"= {url}" if exact else url,
        "strip": literally(url) if strip else None,
        "upstream": _upstream(item, path, slug, site),
        "limits": counted,
        # What a refused client is told in Retry-After: the longest of these.
        "pause": max((limit["pause"] for limit in counted), default=0),
        "dry_run": any(limit["dry_run"] for limit in counted),
        "body_size": None if item["body_size"] is None else body_size(item["body_size"], f"{path}.body_size"),
        "timeouts": _timeouts(item, path, site),
        "upgrade": bool(own["websocket"]),
        "events": events,
        "request_buffering": bool(own["request_buffering"]),
        "response_buffering": bool(own["response_buffering"]) and not events,
        # What is not collected cannot be kept; nginx would let others wait for it in vain.
        # With request_buffering off a body comes unseen, and could change what everybody is given.
        "cache": _cache(item, path, site) if _is_collected(own) and not events else None,
        "access_log": item["access_log"],
        "extra": raw_directives(f"{path}.extra", item["extra"]),
    }


_INHERITED = ("websocket", "methods", "request_buffering", "response_buffering")


def _static(item: Rules, path: str, slug: str, site: Site) -> dict[str, t.Any]:
    # nginx sends files for these two only; the list is for the answer to others.
    return {**_rules(item, path, slug, site), **static_folder(item, path), "methods": ["GET", "HEAD"]}


def _rules(item: Rules, path: str, slug: str, site: Site) -> dict[str, t.Any]:
    """Return what proxied and static locations have in common."""
    own = {key: item[key] if item[key] is not None else site.given[key] for key in _ACCESS}
    certificate = bool(item["client_certificate"])
    if certificate and site.tls["client_ca"] is None:
        raise Refused(f"{path}.client_certificate", True, "this where the site has tls.client_ca")
    # Rules that are the site's are named by it: one password file, one list of addresses for all of its locations.
    password = slug if item["basic_auth"] is not None else SITE
    address = slug if item["allow"] is not None or item["deny"] is not None else SITE
    headers = None
    if item["headers"]:
        inherited = site.given["headers"] or {}
        headers = security_headers(item["headers"], site.hsts, f"{path}.headers", inherited)
    return {
        "path": path,
        "slug": slug,
        "access": access(
            own,
            path,
            f"sites/{site.name}/users/{password}",
            (f"{site.slug}__{address}", f"{site.slug}__{slug}"),
            strict=item["satisfy"] is not None or path == site.path,
        ),
        "client_certificate": certificate and site.tls["client_certificates"] == "optional",
        "headers": headers,
    }


_ACCESS = ("allow", "deny", "basic_auth", "satisfy")


def _upstream(item: Rules, path: str, slug: str, site: Site) -> str:
    name = site.upstream(item, path, f"site__{site.slug}__{slug}")
    name = name or site.upstream(site.given, site.path, f"site__{site.slug}")
    if name is None:
        raise Refused(path, [], "one of app and upstream")
    return name


def _limits(item: Rules, path: str, slug: str, site: Site) -> list[dict[str, t.Any]]:
    own = item["limits"] is not None
    place = Place(
        f"{path if own else site.path}.limits",
        f"{site.slug}__{slug}" if own else site.slug,
        site.tls["client_ca"] is not None,
        site.trusted_headers,
    )
    return limits(item["limits"] if own else site.given["limits"] or [], place)


def _timeouts(item: Rules, path: str, site: Site) -> dict[str, str]:
    own = {key: value for key, value in (item["timeouts"] or {}).items() if value is not None}
    lasting = item["websocket"] is True or bool(item["events"])
    idle = {"send": _IDLE, "read": _IDLE} if lasting else {}
    app = item["app"] or (site.given["app"] if item["upstream"] is None else None)
    application = site.applications.get(app) if app else None
    times = {**site.given["timeouts"], **idle, **own}
    if times["connect"] is None:
        times["connect"] = _CONNECT_REMOTE if application is not None and application.remote else _CONNECT
    # What the site said was refused at its own place.
    found = {key: _timeout(f"{path}.timeouts.{key}", key, value) for key, value in times.items()}
    if application is not None and not lasting:
        place = path if "read" in own else site.path
        check_chain(f"{place}.timeouts.read", found["read"], application)
    return found


def _timeout(path: str, key: str, value: t.Any) -> str:
    checked = duration(path, value)
    # nginx documents that connecting cannot usually take longer than this; the kernel gives up first.
    if key == "connect" and duration_ms(checked) > 75_000:
        raise Refused(path, checked, "at most 75s, the kernel gives up then")
    return checked


def _check_cache(rules: Rules, path: str) -> None:
    """Refuse a cache for requests or answers that are not collected, where one place says both."""
    asked = rules["cache"] is not None and rules["cache"]["enabled"]
    for key, value in (("request_buffering", False), ("response_buffering", False), ("events", True)):
        if asked and rules.get(key) is value:
            raise Refused(f"{path}.{key}", value, "this without cache: what is not collected cannot be kept")


def _is_collected(own: Rules) -> bool:
    return bool(own["request_buffering"] and own["response_buffering"])


def _cache(item: Rules, path: str, site: Site) -> dict[str, t.Any] | None:
    general, own = site.given["cache"], item["cache"]
    chosen = own if own is not None else general
    if chosen is None or not chosen["enabled"]:
        return None
    valid = chosen["valid"] if chosen["valid"] is not None else (general or {}).get("valid")
    place = f"{path if own is not None else site.path}.cache.valid"
    return {"valid": None if valid is None else duration(place, valid, milliseconds=False)}


def body_size(value: t.Any, path: str) -> str:
    """Return the largest body as nginx writes it, 0 for ``unlimited``."""
    checked = size(path, value, unlimited=True)
    return "0" if checked == UNLIMITED else checked


def _check_paths(site: Site, proxied: t.Sequence[Rules], served: t.Sequence[Rules]) -> None:
    """Refuse what nginx would call a duplicate location."""
    moved = [(item["path"], f"{site.path}.redirects[{index}]") for index, item in enumerate(site.given["redirects"])]
    seen = {url if url.endswith("/") else f"= {url}": place for url, place in moved if url is not None}
    for match, place in [(item["match"], item["path"]) for item in proxied] + [
        (item["url"], item["path"]) for item in served
    ]:
        if match in seen:
            url = re.sub("^= ", "", match)
            raise Refused(f"{place}.path", url, f"a path that {seen[match]} does not have")
        seen[match] = place
