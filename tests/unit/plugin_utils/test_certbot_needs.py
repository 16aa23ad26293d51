# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certificates need of their host: packages, units, and which file holds the secrets."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.certbot_needs import (
    AUTHORITIES,
    CONFIG,
    certbot_environment,
    certbot_program,
    environment_of,
    files,
    folders,
    packages,
    private_files,
)

Normalise = t.Callable[..., dict[str, t.Any]]

SECRET = "aHVudGVyMmh1bnRlcjI="
ONE = [{"name": "notes", "domains": ["notes.example.com"]}]
DNS: dict[str, t.Any] = {
    "certbot_certificates": ONE,
    "certbot_challenge": "dns",
    "certbot_dns_plugin": "rfc2136",
    "certbot_dns_credentials": {
        "dns_rfc2136_server": "192.0.2.53",
        "dns_rfc2136_name": "acme",
        "dns_rfc2136_secret": SECRET,
    },
}
ROUTE53: dict[str, t.Any] = {
    "certbot_certificates": ONE,
    "certbot_challenge": "dns",
    "certbot_dns_plugin": "route53",
    "certbot_dns_credentials": {"aws_access_key_id": "AKIA", "aws_secret_access_key": SECRET},
}
OWN = {"certbot_version": "5.8.0"}
OWN_PROGRAM = "/usr/local/lib/asgi.deploy/certbot/current/bin/certbot"
CREDENTIALS = "/etc/letsencrypt/asgi-deploy"
BUNDLE = {"certbot_ca_bundle": "/etc/ca.pem"}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, ["certbot"]),
        (DNS, ["certbot", "python3-certbot-dns-rfc2136"]),
        # The timer is the package's, whichever certbot it starts.
        (OWN, ["certbot", "python3-venv"]),
        ({**DNS, **OWN}, ["certbot", "python3-venv"]),
    ],
)
def test_packages(normalised: Normalise, values: dict[str, t.Any], names: list[str]) -> None:
    assert packages(normalised("certbot", **values)) == names


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        (BUNDLE, {"REQUESTS_CA_BUNDLE": "/etc/ca.pem"}),
        # PyPI's certbot brings a list of its own: one without the administrator's authorities.
        (OWN, {"REQUESTS_CA_BUNDLE": AUTHORITIES}),
        ({**OWN, **BUNDLE}, {"REQUESTS_CA_BUNDLE": "/etc/ca.pem"}),
        (ROUTE53, {"AWS_CONFIG_FILE": f"{CREDENTIALS}/dns-route53.ini"}),
    ],
)
def test_environment(normalised: Normalise, values: dict[str, t.Any], expected: dict[str, str]) -> None:
    structure = normalised("certbot", **values)
    assert certbot_environment(structure) == expected
    unit = files(structure)["/etc/systemd/system/certbot.service.d/asgi-deploy.conf"]["text"]
    for name, value in expected.items():
        assert f"\nEnvironment={name}={value}\n" in unit


@pytest.mark.parametrize(
    ("values", "program", "plugin"),
    [
        ({}, "/usr/bin/certbot", None),
        (DNS, "/usr/bin/certbot", None),
        (OWN, OWN_PROGRAM, None),
        ({**DNS, **OWN}, OWN_PROGRAM, "rfc2136"),
    ],
)
def test_which_certbot(normalised: Normalise, values: dict[str, t.Any], program: str, plugin: str | None) -> None:
    structure = normalised("certbot", **values)
    assert certbot_program(structure) == program
    environment = environment_of(structure)
    assert environment["plugin"] == plugin
    assert environment["version"] == values.get("certbot_version")
    # An empty line first, or systemd would start the package's as well.
    started = re.findall(r"^ExecStart=(.*)$", environment["drop_in"], re.MULTILINE)
    assert started == (["", f"{program} -q renew --no-random-sleep-on-renew"] if structure["version"] else [])


def test_no_unit_starts_certbot_but_its_own(normalised: Normalise) -> None:
    """Of two that renew, each would be the other's lock."""
    for path, file in files(normalised("certbot", certbot_certificates=ONE)).items():
        if path.startswith("/etc/systemd/"):
            assert not re.search(r"^Exec\w+=.*certbot .*renew", file["text"], re.MULTILINE), path


@pytest.mark.parametrize(
    ("values", "path"),
    [(DNS, f"{CREDENTIALS}/dns-rfc2136.ini"), (ROUTE53, f"{CREDENTIALS}/dns-route53.ini")],
)
def test_where_the_secrets_are(normalised: Normalise, values: dict[str, t.Any], path: str) -> None:
    webhook = "https://hooks.example.com/hunter3"
    structure = normalised("certbot", **values, certbot_alarm_webhook=webhook)
    private = private_files(structure)
    assert set(private) == {CONFIG, path}
    assert SECRET in private[path]
    assert SECRET not in private[CONFIG]
    assert json.loads(private[CONFIG])["alarm"] == {"command": None, "webhook": webhook}
    assert folders(structure)[CREDENTIALS] == "0700"
    for open_to_all, file in files(structure).items():
        assert SECRET not in file["text"], open_to_all
        assert webhook not in file["text"], open_to_all


def test_what_the_program_has_to_hold(normalised: Normalise) -> None:
    """What is to be deleted is nothing to complain about."""
    certificates = [*ONE, {"name": "gone", "state": "absent"}]
    structure = normalised("certbot", certbot_certificates=certificates, certbot_deploy_command="systemctl reload x")
    config = json.loads(private_files(structure)[CONFIG])
    assert config["certificates"] == ONE
    assert config["deploy_command"] == "systemctl reload x"
    assert config["tls_dir"] == "/etc/nginx/tls"
