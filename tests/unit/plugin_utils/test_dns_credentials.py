# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials of DNS plugins: their files, and what is refused before the first change."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.dns_credentials import (
    check_credentials,
    credentials_file,
    for_module,
    unit_environment,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

SECRET = "bm90IGEgcmVhbCBvbmU="
RFC2136 = {"dns_rfc2136_server": "192.0.2.53", "dns_rfc2136_name": "acme.", "dns_rfc2136_secret": SECRET}


def dns(plugin: str, credentials: dict[str, t.Any], seconds: int | None = None) -> dict[str, t.Any]:
    return {"plugin": plugin, "credentials": credentials, "propagation_seconds": seconds}


@pytest.mark.parametrize(
    ("plugin", "credentials", "name", "text"),
    [
        ("rfc2136", {**RFC2136, "dns_rfc2136_port": 5353, "dns_rfc2136_algorithm": "hmac-sha512"}, "dns-rfc2136.ini",
         f'dns_rfc2136_server = "192.0.2.53"\ndns_rfc2136_name = "acme."\ndns_rfc2136_secret = "{SECRET}"\n'
         'dns_rfc2136_port = "5353"\ndns_rfc2136_algorithm = "HMAC-SHA512"\n'),
        ("ovh", {"dns_ovh_endpoint": "ovh-eu", "dns_ovh_application_key": 'a"b, #c'}, "dns-ovh.ini",
         'dns_ovh_endpoint = "ovh-eu"\ndns_ovh_application_key = \'a"b, #c\'\n'),
        ("ovh", {"dns_ovh_application_key": "'a\"b"}, "dns-ovh.ini", 'dns_ovh_application_key = """\'a"b"""\n'),
        ("route53", {"aws_access_key_id": "AKIA", "aws_secret_access_key": "a/b+c=="}, "dns-route53.ini",
         "[default]\naws_access_key_id = AKIA\naws_secret_access_key = a/b+c==\n"),
    ],
)  # fmt: skip
def test_file(plugin: str, credentials: dict[str, t.Any], name: str, text: str) -> None:
    check_credentials(plugin, credentials)
    assert credentials_file(dns(plugin, credentials)) == ("/etc/letsencrypt/asgi-deploy/" + name, text)


def test_file_for_google() -> None:
    content = {"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nab\n-----END PRIVATE KEY-----\n"}
    check_credentials("google", content)
    file = credentials_file(dns("google", content))
    assert file is not None
    assert file[0] == "/etc/letsencrypt/asgi-deploy/dns-google.json"
    assert json.loads(file[1]) == content


def test_what_the_host_is_told_has_no_secret() -> None:
    told = for_module(dns("rfc2136", RFC2136, 30))
    file = "/etc/letsencrypt/asgi-deploy/dns-rfc2136.ini"
    assert told == {
        "plugin": "rfc2136", "credentials_file": file, "propagation_seconds": 30,
        "name_server": "192.0.2.53", "name_server_port": 53,
    }  # fmt: skip
    assert for_module(None) is None
    assert for_module(dns("google", {})) == {
        "plugin": "google", "credentials_file": None, "propagation_seconds": None,
        "name_server": None, "name_server_port": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "environment"),
    [
        (None, {}),
        (dns("rfc2136", RFC2136), {}),
        (dns("route53", {}), {}),
        (
            dns("route53", {"aws_access_key_id": "a"}),
            {"AWS_CONFIG_FILE": "/etc/letsencrypt/asgi-deploy/dns-route53.ini"},
        ),
    ],
)
def test_the_units_environment(value: dict[str, t.Any] | None, environment: dict[str, str]) -> None:
    assert unit_environment(value) == environment


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("dns_rfc2136_server", "ns1.example.com", "the name server's IP address"),
        ("dns_rfc2136_algorithm", "sha256", "one of HMAC-MD5, "),
        ("dns_rfc2136_port", 0, "a port from 1 to 65535"),
        ("dns_rfc2136_port", "65536", "a port from 1 to 65535"),
        ("dns_rfc2136_secret", "not base64", "in base64"),
        ("dns_rfc2136_secret", "abc", "in base64"),
        ("dns_rfc2136_name", "", "a value that is not empty"),
        ("dns_rfc2136_name", " ", "a value that is not empty"),
        # A line ends there for certbot.
        ("dns_rfc2136_name", "a\u2028b", "of printable characters"),
        ("dns_rfc2136_name", "a\tb", "of printable characters"),
        ("dns_rfc2136_name", "a%(b)s", "a value that certbot's file can hold"),
        ("dns_rfc2136_name", "\"\"\"'''", "a value that certbot's file can hold"),
    ],
)
def test_refused(name: str, value: t.Any, accepted: str) -> None:
    check_credentials("rfc2136", RFC2136)
    with pytest.raises(Refused) as refused:
        check_credentials("rfc2136", {**RFC2136, name: value})
    assert str(refused.value).startswith(f"certbot_dns_credentials.{name}: (hidden) is refused; accepted: ")
    assert accepted in str(refused.value)
    # Whoever reads a log of CI learns nothing.
    assert f'"{value}"' not in str(refused.value)
