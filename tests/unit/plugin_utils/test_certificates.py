# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot's inputs: what INPUTS refuses, and what follows from the sites."""

from __future__ import annotations

import typing as t

import pytest

Refusal = t.Callable[..., str]
Normalise = t.Callable[..., dict[str, t.Any]]

SITES = [
    {"name": "notes", "domains": ["Notes.example.com", "www.example.com"], "app": "notes"},
    {"name": "plain", "domains": ["plain.example.com"], "app": "notes", "tls": {"source": "none"}},
]
MANY = [f"a{number}.example.com" for number in range(101)]


def one(**changes: t.Any) -> list[dict[str, t.Any]]:
    certificate = {"name": "notes", "domains": ["notes.example.com", "www.example.com"], **changes}
    return [{key: value for key, value in certificate.items() if value is not ...}]


VARIABLES: list[tuple[str, t.Any, str, str]] = [
    ("email", "ops", '"ops"', "an e-mail address"),
    ("email", "ops@example", '"ops@example"', "an e-mail address"),
    ("email", "ops@example.com\n", '"ops@example.com\\n"', "an e-mail address"),
    ("email", "--x@example.com,b@c.de", '"--x@example.com,b@c.de"', "an e-mail address"),
    ("email", True, "true", "a string (quote it)"),
    ("server", "letsencrypt", '"letsencrypt"', "the https:// URL of an ACME directory"),
    ("server", "http://ca.example.com/dir", '"http://ca.example.com/dir"', "the https:// URL of an ACME directory"),
    ("server", "https://ca/d ir", '"https://ca/d ir"', "the https:// URL of an ACME directory"),
    ("server", "https://ca/dir\n", '"https://ca/dir\\n"', "the https:// URL of an ACME directory"),
    ("server", "https://me:hunter2@ca/dir", '"https://***@ca/dir"', "the https:// URL of an ACME directory"),
    ("ca_bundle", "ca.pem", '"ca.pem"', "an absolute path"),
    ("ca_bundle", "/etc/c a.pem", '"/etc/c a.pem"', "an absolute path"),
    ("webroot", "www", '"www"', "an absolute path"),
    ("tls_dir", "/etc/../x", '"/etc/../x"', "without '..'"),
    ("key_type", "ed25519", '"ed25519"', "one of ecdsa, rsa"),
    ("key_type", "ECDSA", '"ECDSA"', "one of ecdsa, rsa"),
    ("challenge", "dns", '"dns"', "one of webroot"),
    ("certificates", {"name": "a"}, '{"name": "a"}', "a list of dict"),
]


@pytest.mark.parametrize(("name", "value", "shown", "accepted"), VARIABLES)
def test_variable(refusal: Refusal, name: str, value: t.Any, shown: str, accepted: str) -> None:
    line = refusal("certbot", **{f"certbot_{name}": value})
    assert line.startswith(f"certbot_{name}: {shown} is refused; accepted: ")
    assert accepted in line


CERTIFICATES: list[tuple[list[t.Any], str, str, str]] = [
    (["notes"], "", '"notes"', "a dictionary"),
    (one(names=["a"]), ".names", '["a"]', "did you mean name?"),
    (one(name=...), ".name", "null", "it is required"),
    (one(domains=...), ".domains", "null", "it is required"),
    (one(domains=[]), ".domains", "[]", "at least one host name"),
    (one(name="../x"), ".name", '"../x"', "lower-case letters, digits"),
    (one(state="gone"), ".state", '"gone"', "one of present"),
    (one(domains=["*.example.com"]), ".domains[0]", '"*.example.com"', "no wildcard: HTTP-01 cannot prove one"),
    (one(domains=["a.com", "A.com"]), ".domains[1]", '"A.com"', "each host name once"),
    (one(domains=["a b"]), ".domains[0]", '"a b"', "a host name such as"),
    (one(domains=MANY), ".domains", "101", "at most 100 names a certificate"),
    (one(domains=["other.example.com"]), ".domains[0]", '"other.example.com"', "a name that a site serves on port 80"),
]


@pytest.mark.parametrize(("certificates", "place", "shown", "accepted"), CERTIFICATES)
def test_certificate(refusal: Refusal, certificates: list[t.Any], place: str, shown: str, accepted: str) -> None:
    line = refusal("certbot", certbot_certificates=certificates, nginx_proxy_sites=SITES)
    assert line.startswith(f"certbot_certificates[0]{place}: {shown} is refused; accepted: ")
    assert accepted in line


@pytest.mark.parametrize(
    ("certificates", "expected"),
    [
        (one() + one(), 'certbot_certificates[1].name: "notes" is refused; accepted: each name once'),
        ([], 'nginx_proxy_sites[0].tls.source: "certbot" is refused; accepted: a certificate named notes in'),
        (one(name="other"), 'nginx_proxy_sites[0].tls.source: "certbot" is refused; accepted: a certificate'),
        (
            one(domains=["notes.example.com"]),
            'nginx_proxy_sites[0].domains[1]: "www.example.com" is refused; accepted: a name that certbot_certificates',
        ),
    ],
)
def test_sites_and_certificates_belong_together(
    refusal: Refusal, certificates: list[dict[str, t.Any]], expected: str
) -> None:
    assert refusal("certbot", certbot_certificates=certificates, nginx_proxy_sites=SITES).startswith(expected)


@pytest.mark.parametrize(
    ("domains", "place", "accepted"),
    [
        (["*.example.com"], ".domains[0]", "no wildcard"),
        (MANY, ".domains", "at most 100 names"),
        (["a;b"], ".domains[0]", "a host name such as"),
        ([], ".domains", "at least one host name"),
    ],
)
def test_a_site_without_an_own_entry_is_named(refusal: Refusal, domains: list[str], place: str, accepted: str) -> None:
    line = refusal("certbot", nginx_proxy_sites=[{"name": "notes", "domains": domains, "app": "notes"}])
    assert line.startswith(f"nginx_proxy_sites[0]{place}: ")
    assert accepted in line


def test_complete_from_the_sites(normalised: Normalise) -> None:
    assert normalised("certbot", nginx_proxy_sites=SITES) == {
        "certificates": [{"name": "notes", "domains": ["notes.example.com", "www.example.com"]}],
        "email": None,
        "server": "https://acme-v02.api.letsencrypt.org/directory",
        "ca_bundle": None,
        "key_type": "ecdsa",
        "webroot": "/var/www/acme",
        "tls_dir": "/etc/nginx/tls",
    }


@pytest.mark.parametrize("email", ["o'neill+acme@mail.example.com", "a@xn--mnchen-3ya.example"])
@pytest.mark.parametrize("server", ["https://localhost:14000/dir", "https://[2001:db8::1]/d", "https://ca.example.com"])
def test_odd_but_right(normalised: Normalise, email: str, server: str) -> None:
    certificates = one(domains=["A.de"])
    structure = normalised("certbot", certbot_email=email, certbot_server=server, certbot_certificates=certificates)
    assert (structure["email"], structure["server"]) == (email, server)
    assert structure["certificates"] == [{"name": "notes", "domains": ["a.de"]}]


def test_a_hundred_names_are_accepted(normalised: Normalise) -> None:
    structure = normalised("certbot", certbot_certificates=one(domains=MANY[:100]))
    assert structure["certificates"][0]["domains"] == MANY[:100]
