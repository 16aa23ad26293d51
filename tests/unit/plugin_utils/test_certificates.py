# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot's inputs: what INPUTS refuses, and what follows from the sites."""

from __future__ import annotations

import typing as t

import pytest

Refusal = t.Callable[..., str]
Normalise = t.Callable[..., dict[str, t.Any]]

SITES: list[dict[str, t.Any]] = [
    {"name": "notes", "domains": ["Notes.example.com", "www.example.com"], "app": "notes"},
    {"name": "plain", "domains": ["plain.example.com"], "app": "notes", "tls": {"source": "none"}},
]
MANY = [f"a{number}.example.com" for number in range(101)]


def one(**changes: t.Any) -> list[dict[str, t.Any]]:
    certificate = {"name": "notes", "domains": ["notes.example.com", "www.example.com"], **changes}
    return [{key: value for key, value in certificate.items() if value is not ...}]


#: What the challenge dns needs.
DNS: dict[str, t.Any] = {
    "certbot_challenge": "dns",
    "certbot_dns_plugin": "cloudflare",
    "certbot_dns_credentials": {"dns_cloudflare_api_token": "hunter2"},
}


def site_of(name: str, *domains: str, **tls: t.Any) -> dict[str, t.Any]:
    return {"name": name, "domains": list(domains), "app": "notes", "tls": tls}


VARIABLES: list[tuple[str, t.Any, str, str]] = [
    ("ca_bundle", "ca.pem", '"ca.pem"', "an absolute path"),
    ("ca_bundle", "/etc/c a.pem", '"/etc/c a.pem"', "an absolute path"),
    ("webroot", "www", '"www"', "an absolute path"),
    ("tls_dir", "/etc/../x", '"/etc/../x"', "without '..'"),
    ("textfile_dir", "collector", '"collector"', "an absolute path"),
    ("key_type", "ed25519", '"ed25519"', "one of ecdsa, rsa"),
    ("key_type", "ECDSA", '"ECDSA"', "one of ecdsa, rsa"),
    ("elliptic_curve", "secp521r1", '"secp521r1"', "one of secp256r1, secp384r1"),
    ("rsa_key_size", 1024, "1024", "one of 2048, 3072, 4096"),
    ("rsa_key_size", "many", '"many"', "a whole number"),
    ("challenge", "tls-alpn-01", '"tls-alpn-01"', "one of webroot, standalone, dns"),
    ("probe", "yes", '"yes"', "one of resolved, local, none"),
    ("staging", "perhaps", '"perhaps"', "true or false"),
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
    (one(domains=...), ".domains", "[]", "at least one host name"),
    (one(domains=[]), ".domains", "[]", "at least one host name"),
    (one(name="../x"), ".name", '"../x"', "lower-case letters, digits"),
    (one(name="readme"), ".name", '"readme"', "a name that certbot does not use itself"),
    (one(state="gone"), ".state", '"gone"', "one of present, absent"),
    (one(revoke=True), ".revoke", "true", "true together with state absent"),
    (one(state="absent", revoke_reason="bored"), ".revoke_reason", '"bored"', "one of unspecified, keycompromise"),
    (one(key_type="dsa"), ".key_type", '"dsa"', "one of ecdsa, rsa"),
    (one(challenge="http"), ".challenge", '"http"', "one of webroot, standalone, dns"),
    (one(challenge="standalone"), ".challenge", '"standalone"', "webroot or dns, for nginx has port 80 on this host"),
    (one(profile="-x"), ".profile", '"-x"', "the name of one of the CA's profiles"),
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
    "domain",
    [
        *("a;b.com", "a{b.com", "a b.com", 'a"b.com', "$host", "https://a.com", "a.com:443", "a.com/x", "münchen.de"),
        *("a.com.", "", "a.*.com", "*a.com", "**.a.com", "*", "a" * 64 + ".com", ".".join(["a" * 62] * 4) + ".com"),
        *("-a.com", "a..com", "192.0.2.1", "a.com\n", "a,b.com", "--dry-run"),
    ],
)
@pytest.mark.parametrize("challenge", ["webroot", "dns"])
def test_what_is_no_host_name(refusal: Refusal, challenge: str, domain: str) -> None:
    values = {**DNS, "certbot_challenge": challenge}
    line = refusal("certbot", certbot_certificates=one(domains=["notes.example.com", domain]), **values)
    assert line.startswith("certbot_certificates[0].domains[1]: ")
    assert " is refused; accepted: " in line


@pytest.mark.parametrize("domains", [["a.example.com", "*.example.com"], ["*.example.com", "a.example.com"]])
def test_a_name_beside_its_own_wildcard(refusal: Refusal, domains: list[str]) -> None:
    line = refusal("certbot", certbot_certificates=one(domains=domains), **DNS)
    place = domains.index("a.example.com")
    assert line.startswith(f'certbot_certificates[0].domains[{place}]: "a.example.com" is refused; accepted: a name th')


def test_a_second_certificate_for_the_same_names(refusal: Refusal, normalised: Normalise) -> None:
    names = ["www.example.com", "NOTES.example.com"]
    line = refusal("certbot", certbot_certificates=one() + one(name="again", domains=names))
    assert line == (
        'certbot_certificates[1].domains: ["www.example.com", "notes.example.com"] is refused; accepted: other names '
        "than those of notes, which sites can share by tls.lineage"
    )
    # The same names in another way are another certificate, and one that is removed takes no quota.
    for other in ({"key_type": "rsa"}, {"profile": "shortlived"}, {"state": "absent"}, {"domains": names[:1]}):
        certificates = one() + one(**{"name": "again", "domains": names, **other})
        assert len(normalised("certbot", certbot_certificates=certificates)["certificates"]) == 2


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
        (
            one(state="absent") + one(name="other"),
            # Of a certificate that is absent the site needs no name: it goes on with the self-signed pair.
            'nginx_proxy_sites[1].tls.lineage: "wildcard" is refused; accepted: a certificate named wildcard in',
        ),
    ],
)
def test_sites_and_certificates_belong_together(
    refusal: Refusal, certificates: list[dict[str, t.Any]], expected: str
) -> None:
    shop = {"name": "shop", "domains": ["shop.example.com"], "app": "notes", "tls": {"lineage": "wildcard"}}
    sites = [SITES[0], shop] if "wildcard" in expected else SITES
    assert refusal("certbot", certbot_certificates=certificates, nginx_proxy_sites=sites).startswith(expected)


def test_a_redirected_name_that_the_certificate_lacks(refusal: Refusal) -> None:
    site = {
        **SITES[0],
        "domains": ["notes.example.com"],
        "redirects": [{"domain": "old.net", "to": "notes.example.com"}],
    }
    line = refusal("certbot", certbot_certificates=one(), nginx_proxy_sites=[site, site_of("www", "www.example.com")])
    assert line.startswith('nginx_proxy_sites[0].redirects: "old.net" is refused; accepted: a name that certbot_cert')


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
        "certificates": [
            {
                "path": "nginx_proxy_sites[0]",
                "name": "notes",
                "domains": ["notes.example.com", "www.example.com"],
                "state": "present",
                "revoke": False,
                "revoke_reason": "unspecified",
                "challenge": "webroot",
                "key_type": "ecdsa",
                "elliptic_curve": "secp256r1",
                "rsa_key_size": None,
                "profile": None,
            }
        ],
        "email": None,
        "eab": None,
        "profiles": {},
        "server": "https://acme-v02.api.letsencrypt.org/directory",
        "staging": False,
        "rehearsal": "https://acme-staging-v02.api.letsencrypt.org/directory",
        "ca_bundle": None,
        "dns": None,
        "probe": "resolved",
        "ignore_cooldown": False,
        "version": None,
        "deploy_command": None,
        "alarm": {"command": None, "webhook": None},
        "textfile_dir": None,
        "webroot": "/var/www/acme",
        "tls_dir": "/etc/nginx/tls",
    }


def names_of(structure: dict[str, t.Any]) -> dict[str, list[str]]:
    return {item["name"]: item["domains"] for item in structure["certificates"]}


SHARED: list[tuple[list[dict[str, t.Any]], dict[str, list[str]]]] = [
    # Two sites, one certificate with the names of both.
    (
        [site_of("a", "a.example.com", lineage="both"), site_of("b", "B.example.com", lineage="both")],
        {"both": ["a.example.com", "b.example.com"]},
    ),
    # One of the sites has the lineage's name.
    (
        [site_of("a", "a.example.com"), site_of("b", "b.example.com", lineage="a")],
        {"a": ["a.example.com", "b.example.com"]},
    ),
    # The wildcard of one site covers the name of the other, and not the name that it has no label for.
    (
        [
            site_of("tenants", "*.example.com", "example.com", lineage="wildcard"),
            site_of("shop", "shop.example.com", "shop.example.net", lineage="wildcard"),
        ],
        {"wildcard": ["*.example.com", "example.com", "shop.example.net"]},
    ),
    ([site_of("tenants", "*.example.com")], {"tenants": ["*.example.com"]}),
    # A site without TLS has no certificate.
    ([site_of("a", "a.example.com", source="none")], {}),
    ([], {}),
]


@pytest.mark.parametrize(("sites", "expected"), SHARED)
def test_derived_from_the_sites(
    normalised: Normalise, sites: list[dict[str, t.Any]], expected: dict[str, list[str]]
) -> None:
    assert names_of(normalised("certbot", nginx_proxy_sites=sites, **DNS)) == expected


def test_redirected_names_belong_to_the_certificate(normalised: Normalise) -> None:
    redirects = [
        {"domain": "www.example.com", "to": "example.com"},
        {"path": "/old", "to": "/new"},
        {"domain": "example.net", "to": "example.com"},
    ]
    site = {**site_of("notes", "example.com"), "redirects": redirects}
    assert names_of(normalised("certbot", nginx_proxy_sites=[site])) == {
        "notes": ["example.com", "www.example.com", "example.net"]
    }


@pytest.mark.parametrize(
    ("sites", "place"),
    [
        ([site_of("a", "*.example.com")], "nginx_proxy_sites[0].domains[0]"),
        (
            [site_of("a", "a.example.com"), site_of("b", "b.example.com", "*.example.net", lineage="a")],
            "nginx_proxy_sites[1].domains[1]",
        ),
    ],
)
def test_a_wildcard_of_a_site_needs_dns(refusal: Refusal, sites: list[dict[str, t.Any]], place: str) -> None:
    line = refusal("certbot", nginx_proxy_sites=sites)
    assert line.startswith(place + ': "*.example.')
    assert line.endswith("no wildcard: HTTP-01 cannot prove one, only the challenge dns can")


def test_sites_share_a_certificate_that_is_written_out(normalised: Normalise) -> None:
    sites = [
        site_of("shop", "shop.example.com", lineage="wildcard"),
        site_of("main", "example.com", lineage="wildcard"),
    ]
    certificates = [{"name": "wildcard", "domains": ["example.com", "*.example.com"], "challenge": "dns"}]
    structure = normalised("certbot", nginx_proxy_sites=sites, certbot_certificates=certificates, **DNS)
    assert names_of(structure) == {"wildcard": ["example.com", "*.example.com"]}


def test_a_wildcard_covers_one_label_only(refusal: Refusal) -> None:
    certificates = one(name="wildcard", domains=["*.example.com"])
    sites = [site_of("shop", "a.shop.example.com", lineage="wildcard")]
    line = refusal("certbot", nginx_proxy_sites=sites, certbot_certificates=certificates, **DNS)
    assert line.startswith(
        'nginx_proxy_sites[0].domains[0]: "a.shop.example.com" is refused; accepted: a name that cer'
    )


def test_a_name_that_a_site_serves_by_its_wildcard_can_be_proven(normalised: Normalise) -> None:
    sites = [site_of("tenants", "*.example.com", source="self_signed")]
    certificates = one(name="mail", domains=["mail.example.com"])
    structure = normalised("certbot", nginx_proxy_sites=sites, certbot_certificates=certificates)
    assert names_of(structure) == {"mail": ["mail.example.com"]}


def test_what_a_certificate_says_goes_before_the_roles_own(normalised: Normalise) -> None:
    own = {"challenge": "dns", "key_type": "rsa", "profile": "shortlived"}
    certificates = one(**own) + one(name="plain", domains=["plain.example.com"])
    values = {**DNS, "certbot_challenge": "standalone", "certbot_rsa_key_size": 4096, "certbot_profile": "classic"}
    structure = normalised("certbot", certbot_certificates=certificates, **values)
    keys = ("challenge", "key_type", "elliptic_curve", "rsa_key_size", "profile")
    assert [tuple(item[key] for key in keys) for item in structure["certificates"]] == [
        ("dns", "rsa", None, 4096, "shortlived"),
        ("standalone", "ecdsa", "secp256r1", None, "classic"),
    ]


def test_a_removal_asks_for_no_names(normalised: Normalise) -> None:
    certificates = one(domains=..., state="absent", revoke=True, revoke_reason="superseded")
    # The site goes on with the self-signed pair until it is taken out, too.
    structure = normalised("certbot", certbot_certificates=certificates, nginx_proxy_sites=[SITES[0]])
    gone = structure["certificates"][0]
    assert (gone["state"], gone["domains"], gone["revoke"], gone["revoke_reason"]) == ("absent", [], True, "superseded")
    # What is deleted is deleted whatever it was for: a name that no site has any more, a wildcard.
    normalised("certbot", certbot_certificates=one(domains=["*.old.example.com"], state="absent"), nginx_proxy_sites=[])


def test_standalone_is_for_hosts_without_nginx(normalised: Normalise) -> None:
    structure = normalised("certbot", certbot_challenge="standalone", certbot_certificates=one())
    assert structure["certificates"][0]["challenge"] == "standalone"


def test_a_hundred_names_are_accepted(normalised: Normalise) -> None:
    structure = normalised("certbot", certbot_certificates=one(domains=MANY[:100]))
    assert structure["certificates"][0]["domains"] == MANY[:100]
