# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The normaliser of the role nginx_proxy: what the user wrote, checked and made complete."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.application import application_name
from ansible_collections.asgi.deploy.plugins.plugin_utils.headers import security_headers
from ansible_collections.asgi.deploy.plugins.plugin_utils.hostnames import hostname
from ansible_collections.asgi.deploy.plugins.plugin_utils.nginx_text import raw_directives
from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path, app_socket
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.timeouts import Application, check_chain
from ansible_collections.asgi.deploy.plugins.plugin_utils.upstream import normalise_upstream, render_upstream
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import UNLIMITED, duration, duration_ms, integer, size

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")

#: Ports that the sites themselves listen on.
_SITE_PORTS = (80, 443)


def normalise_proxy(
    values: t.Mapping[str, t.Any], apps_here: bool | None = None, application: Application | None = None
) -> dict[str, t.Any]:
    """Return the complete structure that the templates of nginx_proxy are rendered from.

    :param values: the role's variables, already of the spec's shape
    :param apps_here: whether this host is in the group ``apps``; None where there is no such group
    :param application: what is known of the host's application, for the chain of timeouts
    :raises Refused: naming ``nginx_proxy_…`` with its place
    """
    _check_host(values)
    sites = []
    for index, site in enumerate(values["nginx_proxy_sites"]):
        path = f"nginx_proxy_sites[{index}]"
        sites.append(_site(site, path, values["nginx_proxy_tls_dir"], apps_here, application))
    _check_together(sites)
    return {
        "sites": sites,
        "tls_profile": sites[0]["tls"]["profile"] if sites else "intermediate",
        "tls_dir": values["nginx_proxy_tls_dir"],
        "acme_webroot": values["nginx_proxy_acme_webroot"],
        "worker_connections": values["nginx_proxy_worker_connections"],
        "status_port": values["nginx_proxy_status_port"],
        "ipv6": values["nginx_proxy_ipv6"],
        "generations": values["nginx_proxy_generations"],
    }


def _check_host(values: t.Mapping[str, t.Any]) -> None:
    absolute_path("nginx_proxy_tls_dir", values["nginx_proxy_tls_dir"])
    absolute_path("nginx_proxy_acme_webroot", values["nginx_proxy_acme_webroot"])
    integer("nginx_proxy_worker_connections", values["nginx_proxy_worker_connections"], 64, 1_000_000)
    # Two are the least that can be gone back from.
    integer("nginx_proxy_generations", values["nginx_proxy_generations"], 2, 1000)
    port = integer("nginx_proxy_status_port", values["nginx_proxy_status_port"], 1, 65535)
    if port in _SITE_PORTS:
        raise Refused("nginx_proxy_status_port", port, "a port that no site listens on (not 80, not 443)")


def _site(
    site: t.Mapping[str, t.Any], path: str, tls_dir: str, apps_here: bool | None, application: Application | None
) -> dict[str, t.Any]:
    name = site_name(f"{path}.name", site["name"])
    slug = re.sub(r"[^a-z0-9]", "_", name)
    tls = _tls(site["tls"], f"{path}.tls", f"{tls_dir}/{name}/current")
    return {
        "name": name,
        "slug": slug,
        "path": path,
        "domains": _domains(site["domains"], f"{path}.domains"),
        "upstream": _upstream(site, path, slug, apps_here, application),
        "tls": tls,
        "headers": security_headers(
            site["headers"], tls["hsts_max_age"] if tls["source"] != "none" else None, f"{path}.headers"
        ),
        "body_size": _body_size(site["body_size"], f"{path}.body_size"),
        "timeouts": _timeouts(site, f"{path}.timeouts", application),
        "extra": raw_directives(f"{path}.extra", site["extra"]),
    }


def site_name(path: str, value: t.Any) -> str:
    """Return ``value`` where files, a lineage and an upstream can be named by it."""
    if not isinstance(value, str) or not _NAME.fullmatch(value) or ".." in value:
        raise Refused(path, value, "lower-case letters, digits, dots, hyphens and underscores, 64 at most")
    return value


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


def _upstream(
    site: t.Mapping[str, t.Any], path: str, slug: str, apps_here: bool | None, application: Application | None
) -> dict[str, str]:
    app, upstream = site["app"], site["upstream"]
    if (app is None) == (upstream is None):
        raise Refused(path, [key for key in ("app", "upstream") if site[key] is not None], "one of app and upstream")
    name = f"site_{slug}"
    if upstream is not None:
        if "name" in upstream:
            raise Refused(f"{path}.upstream.name", upstream["name"], "no name here: the site's own is used")
        return {
            "name": name,
            "text": render_upstream(normalise_upstream({**upstream, "name": name}, f"{path}.upstream")),
        }
    application_name(f"{path}.app", app)
    if apps_here is False:
        raise Refused(
            f"{path}.app", app, "an application on this very host (it is not in the group apps), or an upstream"
        )
    if application is not None and app != application.name:
        # nginx would load, and answer every request with 502.
        raise Refused(f"{path}.app", app, f"{application.name}, the gunicorn_app_name of this host, or an upstream")
    server = {"name": name, "servers": [f"unix:{app_socket(app)}"]}
    return {"name": name, "text": render_upstream(normalise_upstream(server, f"{path}.app"))}


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
    # Browsers read it as an unsigned number; a negative one would be ignored in silence.
    integer(f"{path}.hsts_max_age", tls["hsts_max_age"], 0)
    return {**tls, **files}


def _body_size(value: str, path: str) -> str:
    checked = size(path, value, unlimited=True)
    return "0" if checked == UNLIMITED else checked


def _timeouts(site: t.Mapping[str, t.Any], path: str, application: Application | None) -> dict[str, str]:
    timeouts = {key: duration(f"{path}.{key}", value) for key, value in site["timeouts"].items()}
    # nginx documents that connecting cannot usually take longer than this; the kernel gives up first.
    if duration_ms(timeouts["connect"]) > 75_000:
        raise Refused(f"{path}.connect", timeouts["connect"], "at most 75s, the kernel gives up then")
    if application is not None and site["app"] == application.name:
        check_chain(f"{path}.read", timeouts["read"], application)
    return timeouts


def _check_together(sites: list[dict[str, t.Any]]) -> None:
    slugs: dict[str, dict[str, t.Any]] = {}
    domains: dict[str, str] = {}
    variables: dict[str, str] = {}
    for site in sites:
        if site["slug"] in slugs:
            other = slugs[site["slug"]]
            raise Refused(
                f"{site['path']}.name", site["name"], f"a name unlike that of {other['path']}, {other['name']}"
            )
        slugs[site["slug"]] = site
        for index, domain in enumerate(site["domains"]):
            if domain in domains:
                raise Refused(
                    f"{site['path']}.domains[{index}]", domain, f"a name that {domains[domain]} does not have"
                )
            domains[domain] = site["path"]
        for header in site["headers"]:
            place = f"{site['path']}.headers.{header['name']}"
            # Of two maps for one variable nginx takes the last, without a word.
            other_place = variables.setdefault(f"site_{site['slug']}_{header['slug']}", place)
            if other_place != place:
                raise Refused(place, header["name"], f"a header whose variable {other_place} does not have")
        if site["tls"]["profile"] != sites[0]["tls"]["profile"]:
            raise Refused(
                f"{site['path']}.tls.profile",
                site["tls"]["profile"],
                f"one profile a host: {sites[0]['path']} has {sites[0]['tls']['profile']}, and nginx takes the "
                "protocols of a port from its default server",
            )
