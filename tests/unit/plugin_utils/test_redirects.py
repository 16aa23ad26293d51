# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redirects of names and of paths: to a literal place, never to themselves, never to a stranger by a trick."""

from __future__ import annotations

import typing as t

import pytest

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]

SITE = {"name": "notes", "domains": ["notes.example.com"], "app": "notes"}

DOMAINS = {"domains": ["notes.example.com", "Second.example.com"]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"domain": "www.example.com", "to": "notes.example.com"}, ("www.example.com", "notes.example.com", 308)),
        ({"domain": "WWW.example.com", "to": "SECOND.example.com", "status": 301},
         ("www.example.com", "second.example.com", 301)),
        ({"domain": "*.example.org", "to": "notes.example.com", "status": 307},
         ("*.example.org", "notes.example.com", 307)),
    ],
)  # fmt: skip
def test_name(normalised: Normalise, given: dict[str, t.Any], expected: tuple[str, str, int]) -> None:
    site = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, **DOMAINS, "redirects": [given]}])["sites"][0]
    [found] = site["redirected_names"]
    assert (found["domain"], found["to"], found["status"]) == expected
    assert site["names"] == ["notes.example.com", "second.example.com", expected[0]]


@pytest.mark.parametrize(
    ("path", "to", "location"),
    [
        ("/old", "/new", "= /old"),
        ("/old", "/", "= /old"),
        ("/old", "/old/", "= /old"),
        ("/old", "/new?a=b&c=%20d", "= /old"),
        ("/old", "/new#part", "= /old"),
        ("/old", "/new?a=(b)*+@:,!~#c=d/e?", None),
        ("/old", "https://example.com", "= /old"),
        ("/old", "http://example.com:8080/a?b#c", "= /old"),
        ("/old", "https://NOTES.example.com/new", "= /old"),
        ("/old", "https://notes.example.com:8443/old", "= /old"),
        ("/old/", "/new/", "/old/"),
        ("/old/", "/app#/", "/old/"),
        ("/old/", "https://example.com/old/", "/old/"),
        ("/A~b!c@d:e,f+g=h(i)/", "/new/", "/A~b!c@d:e,f+g=h(i)/"),
    ],
)
def test_path(normalised: Normalise, refusal: Refusal, path: str, to: str, location: str | None) -> None:
    sites = [{**SITE, "redirects": [{"path": path, "to": to}]}]
    if location is None:
        assert refusal("nginx_proxy", nginx_proxy_sites=sites).startswith("nginx_proxy_sites[0].redirects[0].to: ")
        return
    [found] = normalised("nginx_proxy", nginx_proxy_sites=sites)["sites"][0]["redirected_paths"]
    assert (found["location"], found["to"], found["status"]) == (location, to, 308)
    assert (found["rest"] is None) is not location.endswith("/") or location.startswith("=")


PLACE = "a path such as /new or a URL such as https://example.com/new, encoded"
NEVER = "another place than the path itself: the redirect would never end"

REFUSED: list[tuple[dict[str, t.Any], str, str, str]] = [
    *(({"redirects": [{"path": "/old", "to": value}]}, ".redirects[0].to", shown, PLACE) for value, shown in [
        ("", '""'), ("new", '"new"'), ("//evil.example", '"//evil.example"'),
        ("/\\evil.example", '"/\\\\evil.example"'),
        ("ftp://a.example/", '"ftp://a.example/"'), ("javascript:alert(1)", '"javascript:alert(1)"'),
        ("/a b", '"/a b"'),
        ("/a\nb", '"/a\\nb"'), ("/a\r\nX: y", '"/a\\r\\nX: y"'), ("/a;", '"/a;"'), ("/$host", '"/$host"'),
        ("/a'", '"/a\'"'),
        ('/a"', '"/a\\""'), ("/a{", '"/a{"'), ("/\u00e9", '"/\\u00e9"'), ("https:///x", '"https:///x"'),
        ("https://example.com:0/", '"https://example.com:0/"'), ("https://", '"https://"'),
        ("HTTPS://a.example", '"HTTPS://a.example"'),
    ]),
    *(({"redirects": [{"path": "/old", "to": value}]}, ".redirects[0].to", shown, "a host name") for value, shown in [
        ("https://user@example.com/", '"user@example.com"'), ("https://$host/", '"$host"'),
        ("https://a_b.example/", '"a_b.example"'),
        ("https://*.example.com/", '"*.example.com"'), ("https://192.0.2.1/", '"192.0.2.1"'),
    ]),
    ({"redirects": [{"path": "/old", "to": "https://a.example:65536/"}]}, ".redirects[0].to",
     '"https://a.example:65536/"',
     "a URL whose port is 65535 at most"),
    ({"redirects": [{"path": "/old", "to": "/" + "a" * 2000}]}, ".redirects[0].to", '"/' + "a" * 75 + "...",
     "2000 characters"),
    ({"redirects": [{"path": "/old/", "to": "/new"}]}, ".redirects[0].to", '"/new"', "a place that ends with a slash"),
    ({"redirects": [{"path": "/old/", "to": "https://a.example"}]}, ".redirects[0].to", '"https://a.example"',
     "with a slash"),
    *(({"redirects": [{"path": path, "to": to}]}, ".redirects[0].to", f'"{to}"', NEVER) for path, to in [
        ("/old", "/old"), ("/old/", "/old/"), ("/old/", "/old/new/"), ("/old", "https://notes.example.com/old"),
        ("/old", "http://Notes.example.com/old"), ("/old/", "https://notes.example.com/old/x/"),
    ]),
    ({"redirects": [{"path": "/", "to": "/new/"}]}, ".redirects[0].path", '"/"', "a path below /"),
    ({"redirects": [{"path": "old", "to": "/new"}]}, ".redirects[0].path", '"old"', "a path such as /api/"),
    ({"redirects": [{"path": "/old?a=b", "to": "/new"}]}, ".redirects[0].path", '"/old?a=b"', "a path such as /api/"),
    ({"redirects": [{"path": "/a", "to": "/b"}, {"path": "/a", "to": "/c"}]}, ".redirects[1].path", '"/a"',
     "each path once"),
    ({"redirects": [{"to": "/b"}]}, ".redirects[0]", "[]", "one of domain and path"),
    ({"redirects": [{"domain": "a.example", "path": "/a", "to": "/b"}]}, ".redirects[0]", '["domain", "path"]',
     "one of"),
    ({"redirects": [{"path": "/a"}]}, ".redirects[0].to", "null", "it is required"),
    ({"redirects": [{"path": "/a", "to": "/b", "status": 200}]}, ".redirects[0].status", "200", "one of 301, 302"),
    ({"redirects": [{"path": "/a", "to": "/b", "status": True}]}, ".redirects[0].status", "true", "a whole number"),
    ({"redirects": [{"path": "/a", "to": "/b", "stauts": 301}]}, ".redirects[0].stauts", "301", "did you mean status?"),
    ({"redirects": [{"domain": "a b", "to": "notes.example.com"}]}, ".redirects[0].domain", '"a b"', "a host name"),
    ({"redirects": [{"domain": "notes.example.com", "to": "notes.example.com"}]}, ".redirects[0].domain",
     '"notes.example.com"', "a name that is not served"),
    ({"redirects": [{"domain": name, "to": "notes.example.com"} for name in ("a.example", "A.example")]},
     ".redirects[1].domain", '"A.example"', "not redirected twice"),
    ({"redirects": [{"domain": "a.example", "to": "b.example"}]}, ".redirects[0].to", '"b.example"',
     "one of the site's domains"),
    ({"redirects": [{"domain": "a.example", "to": "https://notes.example.com"}]}, ".redirects[0].to",
     '"https://notes.example.com"', "without a scheme"),
    # One path, two answers.
    ({"redirects": [{"path": "/a/", "to": "/b/"}], "locations": [{"path": "/a/"}]}, ".locations[0].path", '"/a/"',
     "a path that nginx_proxy_sites[0].redirects[0] does not have"),
    ({"redirects": [{"path": "/a", "to": "/b"}], "locations": [{"path": "/x"}, {"path": "/a", "match": "exact"}]},
     ".locations[1].path", '"/a"', "a path that nginx_proxy_sites[0].redirects[0] does not have"),
    ({"redirects": [{"path": "/a/", "to": "/b/"}], "static": [{"path": "/a/", "folder": "/srv/a/"}]}, ".static[0].path",
     '"/a/"', "a path that nginx_proxy_sites[0].redirects[0] does not have"),
]  # fmt: skip


@pytest.mark.parametrize(("site", "place", "value", "accepted"), REFUSED)
def test_refused(refusal: Refusal, site: dict[str, t.Any], place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=[{**SITE, **site}])
    assert line.startswith(f"nginx_proxy_sites[0]{place}: {value} is refused; accepted: ")
    assert accepted in line
    assert line.isprintable()


def test_a_name_that_another_site_has(refusal: Refusal) -> None:
    redirects = [{"path": "/a", "to": "/b"}, {"domain": "notes.example.com", "to": "b.example.com"}]
    other = {"name": "other", "domains": ["b.example.com"], "app": "notes", "redirects": redirects}
    assert refusal("nginx_proxy", nginx_proxy_sites=[SITE, other]) == (
        'nginx_proxy_sites[1].redirects[1].domain: "notes.example.com" is refused; accepted: '
        "a name that nginx_proxy_sites[0] does not have"
    )
