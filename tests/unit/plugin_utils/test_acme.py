# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server, account, DNS plugin and alarm: what is refused, what follows, and that no secret is shown."""

from __future__ import annotations

import typing as t

import pytest

Refusal = t.Callable[..., str]
Normalise = t.Callable[..., dict[str, t.Any]]

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
TRIALS = "https://acme-staging-v02.api.letsencrypt.org/directory"
PRIVATE = "https://ca.example.com/dir"
PRIVATE_TRIALS = "https://trials.example.com/dir"

#: Stands in every value that must not be shown.
SECRET = "hunter2hunter2hunter2abc"

URL = "the https:// URL of an ACME directory"
EAB_KEY = "the key that the CA gave you, in base64url"
WEBHOOK = "an http:// or https:// URL"
RELEASE = "a released version, such as 5.8.0 (quote it)"
PROFILE = "the name of one of the CA's profiles, such as shortlived"

VARIABLES: list[tuple[str, t.Any, str, str]] = [
    ("email", "ops", '"ops"', "an e-mail address"),
    ("email", "ops@example", '"ops@example"', "an e-mail address"),
    ("email", "ops@example.com\n", '"ops@example.com\\n"', "an e-mail address"),
    ("email", "--x@example.com,b@c.de", '"--x@example.com,b@c.de"', "an e-mail address"),
    ("email", "", '""', "an e-mail address"),
    ("email", True, "true", "a string (quote it)"),
    ("server", "letsencrypt", '"letsencrypt"', URL),
    ("server", "http://ca.example.com/dir", '"http://ca.example.com/dir"', URL),
    ("server", "https://ca/d ir", '"https://ca/d ir"', URL),
    ("server", "https://ca/dir\n", '"https://ca/dir\\n"', URL),
    ("server", "https://me:hunter2@ca/dir", '"https://***@ca/dir"', URL),
    ("staging_server", "staging", '"staging"', URL),
    ("staging_server", LETS_ENCRYPT, f'"{LETS_ENCRYPT}"', "another server than certbot_server"),
    ("eab_kid", "a b", '"a b"', "the key identifier that the CA gave you"),
    ("eab_kid", "--dry-run", '"--dry-run"', "the key identifier that the CA gave you"),
    ("eab_kid", "kid\nserver = https://x", '"kid\\nserver = https://x"', "the key identifier that the CA gave you"),
    ("eab_kid", "kid-1", "null", "a value together with certbot_eab_kid"),
    ("eab_hmac_key", SECRET, "null", "a value together with certbot_eab_hmac_key"),
    ("eab_hmac_key", SECRET + "\n", "(hidden)", EAB_KEY),
    ("eab_hmac_key", SECRET + "+/", "(hidden)", EAB_KEY),
    ("eab_hmac_key", SECRET[:15], "(hidden)", EAB_KEY),
    ("eab_hmac_key", [SECRET], "(hidden)", "a string"),
    ("profile", "short lived", '"short lived"', PROFILE),
    ("profile", "--force-renewal", '"--force-renewal"', PROFILE),
    ("profile", "", '""', PROFILE),
    ("version", "latest", '"latest"', RELEASE),
    ("version", ">=5", '">=5"', RELEASE),
    ("version", "5.8.0 --pre", '"5.8.0 --pre"', RELEASE),
    ("version", "5", '"5"', RELEASE),
    ("version", 5.8, "5.8", "a string (quote it)"),
    ("dns_plugin", "bind", '"bind"', "one of cloudflare, digitalocean"),
    ("dns_propagation_seconds", -1, "-1", "an integer from 0 to 7200"),
    ("dns_propagation_seconds", 7201, "7201", "an integer from 0 to 7200"),
    ("dns_propagation_seconds", "60s", '"60s"', "a whole number"),
    ("dns_credentials", SECRET, "(hidden)", "a dictionary"),
    ("deploy_command", " ", '" "', "a shell command"),
    ("deploy_command", "a\0b", '"a\\u0000b"', "a shell command"),
    ("alarm_command", "", '""', "a shell command"),
    ("alarm_webhook", "hooks.example.com/" + SECRET, "(hidden)", WEBHOOK),
    ("alarm_webhook", f"ftp://example.com/{SECRET}", "(hidden)", WEBHOOK),
    ("alarm_webhook", f"https://example.com/{SECRET} x", "(hidden)", WEBHOOK),
    ("alarm_webhook", f"https://example.com/{SECRET}\n", "(hidden)", WEBHOOK),
]

#: The variable that is refused where another one is what was set.
ABSENT = {"eab_kid": "eab_hmac_key", "eab_hmac_key": "eab_kid"}


@pytest.mark.parametrize(("name", "value", "shown", "accepted"), VARIABLES)
def test_variable(refusal: Refusal, name: str, value: t.Any, shown: str, accepted: str) -> None:
    line = refusal("certbot", **{f"certbot_{name}": value})
    refused = ABSENT[name] if shown == "null" else name
    assert line.startswith(f"certbot_{refused}: {shown} is refused; accepted: ")
    assert accepted in line
    assert SECRET[:15] not in line


@pytest.mark.parametrize("email", ["o'neill+acme@mail.example.com", "a@xn--mnchen-3ya.example"])
@pytest.mark.parametrize("server", ["https://localhost:14000/dir", "https://[2001:db8::1]/d", "https://ca.example.com"])
def test_odd_but_right(normalised: Normalise, email: str, server: str) -> None:
    structure = normalised("certbot", certbot_email=email, certbot_server=server)
    assert (structure["email"], structure["server"]) == (email, server)


@pytest.mark.parametrize(
    ("variables", "server", "staging", "rehearsal"),
    [
        ({}, LETS_ENCRYPT, False, TRIALS),
        ({"rehearse": False}, LETS_ENCRYPT, False, None),
        ({"staging": True}, TRIALS, True, None),
        # A server that this collection does not know has no other for trials, unless it is named.
        ({"server": PRIVATE}, PRIVATE, False, None),
        ({"server": PRIVATE, "staging_server": PRIVATE_TRIALS}, PRIVATE, False, PRIVATE_TRIALS),
        ({"server": PRIVATE, "staging_server": PRIVATE_TRIALS, "staging": True}, PRIVATE_TRIALS, True, None),
        ({"staging_server": PRIVATE_TRIALS}, LETS_ENCRYPT, False, PRIVATE_TRIALS),
        # Written by hand as the server: no rehearsal at itself.
        ({"server": TRIALS}, TRIALS, False, None),
    ],
)
def test_which_server_is_asked(
    normalised: Normalise, variables: dict[str, t.Any], server: str, staging: bool, rehearsal: str | None
) -> None:
    structure = normalised("certbot", **{f"certbot_{name}": value for name, value in variables.items()})
    assert (structure["server"], structure["staging"], structure["rehearsal"]) == (server, staging, rehearsal)


def test_staging_at_a_server_that_has_none(refusal: Refusal) -> None:
    line = refusal("certbot", certbot_server=PRIVATE, certbot_staging=True)
    assert line == "certbot_staging: true is refused; accepted: true together with certbot_staging_server"


def test_external_account(normalised: Normalise) -> None:
    # Keys of CAs come with padding and without it.
    for key in (SECRET, SECRET + "_-A=", SECRET + "=="):
        structure = normalised("certbot", certbot_eab_kid="https://ca/kid/1", certbot_eab_hmac_key=key)
        assert structure["eab"] == {"kid": "https://ca/kid/1", "hmac_key": key}


def with_dns(plugin: str | None, **credentials: t.Any) -> dict[str, t.Any]:
    values = {"certbot_dns_plugin": plugin, "certbot_dns_credentials": credentials or None}
    certificates = [{"name": "wildcard", "domains": ["*.example.com"]}]
    return {"certbot_challenge": "dns", "certbot_certificates": certificates, **values}


RFC2136 = {"dns_rfc2136_server": "192.0.2.53", "dns_rfc2136_name": "key.", "dns_rfc2136_secret": SECRET}
NAMES = "certbot's names as keys, such as dns_rfc2136_server"

PLUGINS: list[tuple[dict[str, t.Any], str, str]] = [
    (with_dns(None), "_plugin: null", "the name of certbot's plugin for the zone; the challenge dns needs it"),
    (with_dns("cloudflare"), "_credentials: (hidden)", "a dictionary with what the plugin cloudflare needs"),
    (
        with_dns("rfc2136", dns_rfc2136_secret=SECRET),
        "_credentials: (hidden)",
        "a dictionary with dns_rfc2136_server and dns_rfc2136_name",
    ),
    (with_dns("rfc2136", **RFC2136, api_token=SECRET), "_credentials.api_token: (hidden)", "begins with dns_rfc2136_"),
    (with_dns("ovh", dns_linode_key=SECRET), "_credentials.dns_linode_key: (hidden)", "begins with dns_ovh_"),
    (with_dns("linode", **{"dns linode": SECRET}), "_credentials: (hidden)", NAMES),
    (with_dns("linode", **{"dns_linode_key\n[x]": SECRET}), "_credentials: (hidden)", NAMES),
    (with_dns("linode", **{SECRET + "!": 1}), "_credentials: (hidden)", NAMES),
    (with_dns("linode", dns_linode_key=None), "_credentials.dns_linode_key: (hidden)", "a string or a number"),
    (with_dns("linode", dns_linode_key=True), "_credentials.dns_linode_key: (hidden)", "a string or a number"),
    (with_dns("linode", dns_linode_key=[SECRET]), "_credentials.dns_linode_key: (hidden)", "a string or a number"),
    (with_dns("linode", dns_linode_key=f"{SECRET}\nx = y"), "_credentials.dns_linode_key: (hidden)", "of one line"),
    (with_dns("linode", dns_linode_key=f"{SECRET}\0"), "_credentials.dns_linode_key: (hidden)", "of one line"),
]


@pytest.mark.parametrize(("values", "refused", "accepted"), PLUGINS)
def test_plugin(refusal: Refusal, values: dict[str, t.Any], refused: str, accepted: str) -> None:
    line = refusal("certbot", **values)
    assert line.startswith(f"certbot_dns{refused} is refused; accepted: ")
    assert accepted in line
    assert SECRET not in line


@pytest.mark.parametrize(
    ("plugin", "credentials"),
    [
        ("rfc2136", {**RFC2136, "dns_rfc2136_port": 5353, "dns_rfc2136_algorithm": "HMAC-SHA512"}),
        ("cloudflare", {"dns_cloudflare_api_token": SECRET}),
        # Its names are those of its own JSON file, and the key is of many lines.
        ("google", {"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nx\n"}),
        ("google", {}),
        ("route53", {"aws_access_key_id": "AKIA", "aws_secret_access_key": SECRET}),
        ("route53", {}),
    ],
)
def test_credentials(normalised: Normalise, plugin: str, credentials: dict[str, t.Any]) -> None:
    # route53 takes no time: it waits for the zone by itself.
    seconds = None if plugin == "route53" else 0
    values = {**with_dns(plugin, **credentials), "certbot_dns_propagation_seconds": seconds}
    structure = normalised("certbot", **values)
    assert structure["dns"] == {"plugin": plugin, "credentials": credentials, "propagation_seconds": seconds}


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ({}, {}),
        ({"certbot_version": "3.3.0"}, {}),
        ({"certbot_profile": "tlsserver"}, {"certbot_profile": "tlsserver"}),
        ({"certbot_profile": "tlsserver", "certbot_version": "4.0.0"}, {"certbot_profile": "tlsserver"}),
        ({"certbot_certificates": [{"name": "a", "domains": ["a.example.com"], "profile": "shortlived"}]},
         {"certbot_certificates[0].profile": "shortlived"}),
        # What is deleted needs none.
        ({"certbot_certificates": [{"name": "a", "state": "absent", "profile": "x"}], "certbot_version": "3.3.0"}, {}),
    ],
)  # fmt: skip
def test_profiles(normalised: Normalise, values: dict[str, t.Any], asked: dict[str, str]) -> None:
    assert normalised("certbot", **values)["profiles"] == asked


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"certbot_profile": "shortlived"}, "certbot_profile"),
        ({"certbot_certificates": [{"name": "a", "domains": ["a.example.com"], "profile": "shortlived"}]},
         "certbot_certificates[0].profile"),
    ],
)  # fmt: skip
def test_a_version_without_profiles(refusal: Refusal, values: dict[str, t.Any], path: str) -> None:
    line = refusal("certbot", **values, certbot_version="3.3.0")
    accepted = "no value with certbot_version 3.3.0; profiles came with 4.0"
    assert line == f'{path}: "shortlived" is refused; accepted: {accepted}'


def test_a_wait_for_route53(refusal: Refusal) -> None:
    line = refusal("certbot", **{**with_dns("route53"), "certbot_dns_propagation_seconds": 30})
    assert line.startswith("certbot_dns_propagation_seconds: 30 is refused; accepted: no value: route53")


def test_a_plugin_that_no_certificate_uses_is_left_out(normalised: Normalise) -> None:
    values = {**with_dns("rfc2136", **RFC2136), "certbot_challenge": "webroot"}
    one = {"name": "notes", "domains": ["notes.example.com"]}
    assert normalised("certbot", **{**values, "certbot_certificates": [one]})["dns"] is None
    # One certificate is enough.
    certificates = [one, {"name": "wildcard", "domains": ["*.example.com"], "challenge": "dns"}]
    assert normalised("certbot", **{**values, "certbot_certificates": certificates})["dns"]["plugin"] == "rfc2136"


def test_commands_and_alarm(normalised: Normalise) -> None:
    structure = normalised(
        "certbot",
        certbot_version="5.8.0",
        certbot_profile="tlsserver",
        certbot_deploy_command="systemctl reload postfix\n",
        certbot_alarm_command="mail -s Certificates root",
        certbot_alarm_webhook="https://hooks.example.com/services/T0/B0?key=x",
        certbot_textfile_dir="/srv/collector",
    )
    assert structure["version"] == "5.8.0"
    assert structure["deploy_command"] == "systemctl reload postfix\n"
    assert structure["alarm"] == {
        "command": "mail -s Certificates root",
        "webhook": "https://hooks.example.com/services/T0/B0?key=x",
    }
    assert structure["textfile_dir"] == "/srv/collector"
