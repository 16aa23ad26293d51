# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is enough to be looked at once, before the first change: the certificates of both ends of a hop."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.asgi.deploy.plugins.plugin_utils import hop_ends
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import (
    Host,
    fleet_before,
    named_by,
    options_of,
    sites_of,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.shape import conform

_TLS, _SITES = "nginx_proxy_app_tls", "nginx_proxy_sites"


def examine(role: str, host: Host, structure: Mapping[str, t.Any]) -> list[str]:
    """Refuse certificates by which a host and those at the other end of a hop would not accept each other.

    Apart from :func:`normalise`, which every task needs: it is enough before the first change.

    :returns: warnings: what will be refused some time soon
    :raises Refused: naming the variable, and the host where that is another one
    """
    if role == "nginx_proxy" and structure["identity"]:
        apps = {app for site in sites_of(host) or [] for app in named_by(site)}
        fleet = fleet_before(host) or {}
        places = [place for app in apps for place in fleet.get(app or "", [])]
        return hop_ends.examine_proxy(structure["identity"], places)
    if role == "gunicorn_app":
        secured = [item for item in structure["applications"] if (item.get("hop") or {}).get("tls")]
        clients = _clients((host.hosts_of("proxies") or []) if secured else [])
        return [
            warning
            for one in secured
            for warning in hop_ends.examine_application(one, clients.get(one["name"], {}).items())
        ]
    return []


def _clients(proxies: t.Iterable[Host]) -> dict[str, dict[str, t.Any]]:
    """Return the proxies that pass requests on to each application, with their certificates.

    One that has none, or whose variables cannot be read, is left out: its own check says so.
    """
    found: dict[str, dict[str, t.Any]] = {}
    for proxy in proxies:
        # Not all of the role's: others may need facts of that host, and nobody may have gathered any.
        options = {name: options_of("nginx_proxy")[name] for name in (_TLS, _SITES)}
        try:
            tls = proxy.get(_TLS)
            if tls is None:
                continue
            read = conform(options, {_TLS: tls, _SITES: proxy.get(_SITES)})
        except Exception:
            # Refused; or templating fails, with errors of its own: for facts that only that host's play gathers.
            continue
        for app in {app for site in read[_SITES] or [] for app in named_by(site)}:
            found.setdefault(app or "", {})[proxy.name] = read[_TLS]
    return found
