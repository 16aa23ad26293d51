# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that nginx serves itself: a slash on both sides, and one rule of how long a file is kept."""

from __future__ import annotations

import typing as t

import pytest

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]

SITE: dict[str, t.Any] = {"name": "notes", "domains": ["notes.example.com"], "app": "notes"}

STATIC: dict[str, t.Any] = {"path": "/static/", "folder": "/srv/static/"}


@pytest.mark.parametrize(
    ("given", "key", "expected"),
    [
        ({}, "cache_control", None),
        ({"cache_time": "1h"}, "cache_control", "public, max-age=3600"),
        ({"cache_time": "1d12h"}, "cache_control", "public, max-age=129600"),
        ({"immutable": True}, "cache_control", "public, max-age=31536000, immutable"),
        ({"path": "/"}, "url", "/"),
        ({"path": "/A~b!c@d:e,f+g=h(i)/"}, "url", "/A~b!c@d:e,f+g=h(i)/"),
        ({"path": "/.well-known/"}, "url", "/.well-known/"),
        ({"folder": "/opt/notes/current/source/static/"}, "folder", "/opt/notes/current/source/static/"),
        ({"fallback": "index.html"}, "fallback", "index.html"),
        ({"fallback": "a/b@c+d-e.html"}, "fallback", "a/b@c+d-e.html"),
    ],
)
def test_accepted(normalised: Normalise, given: dict[str, t.Any], key: str, expected: t.Any) -> None:
    site = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "static": [{**STATIC, **given}]}])["sites"][0]
    assert site["static"][0][key] == expected


def test_a_static_site_needs_no_application(normalised: Normalise) -> None:
    site = {"name": "www", "domains": ["www.example.com"], "static": [{**STATIC, "path": "/"}]}
    found = normalised("nginx_proxy", nginx_proxy_sites=[site])["sites"][0]
    assert (found["locations"], found["upstreams"]) == ([], [])


FOLDERS: list[tuple[dict[str, t.Any], str, str, str]] = [
    ({"path": "/static"}, "path", '"/static"', "a path with a slash at its end"),
    ({"path": "static/"}, "path", '"static/"', "a path such as /api/"),
    ({"path": "/a/../b/"}, "path", '"/a/../b/"', "without '..'"),
    ({"path": "/.git/"}, "path", '"/.git/"', "a path that is not hidden"),
    ({"path": "/_error_pages/"}, "path", '"/_error_pages/"', "not the proxy's own"),
    ({"path": "/s;/"}, "path", '"/s;/"', "a path such as /api/"),
    ({"folder": "/srv/static"}, "folder", '"/srv/static"', "with a slash at its end"),
    ({"folder": "srv/static/"}, "folder", '"srv/static/"', "the absolute path"),
    ({"folder": "/"}, "folder", '"/"', "with a slash at its end"),
    ({"folder": "/srv/../etc/"}, "folder", '"/srv/../etc/"', "without '..'"),
    ({"folder": "/srv/a b/"}, "folder", '"/srv/a b/"', "the absolute path"),
    ({"folder": "/srv/$host/"}, "folder", '"/srv/$host/"', "the absolute path"),
    ({"folder": "/etc/nginx/"}, "folder", '"/etc/nginx/"', "a folder that is not the system's"),
    ({"folder": "/proc/"}, "folder", '"/proc/"', "a folder that is not the system's"),
    ({"headers": {"cache-control": "no-store"}, "immutable": True}, "headers.cache-control", '"no-store"', "one of"),
    ({"folder": "/srv//"}, "folder", '"/srv//"', "the absolute path"),
    ({"folder": "/srv/a\n/"}, "folder", '"/srv/a\\n/"', "the absolute path"),
    ({"cache_time": "1h", "immutable": True}, "cache_time", '"1h"', "one of cache_time and immutable"),
    ({"cache_time": "0"}, "cache_time", '"0"', "a time above zero"),
    ({"cache_time": "500ms"}, "cache_time", '"500ms"', "a time above zero"),
    ({"cache_time": 3600}, "cache_time", '"3600"', "a time above zero"),
    ({"fallback": "/index.html"}, "fallback", '"/index.html"', "a file of the folder"),
    ({"fallback": "../index.html"}, "fallback", '"../index.html"', "a file of the folder"),
    ({"fallback": "a/../b"}, "fallback", '"a/../b"', "a file of the folder"),
    ({"fallback": ".env"}, "fallback", '".env"', "a file of the folder"),
    ({"fallback": "a b"}, "fallback", '"a b"', "a file of the folder"),
    ({"fallback": "a;"}, "fallback", '"a;"', "a file of the folder"),
    ({"fallback": "a/"}, "fallback", '"a/"', "a file of the folder"),
    ({"fallback": ""}, "fallback", '""', "a file of the folder"),
    ({"precompressed": "gzip"}, "precompressed", '"gzip"', "true or false"),
    ({"limits": []}, "limits", "[]", "only the keys path, folder"),
]  # fmt: skip
REFUSED: list[tuple[dict[str, t.Any], str, str, str]] = [
    *(
        ({"static": [{**STATIC, **given}]}, f".static[0].{place}", value, accepted)
        for given, place, value, accepted in FOLDERS
    ),
    ({"static": [{"path": "/a/"}]}, ".static[0].folder", "null", "it is required"),
    ({"static": [STATIC, {**STATIC, "folder": "/b/"}]}, ".static[1].path", '"/static/"',
     "nginx_proxy_sites[0].static[0]"),
    ({"static": [STATIC], "locations": [{"path": "/static/"}]}, ".static[0].path", '"/static/"',
     "a path that nginx_proxy_sites[0].locations[0] does not have"),
]  # fmt: skip


@pytest.mark.parametrize(("site", "place", "value", "accepted"), REFUSED)
def test_refused(refusal: Refusal, site: dict[str, t.Any], place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=[{**SITE, **site}])
    assert line.startswith(f"nginx_proxy_sites[0]{place}: {value} is refused; accepted: ")
    assert accepted in line
    assert line.isprintable()
