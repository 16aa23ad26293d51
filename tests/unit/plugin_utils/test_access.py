# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is let in: addresses, users, methods, client certificates; and no secret in a refusal."""

from __future__ import annotations

import typing as t

import pytest

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]

SITE = {"name": "notes", "domains": ["notes.example.com"], "app": "notes"}
HASH = "$6$salt$" + "a" * 86
USERS = {"users": {"alice": HASH}}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["GET"], ["GET", "HEAD"]),
        (["HEAD", "GET"], ["HEAD", "GET"]),
        (["GET", "HEAD"], ["GET", "HEAD"]),
        (["POST"], ["POST"]),
        (["PROPFIND", "MKCALENDAR"], ["PROPFIND", "MKCALENDAR"]),
    ],
)
def test_methods(normalised: Normalise, given: list[str] | None, found: list[str] | None) -> None:
    site = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "methods": given}])["sites"][0]
    assert site["locations"][0]["methods"] == found


@pytest.mark.parametrize(
    "secret",
    [
        HASH,
        "$y$j9T$salt$" + "a" * 43,
        "$2y$05$" + "a" * 53,
        "$apr1$salt$" + "a" * 22,
        "$5$rounds=5000$salt$" + "a" * 43,
    ],
)
@pytest.mark.parametrize("user", ["a", "alice@example.com", "a.b_c-d+e", "7", "A" * 64])
def test_users(normalised: Normalise, user: str, secret: str) -> None:
    site = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "basic_auth": {"users": {user: secret}}}])["sites"][0]
    rules = site["locations"][0]["access"]
    assert (rules["users"], rules["users_file"]) == (f"{user}:{secret}\n", "sites/notes/users/site")


@pytest.mark.parametrize("realm", ["Restricted", "Who's there? (me); {x}", "Off", "on", "#", "~", "a" * 80, "!"])
def test_realm(normalised: Normalise, realm: str) -> None:
    site = {**SITE, "basic_auth": {"realm": realm, **USERS}}
    rules = normalised("nginx_proxy", nginx_proxy_sites=[site])["sites"][0]["locations"][0]["access"]
    assert rules["realm"] == realm


def test_a_path_of_the_word_site_has_rules_of_its_own(normalised: Normalise) -> None:
    """Its users were the whole site's once, for both had one file."""
    own = {"path": "/site/", "basic_auth": {"users": {"bob": HASH}}, "allow": ["10.0.0.0/8"]}
    site = {**SITE, "basic_auth": USERS, "allow": ["192.0.2.0/24"], "locations": [own]}
    found = normalised("nginx_proxy", nginx_proxy_sites=[site])["sites"][0]
    files = {location["access"]["users_file"]: location["access"]["users"] for location in found["locations"]}
    assert files == {"sites/notes/users/site_2": f"bob:{HASH}\n", "sites/notes/users/site": f"alice:{HASH}\n"}
    assert {rule["address"]: [network for network, _what in rule["networks"]] for rule in found["addresses"]} == {
        "$address__notes__site_2": ["10.0.0.0/8"],
        "$address__notes__site": ["192.0.2.0/24"],
    }


def test_a_location_without_users_keeps_the_addresses_of_its_site(normalised: Normalise) -> None:
    site = {
        **SITE,
        "basic_auth": USERS,
        "allow": ["::1"],
        "satisfy": "any",
        "locations": [{"path": "/a/", "basic_auth": {}}],
    }
    rules = normalised("nginx_proxy", nginx_proxy_sites=[site])["sites"][0]["locations"][0]["access"]
    assert (rules["address"], rules["default"], rules["either"]) == ("$address__notes__site", "denied", None)


METHOD = "a method in capitals, such as GET"
REALM = "printable ASCII without double quotes, $ and backslashes, and not off"
SECRET = "the hash of a password, as `openssl passwd -6` prints it"

REFUSED: list[tuple[dict[str, t.Any], str, str, str]] = [
    *(({"methods": [value]}, ".methods[0]", shown, METHOD) for value, shown in [
        ("get", '"get"'), ("CONNECT", '"CONNECT"'), ("TRACE", '"TRACE"'), ("GET POST", '"GET POST"'),
        ("*", '"*"'), ("", '""'),
        ("GET|POST", '"GET|POST"'), ("GET\n", '"GET\\n"'), ('GET"', '"GET\\""'), ("A" * 21, '"' + "A" * 21 + '"'),
        (1, '"1"'),
    ]),
    ({"methods": []}, ".methods", "[]", "at least one method"),
    ({"methods": "GET"}, ".methods", '"GET"', "a list of str"),
    ({"methods": ["POST", "POST"]}, ".methods[1]", '"POST"', "each method once"),
    ({"methods": ["HEAD", "HEAD"]}, ".methods[1]", '"HEAD"', "each method once"),
    ({"methods": [True]}, ".methods[0]", "true", "a string (quote it)"),
    # nginx takes it for no realm at all, and asks nobody.
    *(({"basic_auth": {"realm": value, **USERS}}, ".basic_auth.realm", shown, REALM) for value, shown in [
        ("off", '"off"'), ("", '""'), ('a"b', '"a\\"b"'), ("$host", '"$host"'), ("a\\", '"a\\\\"'), ("a\nb", '"a\\nb"'),
        ("\u00e9", '"\\u00e9"'), ("a" * 81, '"' + "a" * 76 + "..."),
    ]),
    *(({"basic_auth": {"users": {"alice": value}}}, ".basic_auth.users.alice", "(hidden)", SECRET) for value in [
        "hunter2", "", "{PLAIN}hunter2", "$1$salt$" + "a" * 22, HASH + "\n", HASH + ":x",
        "$6$a b$" + "a" * 86, None, 5, [HASH],
    ]),
    *(({"basic_auth": {"users": {value: HASH}}}, ".basic_auth.users", "(hidden)",
        "that of entry 1 is another") for value in [
        "", "a b", "a:b", "a\n", "#a", "a" * 65, "\u00e9", HASH, 7, True, "-a",
    ]),
    ({"basic_auth": {"users": [f"alice:{HASH}"]}}, ".basic_auth.users", "(hidden)", "a dictionary"),
    ({"basic_auth": {"alice": "hunter2"}}, ".basic_auth.alice", "(hidden)", "only the keys realm, users"),
    ({"basic_auth": f"alice:{HASH}"}, ".basic_auth", "(hidden)", "a dictionary"),
    ({"basic_auht": {"users": {"alice": "hunter2"}}}, ".basic_auht", "(hidden)", "basic_auth?"),
    ({"allow": []}, ".allow", "[]", "at least one network"),
    ({"allow": ["0.0.0.0/0"]}, ".allow[0]", '"0.0.0.0/0"', "then nobody is kept out"),
    ({"allow": ["10.0.0.1", "all"]}, ".allow[1]", '"all"', "an address or a network"),
    ({"deny": ["all"]}, ".deny[0]", '"all"', "an address or a network"),
    ({"deny": ["::/0"]}, ".deny[0]", '"::/0"', "then nobody is let in"),
    ({"allow": ["10.0.0.1"], "deny": ["10.0.0.1/32"]}, ".deny[0]", '"10.0.0.1"', "a network that allow does not have"),
    ({"satisfy": "some"}, ".satisfy", '"some"', "one of all, any"),
    ({"satisfy": "any"}, ".satisfy", '"any"', "both addresses and users"),
    ({"satisfy": "any", "allow": ["::1"]}, ".satisfy", '"any"', "both addresses and users"),
    ({"satisfy": "any", "basic_auth": USERS}, ".satisfy", '"any"', "both addresses and users"),
    # At the place where it was written, whoever inherits it.
    ({"methods": ["get"], "locations": [{"path": "/a/"}]}, ".methods[0]", '"get"', METHOD),
    ({"methods": ["get"], "locations": [{"path": "/", "methods": ["GET"]}]}, ".methods[0]", '"get"', METHOD),
    ({"allow": ["x"], "locations": [{"path": "/", "allow": ["::1"]}]}, ".allow[0]", '"x"', "an address or a network"),
    ({"basic_auth": {"users": {"a": "x"}}, "locations": [{"path": "/a/"}]}, ".basic_auth.users.a", "(hidden)", SECRET),
    ({"locations": [{"path": "/a/", "basic_auth": {"users": {"a": "x"}}}]}, ".locations[0].basic_auth.users.a",
        "(hidden)",
     SECRET),
    ({"locations": [{"path": "/a/", "client_certificate": True}]}, ".locations[0].client_certificate", "true",
        "tls.client_ca"),
    ({"static": [{"path": "/s/", "folder": "/s/",
        "allow": ["x"]}]}, ".static[0].allow[0]", '"x"', "an address or a network"),
]  # fmt: skip


@pytest.mark.parametrize(("site", "place", "value", "accepted"), REFUSED)
def test_refused(refusal: Refusal, site: dict[str, t.Any], place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=[{**SITE, **site}])
    assert line.startswith(f"nginx_proxy_sites[0]{place}: {value} is refused; accepted: ")
    assert accepted in line
    assert line.isprintable()


@pytest.mark.parametrize("where", ["", "sites", "site", "location"])
def test_a_hash_is_shown_nowhere(refusal: Refusal, where: str) -> None:
    users = {"users": {"alice": HASH}}
    wrong: dict[str, t.Any] = {
        "": {"auth": users},
        "sites": [[users]],
        "site": [{**SITE, "x": [users], "basicauthh": users}],
        "location": [{**SITE, "locations": users}],
    }
    line = refusal("nginx_proxy", nginx_proxy_sites=wrong[where])
    assert "aaaa" not in line


@pytest.mark.parametrize("key", ["allow", "deny", "basic_auth", "limits", "methods", "headers"])
def test_a_list_that_lost_its_entries_opens_nothing(refusal: Refusal, key: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=[{**SITE, key: None}])
    assert line.startswith(f"nginx_proxy_sites[0].{key}: null is refused; accepted: a ")
    assert line.endswith("leave it out where nothing is to be said")
