# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a location says itself, what it takes from its site, and where a mistake of either is reported."""

from __future__ import annotations

import typing as t

import pytest

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]

SITE: dict[str, t.Any] = {"name": "notes", "domains": ["notes.example.com"], "app": "notes"}

UPSTREAM = {"servers": ["192.0.2.1:80"]}


def locations_of(normalised: Normalise, **site: t.Any) -> dict[str, dict[str, t.Any]]:
    found = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, **site}])["sites"][0]["locations"]
    return {location["match"]: location for location in found}


@pytest.mark.parametrize(
    ("paths", "matches"),
    [
        ([], ["/"]),
        ([{"path": "/"}], ["/"]),
        ([{"path": "/", "match": "exact"}], ["= /", "/"]),
        ([{"path": "/a"}, {"path": "/a", "match": "exact"}, {"path": "/a/"}], ["/a", "= /a", "/a/", "/"]),
        ([{"path": "/A~b!c@d:e,f+g=h(j)k-l_m.n"}], ["/A~b!c@d:e,f+g=h(j)k-l_m.n", "/"]),
    ],
)
def test_matches(normalised: Normalise, paths: list[dict[str, t.Any]], matches: list[str]) -> None:
    assert list(locations_of(normalised, locations=paths)) == matches


@pytest.mark.parametrize(
    ("site", "location", "key", "expected"),
    [
        ({"websocket": False}, {}, "upgrade", False),
        ({"websocket": False}, {"websocket": True}, "upgrade", True),
        ({"methods": ["GET"]}, {}, "methods", ["GET", "HEAD"]),
        ({"methods": ["GET"]}, {"methods": ["POST"]}, "methods", ["POST"]),
        # Said once in the server block.
        ({"body_size": "2g"}, {}, "body_size", None),
        ({}, {"body_size": "2g"}, "body_size", "2g"),
        ({}, {"body_size": "unlimited"}, "body_size", "0"),
        ({"timeouts": {"read": "9s"}}, {"timeouts": {"send": "8s"}}, "timeouts",
         {"connect": "5s", "send": "8s", "read": "9s"}),
        ({}, {"websocket": True}, "timeouts", {"connect": "5s", "send": "1h", "read": "1h"}),
        ({}, {"events": True, "timeouts": {"read": "2h"}}, "timeouts", {"connect": "5s", "send": "1h", "read": "2h"}),
        ({"request_buffering": False}, {}, "request_buffering", False),
        ({"response_buffering": False}, {"response_buffering": True}, "response_buffering", True),
        ({}, {"events": True}, "response_buffering", False),
        ({"cache": {"valid": "1m"}}, {}, "cache", {"valid": "1m"}),
        ({"cache": {"valid": "1m"}}, {"cache": {"enabled": True}}, "cache", {"valid": "1m"}),
        ({"cache": {"valid": "1m"}}, {"cache": {"valid": "2m"}}, "cache", {"valid": "2m"}),
        ({"cache": {}}, {"cache": {"enabled": False}}, "cache", None),
        ({"cache": {"enabled": False}}, {"cache": {}}, "cache", {"valid": None}),
        # Nothing can be kept of what is not collected, and nobody waits for it.
        ({"cache": {}}, {"response_buffering": False}, "cache", None),
        ({"cache": {}}, {"request_buffering": False}, "cache", None),
        ({"cache": {}}, {"events": True}, "cache", None),
        ({}, {"strip_prefix": True}, "strip", "/a/"),
        ({}, {"headers": {}}, "headers", None),
    ],
)  # fmt: skip
def test_own_or_inherited(
    normalised: Normalise, site: dict[str, t.Any], location: dict[str, t.Any], key: str, expected: t.Any
) -> None:
    found = locations_of(normalised, **site, locations=[{"path": "/a/", **location}])
    assert found["/a/"][key] == expected


def test_upstreams_of_locations(normalised: Normalise) -> None:
    locations = [{"path": "/a/", "upstream": UPSTREAM}, {"path": "/b/", "app": "notes"}, {"path": "/c/"}]
    site = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "locations": locations}])["sites"][0]
    names = {location["url"]: location["upstream"] for location in site["locations"]}
    assert names == {"/a/": "site__notes__a", "/b/": "site__notes__b", "/c/": "site__notes", "/": "site__notes"}
    assert [block["name"] for block in site["upstreams"]] == ["site__notes__a", "site__notes__b", "site__notes"]


def test_an_upstream_that_no_location_uses_is_not_there(normalised: Normalise) -> None:
    site = {**SITE, "locations": [{"path": "/", "upstream": UPSTREAM}]}
    found = normalised("nginx_proxy", nginx_proxy_sites=[site])["sites"][0]
    assert [block["name"] for block in found["upstreams"]] == ["site__notes__root"]


def group(*addresses: t.Any) -> dict[str, t.Any]:
    names = [f"app{number}" for number in range(len(addresses))]
    variables = [{} if address is None else {"ansible_host": address} for address in addresses]
    return {"groups": {"backends": names}, "hostvars": dict(zip(names, variables, strict=True))}


BY_GROUP = {"name": "notes", "domains": ["a.example.com"], "upstream": {"group": "backends", "port": 8000}}


def test_the_hosts_of_a_group(normalised: Normalise) -> None:
    hosts = group("192.0.2.1", "2001:db8::1", None, "App_4.internal")
    [block] = normalised("nginx_proxy", nginx_proxy_sites=[BY_GROUP], **hosts)["sites"][0]["upstreams"]
    servers = [server["address"] for server in block["servers"]]
    assert servers == ["192.0.2.1:8000", "[2001:db8::1]:8000", "app2:8000", "App_4.internal:8000"]


@pytest.mark.parametrize(
    ("hosts", "line"),
    [
        ({}, '.group: "backends" is refused; accepted: an inventory group with at least one host'),
        (group(), '.group: "backends" is refused; accepted: an inventory group with at least one host'),
        (group("192.0.2.1", "192.0.2.1"), '.group: "192.0.2.1:8000" is refused; accepted: a group whose hosts have'),
        (group("a b"), '.group: "a b:8000" is refused; accepted: host:port'),
        (group("fe80::1%eth0"), '.group: "[fe80::1%eth0]:8000" is refused; accepted: host:port'),
        (group(5), '.group: "5:8000" is refused; accepted: host:port'),
        (group("a;"), '.group: "a;:8000" is refused; accepted: host:port'),
    ],
)
def test_a_group_without_addresses(refusal: Refusal, hosts: dict[str, t.Any], line: str) -> None:
    assert refusal("nginx_proxy", nginx_proxy_sites=[BY_GROUP], **hosts).startswith(
        f"nginx_proxy_sites[0].upstream{line}"
    )


def at(*locations: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"locations": list(locations)}


ANY = {"path": "/"}
TIME = "a time above zero with its unit"
SIZE = "a size above zero with its unit"

REFUSED: list[tuple[dict[str, t.Any], str, str, str]] = [
    (at({"path": "/a/"}, {"path": "/a/"}), ".locations[1].path", '"/a/"',
     "nginx_proxy_sites[0].locations[0] does not have"),
    (at({"path": "/a/"}, {"path": "/a/", "match": "regex"}), ".locations[1].match", '"regex"', "one of prefix, exact"),
    (at({"path": "api"}), ".locations[0].path", '"api"', "a path such as /api/"),
    (at({"path": "~ /api"}), ".locations[0].path", '"~ /api"', "a path such as /api/"),
    (at({"path": "/.well-known/acme-challenge/x"}), ".locations[0].path", '"/.well-known/acme-challenge/x"',
     "proxy's own"),
    (at({"path": "/.git/"}), ".locations[0].path", '"/.git/"', "a path that is not hidden"),
    (at({}), ".locations[0].path", "null", "it is required"),
    (at({"path": "/a", "strip_prefix": True}), ".locations[0].strip_prefix", "true", "a prefix that ends with a slash"),
    (at({"path": "/", "strip_prefix": True}), ".locations[0].strip_prefix", "true", "a prefix that ends with a slash"),
    (at({"path": "/a/", "match": "exact", "strip_prefix": True}), ".locations[0].strip_prefix", "true", "a prefix"),
    (at({**ANY, "websocket": "yess"}), ".locations[0].websocket", '"yess"', "true or false"),
    (at({**ANY, "pat": 1}), ".locations[0].pat", "1", "did you mean path?"),
    (at({**ANY, "app": "notes", "upstream": UPSTREAM}), ".locations[0]", '["app", "upstream"]',
     "one of app and upstream"),
    (at({**ANY, "upstream": {"servers": ["a"]}}), ".locations[0].upstream.servers[0]", '"a"', "host:port"),
    (at({**ANY, "upstream": {"name": "x"}}), ".locations[0].upstream.name", '"x"', "no name here"),
    (at({**ANY, "upstream": {"port": 1}}), ".locations[0].upstream.port", "1", "a port together with group only"),
    (at({**ANY, "upstream": {"group": "g", "servers": []}}), ".locations[0].upstream", '["group", "servers"]',
     "one of group"),
    (at({**ANY, "app": "../x"}), ".locations[0].app", '"../x"', "[a-z][a-z0-9_-]*"),
    (at({**ANY, "body_size": "0"}), ".locations[0].body_size", '"0"', SIZE),
    (at({**ANY, "body_size": "10mb"}), ".locations[0].body_size", '"10mb"', SIZE),
    (at({**ANY, "timeouts": {"read": "60"}}), ".locations[0].timeouts.read", '"60"', TIME),
    (at({**ANY, "timeouts": {"connect": "76s"}}), ".locations[0].timeouts.connect", '"76s"', "at most 75s"),
    (at({**ANY, "timeouts": {"reed": "1s"}}), ".locations[0].timeouts.reed", '"1s"', "did you mean read?"),
    (at({**ANY, "headers": {"X-A": "a;\n"}}), ".locations[0].headers.X-A", '"a;\\n"', "printable ASCII on one line"),
    (at({**ANY, "headers": {"X-A": "$cookie_a"}}), ".locations[0].headers.X-A", '"$cookie_a"', "a $ only as one of"),
    (at({**ANY, "headers": {"X-A": "a" * 4001}}), ".locations[0].headers.X-A", '"' + "a" * 76 + "...",
     "4000 characters"),
    (at({**ANY, "headers": {"Set-Cookie": "a=b"}}), ".locations[0].headers.Set-Cookie", '"Set-Cookie"',
     "any header but"),
    (at({**ANY, "extra": "deny all; }"}), ".locations[0].extra", '"deny all; }"', "stay in their own block"),
    (at({**ANY, "extra": "# \ud800"}), ".locations[0].extra", '"# \\ud800"', "text of Unicode"),
    (at({**ANY, "cache": {"valid": "0"}}), ".locations[0].cache.valid", '"0"', TIME),
    (at({**ANY, "cache": {"size": "1g"}}), ".locations[0].cache.size", '"1g"', "only the keys enabled, valid"),
    (at({**ANY, "cache": {}, "response_buffering": False}), ".locations[0].response_buffering", "false",
     "without cache"),
    (at({**ANY, "cache": {}, "events": True}), ".locations[0].events", "true", "without cache"),
    ({"cache": {}, "response_buffering": False}, ".response_buffering", "false", "without cache"),
    ({"cache": {}, "request_buffering": False}, ".request_buffering", "false", "without cache"),
    # A list whose entries are all commented out.
    (at({"path": "/a/", "allow": None}), ".locations[0].allow", "null", "a list; leave it out"),
    (at({"path": "/a/", "basic_auth": None}), ".locations[0].basic_auth", "null", "a dict; leave it out"),
    (at({"path": "/admin/*", "allow": ["10.0.0.0/8"]}), ".locations[0].path", '"/admin/*"', "a path without *"),
    ({"app": None, "upstream": {"servers": ["127.0.0.1:8099"]}}, ".upstream.servers[0]", '"127.0.0.1:8099"',
     "another server than this nginx itself"),
    ({"app": None, "upstream": {"servers": ["10.0.0.1:80", "localhost:443"]}}, ".upstream.servers[1]",
     '"localhost:443"', "another server than this nginx itself"),
    ({"cache": {"size": "1k"}}, ".cache.size", '"1k"', SIZE),
    ({"cache": {"inactive": "1w"}}, ".cache.inactive", '"1w"', TIME),
    ({"cache": {"enabled": False, "size": "0"}}, ".cache.size", '"0"', SIZE),
    # The site's mistake is the site's, also where every location says something else.
    ({"timeouts": {"read": "60"}, **at({"path": "/a/"})}, ".timeouts.read", '"60"', TIME),
    ({"timeouts": {"read": "60"}, **at({**ANY, "timeouts": {"read": "9s"}})}, ".timeouts.read", '"60"', TIME),
    ({"timeouts": {"connect": "2m"}, **at({**ANY, "timeouts": {"connect": "9s"}})}, ".timeouts.connect", '"2m"',
     "at most 75s"),
    ({"cache": {"valid": "1"}, **at({**ANY, "cache": {"enabled": False}})}, ".cache.valid", '"1"', TIME),
    ({"cache": {"valid": "1"}, **at({**ANY, "cache": {}})}, ".cache.valid", '"1"', TIME),
    ({"app": "../x", **at({**ANY, "upstream": UPSTREAM})}, ".app", '"../x"', "[a-z][a-z0-9_-]*"),
    ({"app": None, "upstream": {"servers": ["a"]}, **at({**ANY, "app": "notes"})}, ".upstream.servers[0]", '"a"',
     "host:port"),
    ({"upstream": UPSTREAM, **at({**ANY, "upstream": UPSTREAM})}, "", '["app", "upstream"]', "one of app and upstream"),
    ({"body_size": "1", **at({**ANY, "body_size": "1m"})}, ".body_size", '"1"', SIZE),
    ({"headers": {"X A": "b"}, **at({**ANY, "headers": {"X-A": ""}})}, '.headers."X A"', '"X A"', "a header name"),
]  # fmt: skip


@pytest.mark.parametrize(("site", "place", "value", "accepted"), REFUSED)
def test_refused(refusal: Refusal, site: dict[str, t.Any], place: str, value: str, accepted: str) -> None:
    line = refusal(
        "nginx_proxy", nginx_proxy_sites=[{key: value for key, value in {**SITE, **site}.items() if value is not None}]
    )
    assert line.startswith(f"nginx_proxy_sites[0]{place}: {value} is refused; accepted: ")
    assert accepted in line
    assert line.isprintable()


def test_every_location_of_a_site_without_an_application_needs_one(refusal: Refusal) -> None:
    site = {"name": "a", "domains": ["a.example.com"], "locations": [{"path": "/", "app": "notes"}, {"path": "/b/"}]}
    line = refusal("nginx_proxy", nginx_proxy_sites=[site])
    assert line == "nginx_proxy_sites[0].locations[1]: [] is refused; accepted: one of app and upstream"
