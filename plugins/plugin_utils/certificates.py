# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The normaliser of the role certbot."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.acme import (
    account_of,
    alarm_of,
    dns_of,
    profile,
    profiles_of,
    server_of,
    shell_command,
    version_of,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.hostnames import hostname
from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.redirects import site_names
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.sites import lineage_of, site_name

#: Let's Encrypt's limit, and a sensible one for others.
MOST_NAMES = 100

#: Lineages have archives named after them, and this is where certbot keeps its own README.
_NOT_A_LINEAGE = ("readme",)

Sites = t.Sequence[t.Mapping[str, t.Any]]
Values = t.Mapping[str, t.Any]


def normalise_certificates(values: Values, sites: Sites | None) -> dict[str, t.Any]:
    """Return the complete structure that the role certbot works from.

    ``certificates`` (each with ``path``, ``name``, ``domains``, ``state``, ``revoke``, ``revoke_reason``,
    ``challenge``, ``key_type``, ``elliptic_curve`` or None, ``rsa_key_size`` or None, ``profile`` or None),
    ``profiles`` (variable to profile), ``server``, ``staging``, ``rehearsal`` (a server's URL or None), ``ca_bundle``,
    ``email``, ``eab``, ``dns``, ``probe``, ``ignore_cooldown``, ``version``, ``deploy_command``, ``alarm``,
    ``textfile_dir``, ``webroot``, ``tls_dir``.

    :param values: the role's variables, already of the spec's shape
    :param sites: ``nginx_proxy_sites`` of the host, of their spec's shape; None where it has none
    :raises Refused: naming ``certbot_…`` with its place
    """
    for name in ("certbot_ca_bundle", "certbot_webroot", "certbot_tls_dir", "certbot_textfile_dir"):
        if values[name] is not None:
            absolute_path(name, values[name])
    profiles = profiles_of(values)
    server, account = server_of(values), account_of(values)
    certificates = _certificates(values, sites)
    return {
        "certificates": certificates,
        "profiles": profiles,
        **server,
        **account,
        "ca_bundle": values["certbot_ca_bundle"],
        "dns": dns_of(values, any(item["challenge"] == "dns" and item["state"] == "present" for item in certificates)),
        "probe": values["certbot_probe"],
        "ignore_cooldown": values["certbot_ignore_cooldown"],
        "version": version_of(values),
        "deploy_command": shell_command(values, "certbot_deploy_command"),
        "alarm": alarm_of(values),
        "textfile_dir": values["certbot_textfile_dir"],
        "webroot": values["certbot_webroot"],
        "tls_dir": values["certbot_tls_dir"],
    }


def _certificates(values: Values, sites: Sites | None) -> list[dict[str, t.Any]]:
    ours = {index: site for index, site in enumerate(sites or []) if site["tls"]["source"] == "certbot"}
    if values["certbot_certificates"] is None:
        return _of_the_sites(values, ours, sites)
    certificates: list[dict[str, t.Any]] = []
    for index, given in enumerate(values["certbot_certificates"]):
        path = f"certbot_certificates[{index}]"
        places = [(f"{path}.domains[{number}]", domain) for number, domain in enumerate(given["domains"])]
        checked = _certificate(values, given, path, places, sites)
        if any(other["name"] == checked["name"] for other in certificates):
            raise Refused(f"{path}.name", checked["name"], "each name once")
        _check_doubled(checked, certificates)
        certificates.append(checked)
    for index, site in ours.items():
        _check_covered(site, certificates, f"nginx_proxy_sites[{index}]")
    return certificates


def _of_the_sites(
    values: Values, ours: dict[int, t.Mapping[str, t.Any]], sites: Sites | None
) -> list[dict[str, t.Any]]:
    """Return one certificate for each lineage that the sites name, for all names of those sites."""
    lineages: dict[str, list[tuple[str, str]]] = {}
    places: dict[str, str] = {}
    for index, site in ours.items():
        path, name = f"nginx_proxy_sites[{index}]", lineage_of(site)
        places.setdefault(name, path)
        known = {domain.lower() for _place, domain in lineages.setdefault(name, [])}
        # Of two sites that share one, each has its own names; a site's own doubles are for the check to find.
        lineages[name] += [(f"{path}.domains[{number}]", domain) for number, domain in enumerate(site["domains"])]
        redirected = [item for item in site_names(site)[len(site["domains"]) :] if item.lower() not in known]
        lineages[name] += [(f"{path}.redirects", domain) for domain in redirected]
    return [
        _certificate(values, {"name": name}, places[name], _not_doubled(found), sites)
        for name, found in lineages.items()
    ]


def _not_doubled(places: t.Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the names that no wildcard among them covers: CAs refuse an order that has both."""
    names = [str(domain).lower() for _place, domain in places]
    return [place for place, name in zip(places, names, strict=True) if not _has_wildcard(name, names)]


def _has_wildcard(name: str, names: t.Container[str]) -> bool:
    """Return whether a wildcard among ``names`` covers ``name``, which is none itself."""
    return not name.startswith("*") and "*." + name.partition(".")[2] in names


def _certificate(
    values: Values, given: t.Mapping[str, t.Any], path: str, places: t.Sequence[tuple[str, str]], sites: Sites | None
) -> dict[str, t.Any]:
    """:param places: the host names, each after its place in the inventory"""
    name, state = given["name"], given.get("state", "present")
    if site_name(f"{path}.name", name) in _NOT_A_LINEAGE:
        raise Refused(f"{path}.name", name, "a name that certbot does not use itself")
    challenge = given.get("challenge") or values["certbot_challenge"]
    key_type = given.get("key_type") or values["certbot_key_type"]
    if state == "present":
        if given.get("revoke"):
            raise Refused(f"{path}.revoke", True, "true together with state absent")
        domains = _domains(path, places, challenge)
        _check_challenge(challenge, domains, places, path, sites)
    else:
        # What is deleted is deleted whatever it is for.
        domains = [str(domain).lower() for _place, domain in places]
    return {
        "path": path,
        "name": name,
        "domains": domains,
        "state": state,
        "revoke": given.get("revoke", False),
        "revoke_reason": given.get("revoke_reason", "unspecified"),
        "challenge": challenge,
        "key_type": key_type,
        "elliptic_curve": values["certbot_elliptic_curve"] if key_type == "ecdsa" else None,
        "rsa_key_size": values["certbot_rsa_key_size"] if key_type == "rsa" else None,
        "profile": profile(f"{path}.profile", given.get("profile")) or values["certbot_profile"],
    }


def _domains(path: str, places: t.Sequence[tuple[str, str]], challenge: str) -> list[str]:
    if not places:
        raise Refused(f"{path}.domains", [], "at least one host name")
    if len(places) > MOST_NAMES:
        raise Refused(f"{path}.domains", len(places), f"at most {MOST_NAMES} names a certificate")
    names: list[str] = []
    for place, domain in places:
        checked = hostname(place, domain)
        if checked.startswith("*") and challenge != "dns":
            raise Refused(place, domain, "no wildcard: HTTP-01 cannot prove one, only the challenge dns can")
        if checked in names:
            raise Refused(place, domain, "each host name once")
        names.append(checked)
    for (place, domain), name in zip(places, names, strict=True):
        if _has_wildcard(name, names):
            # Let's Encrypt refuses the order, and says so only when it is placed.
            raise Refused(place, domain, "a name that the certificate's own wildcard does not cover")
    return names


def _check_challenge(
    challenge: str, domains: t.Sequence[str], places: t.Sequence[tuple[str, str]], path: str, sites: Sites | None
) -> None:
    if challenge == "standalone" and sites:
        raise Refused(f"{path}.challenge", challenge, "webroot or dns, for nginx has port 80 on this host")
    if challenge != "webroot" or sites is None:
        return
    served = {str(domain).lower() for site in sites for domain in site_names(site)}
    for (place, domain), name in zip(places, domains, strict=True):
        if name not in served and not _has_wildcard(name, served):
            raise Refused(place, domain, "a name that a site serves on port 80, or its challenge has no answer")


def _check_doubled(certificate: t.Mapping[str, t.Any], others: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    """Refuse a second certificate of the same kind for the same names: it only takes from the CA's limit for them."""

    def kind(item: t.Mapping[str, t.Any]) -> tuple[t.Any, ...]:
        return (item["state"], set(item["domains"]), item["key_type"], item["profile"])

    if certificate["state"] == "present":
        for other in others:
            if kind(other) == kind(certificate):
                accepted = f"other names than those of {other['name']}, which sites can share by tls.lineage"
                raise Refused(f"{certificate['path']}.domains", certificate["domains"], accepted)


def _check_covered(site: t.Mapping[str, t.Any], certificates: t.Sequence[t.Mapping[str, t.Any]], path: str) -> None:
    name = lineage_of(site)
    own = next((certificate for certificate in certificates if certificate["name"] == name), None)
    if own is None:
        place, value = ("lineage", name) if site["tls"]["lineage"] else ("source", "certbot")
        raise Refused(
            f"{path}.tls.{place}", value, f"a certificate named {name} in certbot_certificates, or another {place}"
        )
    if own["state"] == "absent":
        # The site goes on with the self-signed pair.
        return
    for index, domain in enumerate(site_names(site)):
        lower = str(domain).lower()
        if lower not in own["domains"] and not _has_wildcard(lower, own["domains"]):
            place = f"domains[{index}]" if index < len(site["domains"]) else "redirects"
            raise Refused(f"{path}.{place}", domain, f"a name that certbot_certificates has under {name}")
