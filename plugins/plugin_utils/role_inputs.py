# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables of a host to a role's normalised structure."""

from __future__ import annotations

import difflib
import functools
import pathlib
import typing as t
from collections.abc import Mapping

import yaml

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_proof import Served
from ansible_collections.asgi.deploy.plugins.plugin_utils.applications import (
    Given,
    given_applications,
    normalise_applications,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.certificates import normalise_certificates
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.shape import conform, plain
from ansible_collections.asgi.deploy.plugins.plugin_utils.sites import Surroundings, normalise_proxy
from ansible_collections.asgi.deploy.plugins.plugin_utils.timeouts import Application

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


#: Either of these says which applications a host has.
_SAYS_APPLICATIONS = ("gunicorn_app_name", "gunicorn_app_applications")

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

    def addresses(self, group: str) -> list[str] | None:
        """Return where the hosts of ``group`` are reached, or None where the inventory has no such group."""
        groups = self._variables.get("groups") or {}
        if group not in groups:
            return None
        others = self._variables.get("hostvars") or {}
        found = [plain(self._template(others[name].get("ansible_host", name))) for name in groups[group]]
        return [f"[{address}]" if ":" in str(address) else str(address) for address in found]


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
    return t.cast("Mapping[str, t.Any]", yaml.safe_load(text)["argument_specs"]["main"]["options"])


def normalise(role: str, host: Host) -> dict[str, t.Any]:
    """Return the normalised structure of ``role`` for ``host``.

    :raises Refused: at the first variable that must not reach the host
    """
    return _NORMALISERS[role](host)


def _proxy(host: Host) -> dict[str, t.Any]:
    apps_here = host.in_group("apps")
    if apps_here is None and host.in_group("proxies"):
        # An inventory of ours in which nobody is an application host, or the group is misspelt.
        apps_here = False
    known = None
    if apps_here is not False and any(host.get(name) is not None for name in _SAYS_APPLICATIONS):
        known = {
            application.name: Application(
                application.name,
                application.values["gunicorn_app_timeout"],
                application.values["gunicorn_app_health_path"],
            )
            for application in _given(host)
            if application.values["gunicorn_app_state"] == "present"
        }
    return normalise_proxy(host.values("nginx_proxy"), Surroundings(apps_here, known, host.addresses))


def _given(host: Host) -> list[Given]:
    return given_applications(options_of("gunicorn_app"), host.written("gunicorn_app"))


def _applications(host: Host) -> dict[str, t.Any]:
    given = _given(host)
    sites = _sites(host) or []
    if sites and host.in_group("apps") and host.in_group("proxies") is None:
        raise Refused("groups.proxies", None, "a group of this name, for the host has nginx_proxy_sites to be served")
    if host.in_group("proxies") is not False:
        _refuse_to_cut_off(given, sites)
    applications = normalise_applications(
        given,
        lambda name: _served(name, sites),
        vcpus=host.fact("processor_nproc") or host.fact("processor_vcpus"),
        memory_mb=host.fact("memtotal_mb"),
    )
    return {"applications": applications}


def _refuse_to_cut_off(given: t.Sequence[Given], sites: t.Sequence[dict[str, t.Any]]) -> None:
    """Refuse the removal of an application that a site of this host passes requests on to."""
    for item in given:
        for index, site in enumerate(sites):
            if item.values["gunicorn_app_state"] == "absent" and item.name in _named_by(site):
                accepted = f"present, as long as nginx_proxy_sites[{index}] names {item.name}"
                raise Refused(item.place("gunicorn_app_state"), "absent", accepted)


def _named_by(site: Mapping[str, t.Any]) -> list[str | None]:
    """Return the applications that a site passes requests on to."""
    return [site["app"], *(location["app"] for location in site["locations"])]


def _served(application: str, sites: list[dict[str, t.Any]]) -> Served | None:
    """Return how the host's sites serve an application; the one that it has whole comes first."""
    found = [
        Served(name, site["tls"]["source"] != "none", site["app"] == application)
        for site in sites
        if application in _named_by(site)
        for name in site["domains"]
        if not name.startswith("*")
    ]
    return next((served for served in found if served.whole), found[0] if found else None)


def _certificates(host: Host) -> dict[str, t.Any]:
    return normalise_certificates(host.values("certbot"), _sites(host))


def _sites(host: Host) -> list[dict[str, t.Any]] | None:
    """Return the host's sites in their spec's shape, or None where it has none to know of."""
    if host.get("nginx_proxy_sites") is None:
        return None
    return t.cast("list[dict[str, t.Any]]", host.values("nginx_proxy")["nginx_proxy_sites"])


_NORMALISERS: dict[str, t.Callable[[Host], dict[str, t.Any]]] = {
    "nginx_proxy": _proxy,
    "gunicorn_app": _applications,
    "certbot": _certificates,
}
