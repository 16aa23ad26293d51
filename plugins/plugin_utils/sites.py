# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The normaliser of the role nginx_proxy: what the user wrote, checked and made complete."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.headers import security_headers, strict_transport_security
from ansible_collections.asgi.deploy.plugins.plugin_utils.health_checks import health_checks
from ansible_collections.asgi.deploy.plugins.plugin_utils.hop_tls import read_identity
from ansible_collections.asgi.deploy.plugins.plugin_utils.hostnames import hostname
from ansible_collections.asgi.deploy.plugins.plugin_utils.limits import Place, limits
from ansible_collections.asgi.deploy.plugins.plugin_utils.locations import Site, body_size, site_locations
from ansible_collections.asgi.deploy.plugins.plugin_utils.nginx_text import raw_directives
from ansible_collections.asgi.deploy.plugins.plugin_utils.pages import blocked_paths, error_pages, maintenance
from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_host import SITE_PORTS, normalise_host
from ansible_collections.asgi.deploy.plugins.plugin_utils.redirects import redirects
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.site_upstreams import (
    Surroundings,
    is_here,
    names_of,
    site_upstream,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.timeouts import Application
from ansible_collections.asgi.deploy.plugins.plugin_utils.tls_policy import tls_policy
from ansible_collections.asgi.deploy.plugins.plugin_utils.upstream import Upstream
from ansible_collections.asgi.deploy.plugins.plugin_utils.url_paths import literally, url_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import duration, size

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")

#: The rest of a path as it was sent, plainly below: /docs/..%2fapp/ is another page to nginx, and none to a browser.
_BELOW = r"(?:/(?!\.)[A-Za-z0-9._~-]+)*/?(?:\?|$)"


def normalise_proxy(values: t.Mapping[str, t.Any], around: Surroundings) -> dict[str, t.Any]:
    """Return the complete structure that the templates of nginx_proxy are rendered from.

    :param values: the role's variables, already of the spec's shape
    :raises Refused: naming ``nginx_proxy_…`` with its place
    """
    host = normalise_host(values)
    own = values["nginx_proxy_app_tls"]
    ports = (*SITE_PORTS, host["status_port"])
    around = dataclasses.replace(around, own_ports=ports, has_identity=own is not None)
    given = values["nginx_proxy_sites"]
    sites = [_site(site, f"nginx_proxy_sites[{index}]", host, around) for index, site in enumerate(given)]
    _check_together(sites)
    profile = sites[0]["tls"]["profile"] if sites else "intermediate"
    lists = [values[f"nginx_proxy_tls_{name}"] for name in ("protocols", "ciphers", "curves")]
    policy = tls_policy(profile, *lists)
    if host["http3"] and "TLSv1.3" not in policy["protocols"]:
        raise Refused("nginx_proxy_http3", True, "this with TLSv1.3 in nginx_proxy_tls_protocols, HTTP/3 needs it")
    # Names that the host is asked the addresses of.
    looked_up = names_of(block for site in sites for block in site["upstreams"])
    used = any(block.get("tls") for site in sites for block in site["upstreams"])
    # A key that nothing is reached by stays on the controller.
    identity = read_identity("nginx_proxy_app_tls", own) if used else None
    structure = {**host, "sites": sites, "identity": identity, "tls_policy": policy, "looked_up": looked_up}
    return {**structure, "health_checks": health_checks(host["health_checks"], sites, around)}


def _site(
    site: t.Mapping[str, t.Any], path: str, host: t.Mapping[str, t.Any], around: Surroundings
) -> dict[str, t.Any]:
    name = site_name(f"{path}.name", site["name"])
    slug = re.sub(r"[^a-z0-9]+", "_", name)
    domains = _domains(site["domains"], f"{path}.domains")
    names, paths = redirects(site["redirects"], f"{path}.redirects", domains)
    tls = _tls(site["tls"], f"{path}.tls", f"{host['tls_dir']}/{name}/current")
    hsts = strict_transport_security(site["tls"], f"{path}.tls")
    headers = security_headers(site["headers"] or {}, hsts, f"{path}.headers")
    upstreams: dict[str, Upstream] = {}
    trusted = [header["name"] for header in host["client_address"]["headers"]]
    place = Place(f"{path}.limits", slug, tls["client_ca"] is not None, trusted)
    # Also where every location has limits of its own: a mistake is one wherever it stands.
    limits(site["limits"] or [], place)
    largest = body_size(site["body_size"], f"{path}.body_size")
    if site["allow"] == []:
        # A list that came out empty must not open what it was to close.
        raise Refused(f"{path}.allow", [], "at least one network, or no allow at all")
    known = Site(
        given=site,
        path=path,
        name=name,
        slug=slug,
        tls=tls,
        hsts=hsts,
        trusted_headers=trusted,
        applications=around.applications,
        upstream=lambda rules, where, block: site_upstream(rules, where, block, upstreams, around),
    )
    # Checked for its own sake: every location may have another one, and then it is nobody's.
    site_upstream(site, path, f"site__{slug}", {}, around)
    proxied, static = site_locations(known)
    return {
        "name": name,
        "slug": slug,
        "path": path,
        "domains": domains,
        "names": domains + [item["domain"] for item in names],
        # The first of them, without its star.
        "wildcard": next((domain[2:] for domain in domains if domain.startswith("*")), None),
        "redirected_names": names,
        "redirected_paths": paths,
        "upstreams": list(upstreams.values()),
        "served_here": any(is_here(server) for block in upstreams.values() for server in block["servers"]),
        "tls": tls,
        "headers": headers,
        "docs": [f"^{literally(item)}{_BELOW}" for item in _api_docs(site["api_docs"], f"{path}.api_docs")],
        "body_size": largest,
        "locations": proxied,
        "static": static,
        "zones": _zones(proxied),
        "addresses": _addresses(proxied + static),
        "cache": _cache(site, path, proxied),
        "error_pages": error_pages(site["error_pages"], f"{path}.error_pages"),
        "intercept_errors": site["intercept_errors"],
        "maintenance": maintenance(site["maintenance"], f"{path}.maintenance"),
        "blocked_paths": blocked_paths(site["blocked_paths"], f"{path}.blocked_paths"),
        "quiet_paths": _quiet_paths(site, path, around.applications),
        "extra": raw_directives(f"{path}.extra", site["extra"]),
    }


def site_name(path: str, value: t.Any) -> str:
    """Return ``value`` where files, a lineage and an upstream can be named by it."""
    if not isinstance(value, str) or not _NAME.fullmatch(value) or ".." in value:
        raise Refused(path, value, "lower-case letters, digits, dots, hyphens and underscores, 64 at most")
    return value


def lineage_of(site: t.Mapping[str, t.Any]) -> str:
    """Return the name of certbot's certificate for a site of its spec's shape."""
    return t.cast("str", site["tls"]["lineage"] or site["name"])


def _domains(domains: list[str], path: str) -> list[str]:
    if not domains:
        raise Refused(path, domains, "at least one host name")
    names: list[str] = []
    for index, domain in enumerate(domains):
        name = hostname(f"{path}[{index}]", domain)
        if name in names:
            raise Refused(f"{path}[{index}]", domain, "each host name once")
        names.append(name)
    return names


def _tls(tls: t.Mapping[str, t.Any], path: str, current: str) -> dict[str, t.Any]:
    files = {key: tls[key] for key in ("certificate", "key")}
    if tls["source"] == "files":
        for key, value in files.items():
            if value is None:
                raise Refused(f"{path}.{key}", None, "the absolute path of a PEM file; source files needs it")
            absolute_path(f"{path}.{key}", value)
    else:
        for key, value in files.items():
            if value is not None:
                raise Refused(f"{path}.{key}", value, f"no {key} unless source is files (it is {tls['source']})")
        files = {"certificate": f"{current}/fullchain.pem", "key": f"{current}/privkey.pem"}
    if tls["lineage"] is not None:
        site_name(f"{path}.lineage", tls["lineage"])
        if tls["source"] != "certbot":
            raise Refused(
                f"{path}.lineage", tls["lineage"], f"no lineage unless source is certbot (it is {tls['source']})"
            )
    if tls["client_ca"] is not None:
        absolute_path(f"{path}.client_ca", tls["client_ca"])
        if tls["source"] == "none":
            raise Refused(f"{path}.client_ca", tls["client_ca"], "no client certificates without TLS")
    elif tls["client_certificates"] != "required":
        raise Refused(f"{path}.client_certificates", tls["client_certificates"], "this together with client_ca only")
    return {**tls, **files}


def _api_docs(values: t.Sequence[str], path: str) -> list[str]:
    found: list[str] = []
    for index, value in enumerate(values):
        page = url_path(f"{path}[{index}]", value).rstrip("/")
        if not page or page in found:
            raise Refused(f"{path}[{index}]", value, "the path of a page, such as /docs, each once")
        found.append(page)
    return found


def _zones(locations: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the memory zones of the limits, each once: locations share those of their site."""
    zones = {limit["zone"]: limit for location in locations for limit in location["limits"]}
    return list(zones.values())


def _addresses(locations: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the rules about addresses, each once: locations share those of their site."""
    rules = {rule["address"]: rule for rule in (location["access"] for location in locations) if rule["address"]}
    return list(rules.values())


def _cache(
    site: t.Mapping[str, t.Any], path: str, locations: t.Sequence[t.Mapping[str, t.Any]]
) -> dict[str, str] | None:
    """Return the size of the site's cache where a location keeps answers."""
    given = site["cache"] or {"size": "1g", "inactive": "1h"}
    cache = {
        "size": size(f"{path}.cache.size", given["size"], units="mg"),
        "inactive": duration(f"{path}.cache.inactive", given["inactive"], milliseconds=False),
    }
    return cache if any(location["cache"] for location in locations) else None


def _quiet_paths(site: t.Mapping[str, t.Any], path: str, applications: t.Mapping[str, Application]) -> list[str]:
    """Return regular expressions for the paths whose successes are not logged."""
    given = site["quiet_paths"]
    if given is None:
        ours = applications.get(site["app"])
        health = ours.health_path if ours else None
        # Checked as the application's; it may be encoded, and have a query.
        return [literally(health.partition("?")[0])] if health else []
    paths: list[str] = []
    for index, value in enumerate(given):
        if url_path(f"{path}.quiet_paths[{index}]", value, hidden=True) in paths:
            raise Refused(f"{path}.quiet_paths[{index}]", value, "each path once")
        paths.append(value)
    return [literally(item) for item in paths]


def _check_together(sites: list[dict[str, t.Any]]) -> None:
    slugs: dict[str, dict[str, t.Any]] = {}
    domains: dict[str, str] = {}
    for site in sites:
        if site["slug"] in slugs:
            other = slugs[site["slug"]]
            accepted = f"a name unlike that of {other['path']}, {other['name']}"
            raise Refused(f"{site['path']}.name", site["name"], accepted)
        slugs[site["slug"]] = site
        for index, domain in enumerate(site["names"]):
            own = len(site["domains"])
            redirect = None if index < own else site["redirected_names"][index - own]
            where = f"{redirect['path']}.domain" if redirect else f"{site['path']}.domains[{index}]"
            if domain in domains:
                raise Refused(where, domain, f"a name that {domains[domain]} does not have")
            domains[domain] = site["path"]
        if site["tls"]["profile"] != sites[0]["tls"]["profile"]:
            raise Refused(
                f"{site['path']}.tls.profile",
                site["tls"]["profile"],
                f"one profile a host: {sites[0]['path']} has {sites[0]['tls']['profile']}, and nginx takes the "
                "protocols of a port from its default server",
            )
