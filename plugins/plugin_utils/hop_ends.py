# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a hop with mutual TLS held against each other, from either side."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import Place
from ansible_collections.asgi.deploy.plugins.plugin_utils.hop_tls import Identity, read_part
from ansible_collections.asgi.deploy.plugins.plugin_utils.hop_trust import refuse_pair, refuse_stranger, soon_refused

_APP = "gunicorn_app_port_tls"
_PROXY = "nginx_proxy_app_tls"


def examine_proxy(own: Identity, places: t.Iterable[Place]) -> list[str]:
    """Refuse a proxy's certificates, or those of the application hosts that it passes on to.

    :returns: warnings of its own that will soon have expired
    :raises Refused: naming the host where it is another one's
    """
    refuse_pair(_PROXY, own, "client")
    for place in places:
        if place.tls:
            of = f" of {place.host}"
            # One that has none says so in its own check.
            theirs = {key: read_part(_APP, place.tls, key) for key in ("ca", "certificate")}
            refuse_stranger(f"{_APP}.certificate{of}", theirs["certificate"], f"{_PROXY}.ca", own.ca)
            refuse_stranger(f"{_PROXY}.certificate", own.certificate, f"{_APP}.ca{of}", theirs["ca"])
    return soon_refused(_PROXY, own)


def examine_application(
    application: t.Mapping[str, t.Any], proxies: t.Iterable[tuple[str, t.Mapping[str, t.Any]]]
) -> list[str]:
    """Refuse an application's certificates, or those of the proxies that pass requests on to it.

    :param proxies: the name of each, and its ``nginx_proxy_app_tls``
    :returns: warnings of its own that will soon have expired
    :raises Refused: naming the proxy where it is another one's
    """
    own, place = application["hop"]["tls"]["identity"], application["places"]["port_tls"]
    refuse_pair(place, own, "server", application["hop"]["tls"]["name"])
    for proxy, given in proxies:
        of = f" of {proxy}"
        theirs = {key: read_part(_PROXY, given, key) for key in ("ca", "certificate")}
        refuse_stranger(f"{_PROXY}.certificate{of}", theirs["certificate"], f"{place}.ca", own.ca)
        refuse_stranger(f"{place}.certificate", own.certificate, f"{_PROXY}.ca{of}", theirs["ca"])
    return soon_refused(place, own)
