# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot's options for a challenge, and the same in its renewal file."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.challenge_options import (
    challenge_environment,
    challenge_options,
    renewal_settings,
)

FILE = "/etc/letsencrypt/asgi-deploy/dns-{}.ini"


def dns(plugin: str, file: str | None = None, seconds: int | None = None) -> dict[str, t.Any]:
    return {"plugin": plugin, "credentials_file": file, "propagation_seconds": seconds}


@pytest.mark.parametrize(
    ("challenge", "plugin", "options", "settings"),
    [
        ("webroot", None, "--authenticator webroot --webroot-path /var/www/acme",
         {"authenticator": "webroot", "webroot_path": "/var/www/acme,"}),
        # Other certificates of the same host use it.
        ("webroot", dns("ovh", FILE), "--authenticator webroot --webroot-path /var/www/acme",
         {"authenticator": "webroot", "webroot_path": "/var/www/acme,"}),
        ("standalone", None, "--authenticator standalone", {"authenticator": "standalone", "webroot_path": None}),
        ("dns", dns("rfc2136", FILE),
         f"--authenticator dns-rfc2136 --dns-rfc2136-credentials {FILE}",
         {"authenticator": "dns-rfc2136", "webroot_path": None,
          "dns_rfc2136_credentials": FILE, "dns_rfc2136_propagation_seconds": None}),
        ("dns", dns("rfc2136", FILE, 0),
         f"--authenticator dns-rfc2136 --dns-rfc2136-credentials {FILE} --dns-rfc2136-propagation-seconds 0",
         {"authenticator": "dns-rfc2136", "webroot_path": None,
          "dns_rfc2136_credentials": FILE, "dns_rfc2136_propagation_seconds": "0"}),
        ("dns", dns("google", None, 30), "--authenticator dns-google --dns-google-propagation-seconds 30",
         {"authenticator": "dns-google", "webroot_path": None,
          "dns_google_credentials": None, "dns_google_propagation_seconds": "30"}),
        ("dns", dns("route53", FILE), "--authenticator dns-route53",
         {"authenticator": "dns-route53", "webroot_path": None}),
    ],
)  # fmt: skip
def test_options(
    challenge: str, plugin: dict[str, t.Any] | None, options: str, settings: dict[str, str | None]
) -> None:
    certificate = {"challenge": challenge}
    params = {"webroot": "/var/www/acme", "dns": plugin}
    assert challenge_options(certificate, params) == options.split()
    assert renewal_settings(certificate, params) == settings


@pytest.mark.parametrize(
    ("plugin", "environment"),
    [
        (None, {}),
        (dns("rfc2136", FILE), {}),
        (dns("route53"), {}),
        (dns("route53", FILE), {"AWS_CONFIG_FILE": FILE}),
    ],
)
def test_environment(plugin: dict[str, t.Any] | None, environment: dict[str, str]) -> None:
    assert challenge_environment({"dns": plugin}) == environment
