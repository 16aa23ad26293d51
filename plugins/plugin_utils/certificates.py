# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The normaliser of the role certbot."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.hostnames import hostname
from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.redirects import site_names
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.sites import site_name

#: Let's Encrypt's limit, and a sensible one for others.
MOST_NAMES = 100

# A hyphen in front would make certbot read it as an option.
_EMAIL = re.compile(r"(?!-)[A-Za-z0-9.!#%&'*+/=?^_{|}~-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
_URL = re.compile(r"https://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/-]*)?")


def normalise_certificates(
    values: t.Mapping[str, t.Any], sites: t.Sequence[t.Mapping[str, t.Any]] | None
) -> dict[str, t.Any]:
    """Return the complete structure that the role certbot works from.

    :param values: the role's variables, already of the spec's shape
    :param sites: ``nginx_proxy_sites`` of the host, of their spec's shape; None where it has none
    :raises Refused: naming ``certbot_…`` with its place
    """
    email, server = values["certbot_email"], values["certbot_server"]
    if email is not None and not _EMAIL.fullmatch(email):
        raise Refused("certbot_email", email, "an e-mail address")
    if not _URL.fullmatch(server):
        raise Refused("certbot_server", server, "the https:// URL of an ACME directory")
    for name in ("certbot_ca_bundle", "certbot_webroot", "certbot_tls_dir"):
        if values[name] is not None:
            absolute_path(name, values[name])
    return {
        "certificates": _certificates(values["certbot_certificates"], sites),
        "email": email,
        "server": server,
        "ca_bundle": values["certbot_ca_bundle"],
        "key_type": values["certbot_key_type"],
        "webroot": values["certbot_webroot"],
        "tls_dir": values["certbot_tls_dir"],
    }


def _certificates(
    given: t.Sequence[t.Mapping[str, t.Any]] | None, sites: t.Sequence[t.Mapping[str, t.Any]] | None
) -> list[dict[str, t.Any]]:
    ours = {index: site for index, site in enumerate(sites or []) if site["tls"]["source"] == "certbot"}
    if given is None:
        return [
            _certificate(site["name"], site_names(site), f"nginx_proxy_sites[{index}]") for index, site in ours.items()
        ]
    certificates: list[dict[str, t.Any]] = []
    for index, certificate in enumerate(given):
        path = f"certbot_certificates[{index}]"
        checked = _certificate(certificate["name"], certificate["domains"], path)
        if any(other["name"] == checked["name"] for other in certificates):
            raise Refused(f"{path}.name", checked["name"], "each name once")
        if sites is not None:
            _check_served(checked["domains"], sites, path)
        certificates.append(checked)
    for index, site in ours.items():
        _check_covered(site, certificates, f"nginx_proxy_sites[{index}]")
    return certificates


def _certificate(name: str, domains: t.Sequence[str], path: str) -> dict[str, t.Any]:
    site_name(f"{path}.name", name)
    if not domains:
        raise Refused(f"{path}.domains", [], "at least one host name")
    if len(domains) > MOST_NAMES:
        raise Refused(f"{path}.domains", len(domains), f"at most {MOST_NAMES} names a certificate")
    names = []
    for index, domain in enumerate(domains):
        checked = hostname(f"{path}.domains[{index}]", domain)
        if checked.startswith("*"):
            raise Refused(f"{path}.domains[{index}]", domain, "no wildcard: HTTP-01 cannot prove one")
        if checked in names:
            raise Refused(f"{path}.domains[{index}]", domain, "each host name once")
        names.append(checked)
    return {"name": name, "domains": names}


def _check_served(domains: t.Sequence[str], sites: t.Sequence[t.Mapping[str, t.Any]], path: str) -> None:
    served = {str(domain).lower() for site in sites for domain in site_names(site)}
    for index, domain in enumerate(domains):
        if domain not in served:
            raise Refused(
                f"{path}.domains[{index}]",
                domain,
                "a name that a site serves on port 80, or its challenge has no answer",
            )


def _check_covered(site: t.Mapping[str, t.Any], certificates: t.Sequence[t.Mapping[str, t.Any]], path: str) -> None:
    own = next((c for c in certificates if c["name"] == site["name"]), None)
    if own is None:
        raise Refused(
            f"{path}.tls.source",
            "certbot",
            f"a certificate named {site['name']} in certbot_certificates, or another source",
        )
    for index, domain in enumerate(site_names(site)):
        if str(domain).lower() not in own["domains"]:
            raise Refused(
                f"{path}.domains[{index}]", domain, f"a name that certbot_certificates has under {site['name']}"
            )
