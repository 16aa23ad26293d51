# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from proxies on other hosts to an application: a port, who may reach it, and by mutual TLS if asked for."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_values import app_integer
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import is_loopback, is_name
from ansible_collections.asgi.deploy.plugins.plugin_utils.hop_tls import Identity, read_identity, server_name
from ansible_collections.asgi.deploy.plugins.plugin_utils.networks import networks
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_host import SITE_PORTS
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.tls_policy import CIPHERS
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import in_brackets, server_address

_TLS = "gunicorn_app_port_tls"
#: Who ends TLS on an application host: the user of Debian's stunnel4, so that the application cannot read the key.
TLS_USER = "stunnel4"

_UNITS = "/etc/systemd/system/"
#: Template to the place where an application's hop has its file.
_TEMPLATES = {
    "hop/fence.nft.j2": "/etc/asgi-deploy/fences/{name}-{port}.nft",
    "hop/fence.service.j2": _UNITS + "{name}-fence@{port}.service",
    "hop/hop.socket.j2": _UNITS + "{name}-hop@{port}.socket",
    # One for all fences of the host.
    "hop/nftables.service.j2": _UNITS + "nftables.service.d/asgi-deploy.conf",
}
_TLS_FILES = "/etc/asgi-deploy/hops/{name}-{port}"
#: What passes on to the application.
_SERVICE = _UNITS + "{name}-hop@{port}.service"
_PLAIN = {"hop/hop.service.j2": _SERVICE}
_BY_TLS = {"hop/tls.service.j2": _SERVICE, "hop/stunnel.conf.j2": _TLS_FILES + ".conf"}


class Around(t.NamedTuple):
    """Who passes on to the applications of a host.

    ``proxies``: addresses and names of the proxies on other hosts. ``itself``: whether this host's own proxy passes on
    to other hosts too; with TLS it then reaches its own application by the port as well, for nginx has one scheme for
    all servers of an upstream. ``behind``: whether the host has no proxy of its own.
    """

    proxies: t.Sequence[str] = ()
    itself: bool = False
    behind: bool = False


#: Of a host alone.
NOBODY = Around()


def normalise_hop(values: t.Mapping[str, t.Any], around: Around) -> dict[str, t.Any] | None:
    """Return ``port``, ``allow`` (networks, addresses and names) and ``tls``, or None where no proxy needs a port.

    :param values: the role's variables, already of the spec's shape
    :raises Refused: naming ``gunicorn_app_…``
    """
    port = app_integer(values, "port", 1, 65535)
    if port in SITE_PORTS:
        raise Refused("gunicorn_app_port", port, "a port that no site listens on (not 80, not 443)")
    stated = values["gunicorn_app_proxies"]
    if stated is not None:
        if not stated:
            raise Refused("gunicorn_app_proxies", [], "at least one network; leave it out for the group proxies")
        stated = networks("gunicorn_app_proxies", stated, "anybody could then pose as a proxy")
    given = values[_TLS]
    name = None if given is None else server_name(_TLS, given, values["gunicorn_app_name"])
    if not around.proxies and not (around.itself and given):
        return None
    # The host itself is let in without being named.
    allow = stated or [_address(proxy) for proxy in around.proxies]
    tls = None if given is None else {"name": name, "identity": read_identity(_TLS, given)}
    return {"port": port, "allow": allow, "tls": tls}


def _address(proxy: str) -> str:
    if is_loopback(proxy):
        accepted = "the addresses from which the proxies reach this host, which the inventory does not tell"
        raise Refused("gunicorn_app_proxies", None, accepted)
    server_address("ansible_host of a proxy", f"{in_brackets(proxy)}:1")
    return proxy


def names_to_allow(applications: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the names of proxies that the host has to resolve: its fence knows addresses only."""
    allowed = (proxy for item in applications if item.get("hop") for proxy in item["hop"]["allow"])
    return sorted({proxy for proxy in allowed if is_name(proxy)})


def hop_files(
    render: t.Callable[..., str], application: t.Mapping[str, t.Any], addresses: t.Mapping[str, t.Sequence[str]]
) -> dict[str, dict[str, str]]:
    """Return the files of an application's hop: path on the host to ``text``, ``mode`` and, for a secret, ``group``.

    :param addresses: those of each name of :func:`names_to_allow`
    :raises Refused: for a proxy whose name has no address
    """
    hop = application["hop"]
    allowed: list[str] = []
    for proxy in hop["allow"]:
        found = list(addresses.get(proxy, [])) if is_name(proxy) else [proxy]
        if not found:
            raise Refused("gunicorn_app_proxies", proxy, "proxies whose names this host can resolve, or networks")
        allowed += found
    networks = sorted({ipaddress.ip_network(item) for item in allowed}, key=lambda item: (item.version, item))
    names = {"name": application["name"], "port": hop["port"]}
    structure = {
        **application,
        **names,
        "ciphers": CIPHERS,
        "user": TLS_USER,
        "tls_files": _TLS_FILES.format(**names),
        "allowed": [{"family": "ip" if item.version == 4 else "ip6", "network": _short(item)} for item in networks],
    }
    templates = _TEMPLATES | (_PLAIN if hop["tls"] is None else _BY_TLS)
    files = {
        path.format(**names): {"text": render(template, **structure), "mode": "0644"}
        for template, path in templates.items()
    }
    return files if hop["tls"] is None else files | _tls_files(structure["tls_files"], hop["tls"]["identity"])


def _tls_files(path: str, identity: Identity) -> dict[str, dict[str, str]]:
    return {
        f"{path}.ca.pem": {"text": identity.ca, "mode": "0644"},
        # Its user may read it, and not change it.
        f"{path}.pem": {"text": identity.pair, "mode": "0640", "group": TLS_USER},
    }


def _short(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
