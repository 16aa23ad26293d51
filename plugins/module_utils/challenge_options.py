# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot is told about a certificate's challenge: by options for an order, by its renewal file afterwards."""

from __future__ import annotations

import typing as t

#: route53 waits until the zone has the record, and from certbot 4.0 on refuses to be told how long.
_WAITS_ITSELF = ("route53",)
#: Where this one's credentials are is said by an environment variable.
_BY_ENVIRONMENT = ("route53",)

Params = t.Mapping[str, t.Any]


def challenge_options(certificate: Params, params: Params) -> t.List[str]:
    """Return certbot's options.

    :param certificate: with its ``challenge``
    :param params: ``webroot``, and ``dns``, None or a dictionary of ``plugin``, ``credentials_file`` and
        ``propagation_seconds``, the last two None where there is no such thing
    """
    challenge = certificate["challenge"]
    if challenge == "webroot":
        return ["--authenticator", "webroot", "--webroot-path", params["webroot"]]
    if challenge == "standalone":
        return ["--authenticator", "standalone"]
    options = ["--authenticator", "dns-" + params["dns"]["plugin"]]
    for name, value in _dns_settings(params["dns"]).items():
        if value is not None:
            options += ["--" + name.replace("_", "-"), value]
    return options


def renewal_settings(certificate: Params, params: Params) -> t.Dict[str, t.Optional[str]]:
    """Return what the same options leave in ``[renewalparams]``; None for a key that must not be there."""
    challenge = certificate["challenge"]
    if challenge == "dns":
        return {
            "authenticator": "dns-" + params["dns"]["plugin"],
            "webroot_path": None,
            **_dns_settings(params["dns"]),
        }
    # certbot writes a list, and a list of one ends with a comma.
    return {"authenticator": challenge, "webroot_path": params["webroot"] + "," if challenge == "webroot" else None}


def challenge_environment(params: Params) -> t.Dict[str, str]:
    """Return what certbot needs in its environment to find the credentials."""
    dns = params["dns"]
    if dns and dns["plugin"] in _BY_ENVIRONMENT and dns["credentials_file"]:
        return {"AWS_CONFIG_FILE": dns["credentials_file"]}
    return {}


def _dns_settings(dns: Params) -> t.Dict[str, t.Optional[str]]:
    prefix = "dns_{0}_".format(dns["plugin"])
    seconds = dns["propagation_seconds"]
    settings: t.Dict[str, t.Optional[str]] = {}
    if dns["plugin"] not in _BY_ENVIRONMENT:
        settings[prefix + "credentials"] = dns["credentials_file"]
    if dns["plugin"] not in _WAITS_ITSELF:
        settings[prefix + "propagation_seconds"] = None if seconds is None else str(seconds)
    return settings
