# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables of a host to a role's normalised structure."""

from __future__ import annotations

import difflib
import functools
import pathlib
import typing as t
from collections import ChainMap
from collections.abc import Mapping

import yaml

from ansible_collections.asgi.deploy.plugins.plugin_utils import challenge_peers
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_hop import Around
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_proof import Served
from ansible_collections.asgi.deploy.plugins.plugin_utils.applications import (
    Given,
    given_applications,
    normalise_applications,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.certificates import normalise_certificates
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import Fleet, Place, places_on
from ansible_collections.asgi.deploy.plugins.plugin_utils.floating_address import Proxy, normalise_floating_address
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.shape import conform, plain
from ansible_collections.asgi.deploy.plugins.plugin_utils.site_upstreams import Surroundings
from ansible_collections.asgi.deploy.plugins.plugin_utils.sites import normalise_proxy
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import in_brackets

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


#: Either of these says which applications a host has.
_SAYS_APPLICATIONS = ("gunicorn_app_name", "gunicorn_app_applications")

#: A variable with what :func:`fleet_of` returned, for plays with many hosts in which it is found once.
FLEET = "__asgi_deploy_fleet"

#: How much alike (0 to 1) two names are when one is taken for a slip of the other: a letter or two.
_ALIKE = 0.85


class Host:
    """The variables of one host, templated as they are asked for.

    :param variables: Ansible's, untemplated
    :param template: resolves the expressions in a value
    """

    def __init__(self, variables: Mapping[str, t.Any], template: t.Callable[[t.Any], t.Any]) -> None:
        self._variables = variables
        self._template = template

    def get(self, name: str, default: t.Any = None) -> t.Any:
        if name not in self._variables:
            return default
        return plain(self._template(self._variables[name]))

    def values(self, role: str) -> dict[str, t.Any]:
        """Return the variables of ``role``, held against its argument spec and complete."""
        return conform(options_of(role), self.written(role))

    def written(self, role: str) -> dict[str, t.Any]:
        """Return the variables of ``role`` that the inventory has, none of them nearly one of the role's."""
        options = options_of(role)
        self._refuse_misspelt(role, options)
        return {name: self.get(name) for name in options if name in self._variables}

    def _refuse_misspelt(self, role: str, options: Mapping[str, t.Any]) -> None:
        """Refuse a variable that is nearly one of the role's: it would be ignored in silence."""
        for name in map(str, self._variables):
            if name.startswith(f"{role}_") and name not in options:
                meant = _meant(name.removeprefix(f"{role}_"), [option.removeprefix(f"{role}_") for option in options])
                if meant:
                    accepted = " or ".join(f"{role}_{option}" for option in meant)
                    raise Refused(name, HIDDEN, f"{accepted}; a variable of your own needs a less similar name")

    def fact(self, name: str) -> t.Any:
        # Of a large dictionary one value is asked for: the others are neither templated nor copied.
        return plain(self._template((self._variables.get("ansible_facts") or {}).get(name)))

    def in_group(self, group: str) -> bool | None:
        """Return whether this host is in ``group``, or None where the inventory has no such group."""
        groups = self._variables.get("groups") or {}
        return self.get("inventory_hostname") in groups[group] if group in groups else None

    @property
    def name(self) -> str:
        return str(self.get("inventory_hostname"))

    def names_of(self, group: str) -> list[str]:
        return list((self._variables.get("groups") or {}).get(group) or [])

    def hosts_of(self, group: str) -> list[Host] | None:
        """Return the hosts of ``group``, or None where the inventory has no such group."""
        groups = self._variables.get("groups") or {}
        return [self._other(name) for name in groups[group]] if group in groups else None

    def _other(self, name: str) -> Host:
        return self if name == self.get("inventory_hostname") else self._known(name)

    def inventoried(self) -> Host:
        """Return this host as the others see it: without the variables of the play."""
        return self._known(self.name)

    def _known(self, name: str) -> Host:
        # All of a host's variables at once, which Ansible puts together anew for each time they are asked for; they
        # are templated as the host's own.
        variables = (self._variables.get("hostvars") or {}).get(name) or {}
        return Host(ChainMap({"inventory_hostname": name}, variables), lambda value: value)

    def addresses(self, group: str) -> list[str] | None:
        """Return where the hosts of ``group`` are reached, or None where the inventory has no such group."""
        hosts = self.hosts_of(group)
        return None if hosts is None else [in_brackets(str(host.get("ansible_host", host.name))) for host in hosts]


def _meant(name: str, options: list[str]) -> list[str]:
    """Return the options that ``name`` is a slip for, none where it is a name of the user's own.

    A slip is a letter or two, a longer word for the same (`environment` for `env`) or half a name (`health` for
    `health_path`). `env_secrets` is none: people build `env` from such variables.
    """
    close = difflib.get_close_matches(name, options, n=1, cutoff=_ALIKE)
    longer = [option for option in options if name.startswith(option) and not name[len(option) :].startswith("_")]
    half = [option for option in options if option.startswith(f"{name}_")]
    return close or longer or half


@functools.cache
def options_of(role: str) -> Mapping[str, t.Any]:
    """Return the options of a role's main entry point in its argument spec."""
    text = (ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    # libyaml's, where Python has it, takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return t.cast("Mapping[str, t.Any]", yaml.load(text, Loader=loader)["argument_specs"]["main"]["options"])


def normalise(role: str, host: Host) -> dict[str, t.Any]:
    """Return the normalised structure of ``role`` for ``host``.

    :raises Refused: at the first variable that must not reach the host
    """
    return _NORMALISERS[role](host)


def _proxy(host: Host) -> dict[str, t.Any]:
    around = Surroundings(host.name, fleet_before(host), host.addresses)
    proxy = normalise_proxy(host.values("nginx_proxy"), around)
    # By the PROXY protocol only the load balancer in front talks to port 80.
    peers = [] if proxy["client_address"]["proxy_protocol"] else _fellows(host)
    return {
        **proxy,
        "other_proxies": peers,
        "looked_up": sorted({*proxy["looked_up"], *challenge_peers.names_of(peers)}),
    }


def _fellows(host: Host) -> list[str]:
    """Return where a proxy reaches the other ones."""
    others = (host.hosts_of("proxies") or []) if host.in_group("proxies") else []
    return [_address(other) for other in others if other is not host]


def _address(host: Host) -> str:
    return str(host.get("ansible_host") or host.name)


def fleet_before(host: Host) -> Fleet | None:
    """Return the hosts of each application as a proxy reaches them, or None where the inventory says nothing of any."""
    known = host.get(FLEET)
    if known is not None:
        return {name: [Place(*place) for place in places] for name, places in known.items()}
    hosts = [host] if _asks_itself_alone(host, host.name) else host.hosts_of("apps")
    if hosts is None and host.in_group("proxies"):
        # An inventory of ours in which nobody is an application host, or the group is misspelt.
        return {}
    # Without the groups, the role is applied alone, and its variables may be those of an application on this host.
    hosts = [host] if hosts is None else hosts
    if host in hosts and _says_applications(host):
        # Its own are checked whole: where the role is applied alone, nobody else does.
        _names(host)
    fleet = fleet_of(hosts)
    return fleet if fleet or host not in hosts or any(map(_says_applications, hosts)) else None


def _asks_itself_alone(host: Host, proxy: str) -> bool:
    """Return whether ``proxy`` passes requests on to its own applications only.

    So it is where each application host is a proxy too, and none depends on another one.
    """
    apps = set(host.names_of("apps"))
    return proxy in apps and apps <= set(host.names_of("proxies"))


def _says_applications(host: Host) -> bool:
    return any(host.get(name) is not None for name in _SAYS_APPLICATIONS)


def fleet_of(hosts: t.Sequence[Host]) -> Fleet:
    """Return where each application is, on these hosts."""
    fleet: Fleet = {}
    for host in hosts:
        for name, place in places_on(host.name, host.get, options_of("gunicorn_app")):
            fleet.setdefault(name, []).append(place)
    return fleet


def _names(host: Host) -> list[str]:
    return [item.name for item in _given(host)]


def _given(host: Host) -> list[Given]:
    return given_applications(options_of("gunicorn_app"), host.written("gunicorn_app"))


def _applications(host: Host) -> dict[str, t.Any]:
    given = _given(host)
    sites = _sites_before(host)
    if sites and host.in_group("apps") and host.in_group("proxies") is None:
        raise Refused("groups.proxies", None, "a group of this name, for the host has nginx_proxy_sites to be served")
    if host.in_group("proxies") is not False:
        _refuse_to_cut_off(given, sites)
    applications = normalise_applications(
        given,
        lambda name: _served(name, sites),
        Around(
            _other_proxies(host),
            itself=bool(host.in_group("proxies")) and not _asks_itself_alone(host, host.name),
            behind=host.in_group("proxies") is False,
        ),
        vcpus=host.fact("processor_nproc") or host.fact("processor_vcpus"),
        memory_mb=host.fact("memtotal_mb"),
    )
    return {"applications": applications}


def _other_proxies(host: Host) -> list[str]:
    """Return where the requests of proxies on other hosts come from: an address or a name of each."""
    if not host.in_group("apps"):
        return []
    others = [
        other
        for other in host.hosts_of("proxies") or []
        if other is not host and not _asks_itself_alone(host, other.name)
    ]
    return [_address(other) for other in others]


def _sites_before(host: Host) -> list[dict[str, t.Any]]:
    """Return the sites in front of a host's applications: its own, or those of the first proxy."""
    sites = sites_of(host)
    if sites is None and host.in_group("proxies") is False:
        sites = next((sites_of(proxy) for proxy in host.hosts_of("proxies") or []), None)
    return sites or []


def _refuse_to_cut_off(given: t.Sequence[Given], sites: t.Sequence[dict[str, t.Any]]) -> None:
    """Refuse the removal of an application that a site of this host passes requests on to."""
    for item in given:
        for index, site in enumerate(sites):
            if item.values["gunicorn_app_state"] == "absent" and item.name in named_by(site):
                accepted = f"present, as long as nginx_proxy_sites[{index}] names {item.name}"
                raise Refused(item.place("gunicorn_app_state"), "absent", accepted)


def named_by(site: Mapping[str, t.Any]) -> list[str | None]:
    """Return the applications that a site passes requests on to."""
    return [site["app"], *(location["app"] for location in site["locations"])]


def _served(application: str, sites: list[dict[str, t.Any]]) -> Served | None:
    """Return how the host's sites serve an application; the one that it has whole comes first."""
    found = [
        Served(name, site["tls"]["source"] != "none", site["app"] == application)
        for site in sites
        if application in named_by(site)
        for name in site["domains"]
        if not name.startswith("*")
    ]
    return next((served for served in found if served.whole), found[0] if found else None)


def _certificates(host: Host) -> dict[str, t.Any]:
    return normalise_certificates(host.values("certbot"), sites_of(host))


def sites_of(host: Host) -> list[dict[str, t.Any]] | None:
    """Return the host's sites in their spec's shape, or None where it has none to know of."""
    if host.get("nginx_proxy_sites") is None:
        return None
    return t.cast("list[dict[str, t.Any]]", host.values("nginx_proxy")["nginx_proxy_sites"])


def _floating_address(host: Host) -> dict[str, t.Any]:
    port = options_of("nginx_proxy")["nginx_proxy_status_port"]["default"]
    grouped = bool(host.in_group("proxies"))
    members = (host.hosts_of("proxies") or []) if grouped else [host]
    return normalise_floating_address(
        host.values("floating_address"),
        host.name,
        [_as_proxy(member, member.inventoried() if member is host else member) for member in members],
        grouped=grouped,
        status_port=host.get("nginx_proxy_status_port", port),
    )


def _as_proxy(host: Host, inventoried: Host) -> Proxy:
    said = inventoried.written("floating_address")
    router_id = said.get(
        "floating_address_router_id", options_of("floating_address")["floating_address_router_id"]["default"]
    )
    compared = {
        "floating_address_addresses": said.get("floating_address_addresses"),
        "floating_address_router_id": router_id,
    }
    return Proxy(host.name, _address(host), said.get("floating_address_state", "present") == "present", compared)


_NORMALISERS: dict[str, t.Callable[[Host], dict[str, t.Any]]] = {
    "nginx_proxy": _proxy,
    "gunicorn_app": _applications,
    "certbot": _certificates,
    "floating_address": _floating_address,
}

# When an action plugin is imported, which Ansible does before it forks a process for each host and task: what one of
# these reads is gone with it.
for _role in _NORMALISERS:
    options_of(_role)
