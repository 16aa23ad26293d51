# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of requests and connections: the directives, the zones, and what nginx would misunderstand."""

from __future__ import annotations

import typing as t

import pytest

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]

SITE = {"name": "notes", "domains": ["notes.example.com"], "app": "notes"}


@pytest.mark.parametrize(
    ("limit", "directive", "key", "pause"),
    [
        ({"rate": "10r/s"}, "limit_req zone=notes__10r_s__address;", "$client_network", 1),
        ({"rate": "30r/m"}, "limit_req zone=notes__30r_m__address;", "$client_network", 2),
        ({"rate": "7r/m"}, "limit_req zone=notes__7r_m__address;", "$client_network", 9),
        ({"rate": "1r/m"}, "limit_req zone=notes__1r_m__address;", "$client_network", 60),
        ({"rate": "9999999r/s", "burst": 1000000},
         "limit_req zone=notes__9999999r_s__address burst=1000000 nodelay;", "$client_network", 1),
        ({"rate": "1r/s", "burst": 5}, "limit_req zone=notes__1r_s__address burst=5 nodelay;", "$client_network", 1),
        ({"rate": "1r/s", "burst": 5, "delay": 0}, "limit_req zone=notes__1r_s__address burst=5;",
            "$client_network", 1),
        ({"rate": "1r/s", "burst": 5, "delay": 5}, "limit_req zone=notes__1r_s__address burst=5 delay=5;",
         "$client_network", 1),
        ({"rate": "1r/s", "burst": 0, "delay": 0}, "limit_req zone=notes__1r_s__address;", "$client_network", 1),
        ({"rate": "1r/s", "key": "site"}, "limit_req zone=notes__1r_s__site;", "$server_name", 1),
        ({"connections": 1}, "limit_conn notes__connections__address 1;", "$client_network", 1),
        ({"connections": 65535, "burst": 0}, "limit_conn notes__connections__address 65535;", "$client_network", 1),
        ({"rate": "1r/s", "exempt": ["10.0.0.0/8"]}, "limit_req zone=notes__1r_s__address__exempt;",
         "$limited__notes__1r_s__address__exempt", 1),
    ],
)  # fmt: skip
def test_limit(normalised: Normalise, limit: dict[str, t.Any], directive: str, key: str, pause: int) -> None:
    site = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "limits": [limit]}])["sites"][0]
    [found] = site["locations"][0]["limits"]
    assert (found["directive"], found["key"], found["pause"]) == (directive, key, pause)
    assert site["zones"] == [found]


def test_keys_of_trusted_proxies_and_certificates(normalised: Normalise) -> None:
    limits = [{"rate": "1r/s", "key": "header", "header": "x-TENANT"}, {"connections": 2, "key": "certificate"}]
    site = {**SITE, "tls": {"client_ca": "/etc/ca.pem"}, "limits": limits}
    trusted = {"trusted": ["10.0.0.0/8"], "headers": ["X-Tenant"]}
    proxy = normalised("nginx_proxy", nginx_proxy_sites=[site], nginx_proxy_client_address=trusted)
    keys = [limit["key"] for limit in proxy["sites"][0]["locations"][0]["limits"]]
    assert keys == ["$client_header_x_tenant", "$client_certificate"]


def test_a_location_counts_for_itself_or_with_its_site(normalised: Normalise) -> None:
    own = {"path": "/own/", "limits": [{"rate": "1r/s"}]}
    site = {
        **SITE,
        "limits": [{"rate": "1r/s"}],
        "locations": [own, {"path": "/none/", "limits": []}, {"path": "/its/"}],
    }
    found = normalised("nginx_proxy", nginx_proxy_sites=[site])["sites"][0]
    zones = {location["url"]: [limit["zone"] for limit in location["limits"]] for location in found["locations"]}
    assert zones == {
        "/own/": ["notes__own__1r_s__address"],
        "/none/": [],
        "/its/": ["notes__1r_s__address"],
        "/": ["notes__1r_s__address"],
    }
    # nginx says "duplicate zone" otherwise.
    assert [zone["zone"] for zone in found["zones"]] == ["notes__own__1r_s__address", "notes__1r_s__address"]


RATE = "a rate above zero with its unit, such as 10r/s or 30r/m"

REFUSED: list[tuple[dict[str, t.Any], str, str, str]] = [
    *(({"limits": [{"rate": value}]}, ".limits[0].rate", shown, RATE) for value, shown in [
        ("10", '"10"'), (10, '"10"'), ("0r/s", '"0r/s"'), ("-1r/s", '"-1r/s"'), ("1r/h", '"1r/h"'),
        ("1.5r/s", '"1.5r/s"'),
        ("10/s", '"10/s"'), ("10r/sec", '"10r/sec"'), ("10R/S", '"10R/S"'), ("10 r/s", '"10 r/s"'),
        ("10r/s\n", '"10r/s\\n"'),
        ("10r/s;", '"10r/s;"'), ("99999999r/s", '"99999999r/s"'), ("", '""'), ("\u0661r/s", '"\\u0661r/s"'),
    ]),
    ({"limits": [{"rate": True}]}, ".limits[0].rate", "true", "a string (quote it)"),
    ({"limits": [{}]}, ".limits[0]", "[]", "one of the two"),
    ({"limits": [{"rate": "1r/s", "connections": 1}]}, ".limits[0]", '["rate", "connections"]', "one of the two"),
    *(({"limits": [{"connections": value}]}, ".limits[0].connections", shown, "an integer from 1 to 65535")
      for value, shown in [(0, "0"), (-1, "-1"), (65536, "65536"), (10**400, "1" + "0" * 76 + "...")]),
    ({"limits": [{"connections": True}]}, ".limits[0].connections", "true", "a whole number"),
    ({"limits": [{"connections": "many"}]}, ".limits[0].connections", '"many"', "a whole number"),
    *(({"limits": [{"rate": "1r/s",
        "burst": value}]}, ".limits[0].burst", shown, accepted) for value, shown, accepted in [
        (-1, "-1", "an integer from 0"), (1.5, "1.5", "a whole number"), (True, "true", "a whole number"),
        (1000001, "1000001", "an integer from 0 to 1000000"), ("5x", '"5x"', "a whole number"),
    ]),
    ({"limits": [{"rate": "1r/s", "burst": 5, "delay": 6}]}, ".limits[0].delay", "6", "at most the burst, 5"),
    ({"limits": [{"rate": "1r/s", "delay": 1}]}, ".limits[0].delay", "1", "at most the burst, 0"),
    ({"limits": [{"rate": "1r/s", "burst": 5, "delay": -1}]}, ".limits[0].delay", "-1", "an integer of 0 or more"),
    ({"limits": [{"connections": 1, "burst": 5}]}, ".limits[0].burst", "5", "no burst with connections"),
    ({"limits": [{"connections": 1, "delay": 0}]}, ".limits[0].delay", "0", "no delay with connections"),
    ({"limits": [{"rate": "1r/s", "key": "cookie"}]}, ".limits[0].key", '"cookie"', "one of address, site"),
    ({"limits": [{"rate": "1r/s", "key": "$http_x"}]}, ".limits[0].key", '"$http_x"', "one of address, site"),
    ({"limits": [{"rate": "1r/s", "key": "certificate"}]}, ".limits[0].key", '"certificate"', "tls.client_ca"),
    # A client would choose another value for each request.
    ({"limits": [{"rate": "1r/s", "key": "header", "header": "X-Api-Key"}]}, ".limits[0].header", '"X-Api-Key"',
     "a header of nginx_proxy_client_address.headers"),
    ({"limits": [{"rate": "1r/s", "key": "header"}]}, ".limits[0].header", "null",
        "nginx_proxy_client_address.headers"),
    ({"limits": [{"rate": "1r/s", "header": "X-A"}]}, ".limits[0].header", '"X-A"', "no header unless key is header"),
    ({"limits": [{"rate": "1r/s",
        "exempt": ["0.0.0.0/0"]}]}, ".limits[0].exempt[0]", '"0.0.0.0/0"', "nobody is counted"),
    ({"limits": [{"rate": "1r/s", "exempt": ["10.0.0.1/8"]}]}, ".limits[0].exempt[0]", '"10.0.0.1/8"', "10.0.0.0/8"),
    ({"limits": [{"rate": "1r/s", "exempt": "10.0.0.1"}]}, ".limits[0].exempt", '"10.0.0.1"', "a list of str"),
    ({"limits": [{"rate": "1r/s"}, {"rate": "1r/s", "burst": 3}]}, ".limits[1]", '"1r/s"', "each limit once"),
    ({"limits": [{"rate": "1r/s"}, {"connections": 1, "dry_run": True}]}, ".limits[1].dry_run", "true",
        "the same for all"),
    ({"limits": [{"rate": "1r/s", "bust": 1}]}, ".limits[0].bust", "1", "did you mean burst?"),
    ({"limits": {"rate": "1r/s"}}, ".limits", '{"rate": "1r/s"}', "a list of dict"),
    ({"limits": ["1r/s"]}, ".limits[0]", '"1r/s"', "a dictionary"),
    # The place is the user's: the location's own, or the site's.
    ({"locations": [{"path": "/a/"}, {"path": "/b/", "limits": [{"rate": "1r/s"}, {"rate": "2"}]}]},
     ".locations[1].limits[1].rate", '"2"', RATE),
    ({"limits": [{"rate": "2"}], "locations": [{"path": "/", "limits": []}]}, ".limits[0].rate", '"2"', RATE),
]  # fmt: skip


@pytest.mark.parametrize(("site", "place", "value", "accepted"), REFUSED)
def test_refused(refusal: Refusal, site: dict[str, t.Any], place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=[{**SITE, **site}])
    assert line.startswith(f"nginx_proxy_sites[0]{place}: {value} is refused; accepted: ")
    assert accepted in line
    assert line.isprintable()
