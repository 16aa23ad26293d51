# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health checks of a proxy: how often they ask, and whom for what."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_proof import app_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import integer

if t.TYPE_CHECKING:
    from ansible_collections.asgi.deploy.plugins.plugin_utils.site_upstreams import Surroundings

_PATH = "nginx_proxy_health_checks"

#: What asks is a program that is started each time, and takes a tenth of a second of a CPU.
_SHORTEST, _LONGEST = 2, 3600
_SHORTEST_TIMEOUT = 0.1


def normalise_health_checks(given: t.Mapping[str, t.Any] | None) -> dict[str, t.Any] | None:
    """Return ``interval``, ``timeout``, ``fall`` and ``rise``, or None where hosts are not asked.

    :raises Refused: naming ``nginx_proxy_health_checks`` with its place
    """
    if given is None:
        return None
    interval = integer(f"{_PATH}.interval", given["interval"], _SHORTEST, _LONGEST)
    timeout = given["timeout"]
    if not _SHORTEST_TIMEOUT <= timeout < interval:
        # A host that hangs would keep the next questions waiting.
        accepted = f"a number from {_SHORTEST_TIMEOUT} to less than the interval ({interval})"
        raise Refused(f"{_PATH}.timeout", timeout, accepted)
    rows = {key: integer(f"{_PATH}.{key}", given[key], 1, 100) for key in ("fall", "rise")}
    return {"interval": interval, "timeout": float(timeout), **rows}


def health_checks(
    settings: t.Mapping[str, t.Any] | None, sites: t.Sequence[t.Mapping[str, t.Any]], around: Surroundings
) -> dict[str, t.Any] | None:
    """Return the settings with ``upstreams`` and ``applications``, None where there is no other host to ask.

    ``upstreams``: the application of each upstream block. ``applications``: of each the ``domain`` to ask for, whether
    it is served by ``https``, the ``tls_name`` in its hosts' certificates or None, and its ``hosts``, each with
    ``path``, ``status`` and ``body``.
    :param sites: normalised
    """
    upstreams: dict[str, str] = {}
    applications: dict[str, dict[str, t.Any]] = {}
    for site in sites if settings is not None else ():
        for block in site["upstreams"]:
            if "fleet" in block:
                app = block["fleet"]["app"]
                upstreams[block["name"]] = app
                known = applications.setdefault(app, {"hosts": _hosts(app, around), "tls_name": block.get("tls")})
                # As a release is asked: by the domain of a site that it has whole, if there is one.
                whole = block["name"] == f"site__{site['slug']}"
                if "domain" not in known or (whole and not known["whole"]):
                    known.update(domain=_domain(site), https=site["tls"]["source"] != "none", whole=whole)
    if settings is None or not upstreams:
        return None
    return {**settings, "upstreams": upstreams, "applications": applications}


def config_of(checks: t.Mapping[str, t.Any]) -> str:
    """Return what the program on the host reads."""
    applications = {
        name: {key: app[key] for key in ("domain", "https", "hosts", "tls_name")}
        for name, app in checks["applications"].items()
    }
    wanted = {key: checks[key] for key in ("timeout", "fall", "rise", "upstreams")}
    return json.dumps({**wanted, "applications": applications}, indent=2, sort_keys=True) + "\n"


def _hosts(app: str, around: Surroundings) -> dict[str, dict[str, t.Any]]:
    """Return what to ask the other hosts of an application for. The proxy itself is asked by its socket."""
    return {
        place.host: {
            "path": app_path({"gunicorn_app_health_path": place.health_path}, "health_path"),
            "status": place.health_status,
            "body": place.health_body,
        }
        for place in (around.fleet or {}).get(app, [])
        if place.host != around.host
    }


def _domain(site: t.Mapping[str, t.Any]) -> str:
    return next((domain for domain in site["domains"] if not domain.startswith("*")), "localhost")
