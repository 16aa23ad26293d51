# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redirects of whole names and of paths, each to a literal place that no client can change."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.hostnames import hostname
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.url_paths import literally, url_path

#: Of RFC 3986 what nginx's syntax leaves alone.
_QUERY = r"(?:\?[A-Za-z0-9._~!@:,+=*()/&%-]*)?(?:#[A-Za-z0-9._~!@:,+=*()/&%-]*)?"
_TARGET = re.compile(r"/(?:(?!/)[A-Za-z0-9._~!@:,+=*()/%-]*)?" + _QUERY)
_URL = re.compile(r"https?://([^/:?#]+)(?::([1-9][0-9]{0,4}))?(/[A-Za-z0-9._~!@:,+=*()/%-]*)?(" + _QUERY + ")")
#: nginx reads no word longer than its buffer of 4096 bytes.
_LONGEST = 2000


def redirects(
    items: t.Sequence[t.Mapping[str, t.Any]], path: str, domains: t.Sequence[str]
) -> tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]:
    """Return the redirected names (``domain``) and the redirected paths (``location``, ``rest``), each with ``to``.

    ``status`` is that of the answer.

    ``rest`` is the regular expression whose first group is what follows a path that ends with a slash.
    """
    names: list[dict[str, t.Any]] = []
    paths: list[dict[str, t.Any]] = []
    for index, item in enumerate(items):
        here = f"{path}[{index}]"
        given = [key for key in ("domain", "path") if item[key] is not None]
        if len(given) != 1:
            raise Refused(here, given, "one of domain and path")
        if item["domain"] is not None:
            names.append(_name(item, here, domains, names))
        else:
            paths.append(_path(item, here, paths, domains))
    return names, paths


def site_names(site: t.Mapping[str, t.Any]) -> list[str]:
    """Return all names of a site of its spec's shape, those among them that are only redirected."""
    return [*site["domains"], *(item["domain"] for item in site["redirects"] if item["domain"] is not None)]


def _name(
    item: t.Mapping[str, t.Any], path: str, domains: t.Sequence[str], others: t.Sequence[t.Mapping[str, t.Any]]
) -> dict[str, t.Any]:
    domain = hostname(f"{path}.domain", item["domain"])
    if domain in domains or any(domain == other["domain"] for other in others):
        raise Refused(f"{path}.domain", item["domain"], "a name that is not served, and not redirected twice")
    to = hostname(f"{path}.to", item["to"], wildcard=False)
    if to not in domains:
        raise Refused(f"{path}.to", item["to"], f"one of the site's domains, {', '.join(domains)}")
    return {"path": path, "domain": domain, "to": to, "status": item["status"]}


def _path(
    item: t.Mapping[str, t.Any], path: str, others: t.Sequence[t.Mapping[str, t.Any]], domains: t.Sequence[str]
) -> dict[str, t.Any]:
    source = url_path(f"{path}.path", item["path"])
    if source == "/":
        raise Refused(f"{path}.path", source, "a path below /; a redirect of the whole site is one of its domain")
    prefix = source.endswith("/")
    location = source if prefix else f"= {source}"
    if any(location == other["location"] for other in others):
        raise Refused(f"{path}.path", source, "each path once")
    to = item["to"]
    url = _URL.fullmatch(to)
    if url:
        hostname(f"{path}.to", url[1], wildcard=False)
        if url[2] and int(url[2]) > 65535:
            raise Refused(f"{path}.to", to, "a URL whose port is 65535 at most")
    elif not _TARGET.fullmatch(to):
        raise Refused(f"{path}.to", to, "a path such as /new or a URL such as https://example.com/new, encoded")
    if len(to) > _LONGEST:
        raise Refused(f"{path}.to", to, f"{_LONGEST} characters at most, these are {len(to)}")
    if prefix and not to.endswith("/"):
        raise Refused(f"{path}.to", to, "a place that ends with a slash, as the path does")
    # A URL of the site's own names comes back to it, and so does one without TLS.
    here = (url[3] or "/") + (url[4] or "") if url and url[1].lower() in domains and not url[2] else to
    if (prefix and here.startswith(source)) or here == source:
        raise Refused(f"{path}.to", to, "another place than the path itself: the redirect would never end")
    # Of /old//evil.example only evil.example may follow the slash, or the browser goes to another host.
    rest = rf"^{literally(source)}[/\\\\]*(.*)$" if prefix else None
    return {"path": path, "location": location, "source": source, "rest": rest, "to": to, "status": item["status"]}
