# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd but right inputs of nginx_proxy, and the structure that the templates get."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.headers import DEFAULTS
from ansible_collections.asgi.deploy.plugins.plugin_utils.upstream import render_upstream

Normalise = t.Callable[..., dict[str, t.Any]]

SITE = {"name": "notes", "domains": ["notes.example.com"], "app": "notes"}
CURRENT = "/etc/nginx/tls/notes/current"
CSP = "default-src 'self'; script-src 'self' 'nonce-abc' https://cdn.example.com"


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("*.example.com", "*.example.com"),
        ("*.Example.COM", "*.example.com"),
        ("a.b.c.d.e.example.com", "a.b.c.d.e.example.com"),
        ("x.y", "x.y"),
        ("localhost", "localhost"),
        ("1.example.com", "1.example.com"),
        ("3com.example", "3com.example"),
        ("a--b.example", "a--b.example"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("xn--p1ai", "xn--p1ai"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        (".".join(["a" * 49] * 5) + ".co", ".".join(["a" * 49] * 5) + ".co"),
    ],
)
def test_domain(normalised: Normalise, domain: str, expected: str) -> None:
    structure = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "domains": [domain]}])
    assert structure["sites"][0]["domains"] == [expected]


def headers_of(site: dict[str, t.Any]) -> dict[str, str]:
    return {header["name"]: header["value"] for header in site["headers"]}


HSTS = {"Strict-Transport-Security": "max-age=63072000"}
NO_FRAME_OPTIONS = {name: value for name, value in {**DEFAULTS, **HSTS}.items() if name != "X-Frame-Options"}


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ({}, {**DEFAULTS, **HSTS}),
        ({"tls": {"source": "none"}}, DEFAULTS),
        ({"tls": {"hsts_max_age": 0}}, {**DEFAULTS, "Strict-Transport-Security": "max-age=0"}),
        ({"headers": {"x-frame-options": ""}}, NO_FRAME_OPTIONS),
        # The default's spelling of the name, the user's value.
        ({"headers": {"content-security-policy": CSP}}, {**DEFAULTS, **HSTS, "Content-Security-Policy": CSP}),
        ({"headers": {"X-Json": '{\\"a\\": \\"b\\\\c\\"}'}}, {**DEFAULTS, **HSTS, "X-Json": '{\\"a\\": \\"b\\\\c\\"}'}),
        ({"headers": {"X-Host": "$host ${scheme};{}"}}, {**DEFAULTS, **HSTS, "X-Host": "$host ${scheme};{}"}),
        ({"headers": {"P": "a"}}, {**DEFAULTS, **HSTS, "P": "a"}),
    ],
)
def test_headers(normalised: Normalise, site: dict[str, t.Any], expected: dict[str, str]) -> None:
    structure = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, **site}])
    assert headers_of(structure["sites"][0]) == expected


@pytest.mark.parametrize(
    ("site", "key", "expected"),
    [
        ({}, "body_size", "10m"),
        ({"body_size": "2g"}, "body_size", "2g"),
        ({"body_size": "1K"}, "body_size", "1K"),
        ({"body_size": "unlimited"}, "body_size", "0"),
        ({"name": "a"}, "slug", "a"),
        ({"name": "api.example.com"}, "slug", "api_example_com"),
        ({"extra": "\ndeny all;\n"}, "extra", "deny all;"),
    ],
)
def test_site(normalised: Normalise, site: dict[str, t.Any], key: str, expected: t.Any) -> None:
    assert normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, **site}])["sites"][0][key] == expected


@pytest.mark.parametrize(
    ("timeouts", "expected"),
    [
        ({}, {"connect": "5s", "send": "60s", "read": "60s"}),
        ({"read": "1h30m"}, {"connect": "5s", "send": "60s", "read": "1h30m"}),
        ({"connect": "75s", "read": "9ms"}, {"connect": "75s", "send": "60s", "read": "9ms"}),
    ],
)
def test_timeouts(normalised: Normalise, timeouts: dict[str, str], expected: dict[str, str]) -> None:
    structure = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "timeouts": timeouts}])
    assert structure["sites"][0]["locations"][0]["timeouts"] == expected


@pytest.mark.parametrize(
    ("upstream", "line"),
    [
        ({"servers": ["[2001:db8::1]:8000"]}, "server [2001:db8::1]:8000;"),
        ({"servers": ["unix:/run/x.sock"]}, "server unix:/run/x.sock;"),
        ({"servers": ["app_1:8000"]}, "server app_1:8000;"),
        ({"servers": [{"address": "10.0.0.1:8000", "max_fails": 0}]}, "server 10.0.0.1:8000 max_fails=0;"),
    ],
)
def test_upstream(normalised: Normalise, upstream: dict[str, t.Any], line: str) -> None:
    site = {"name": "notes", "domains": ["a.example.com"], "upstream": upstream}
    structure = normalised("nginx_proxy", nginx_proxy_sites=[site], groups={"apps": ["web2"]})
    assert structure["sites"][0]["locations"][0]["upstream"] == "site__notes"
    text = render_upstream(structure["sites"][0]["upstreams"][0])
    assert text.startswith("upstream site__notes {")
    assert line in [row.strip() for row in text.splitlines()]


@pytest.mark.parametrize("groups", [None, {"all": ["web1"]}, {"apps": ["web1", "web2"]}])
def test_an_application_here_is_reached_by_its_socket(normalised: Normalise, groups: t.Any) -> None:
    structure = normalised("nginx_proxy", nginx_proxy_sites=[SITE], groups=groups)
    [block] = structure["sites"][0]["upstreams"]
    assert [server["address"] for server in block["servers"]] == ["unix:/opt/notes/current.sock"]


@pytest.mark.parametrize(
    ("tls", "certificate", "key"),
    [
        ({}, f"{CURRENT}/fullchain.pem", f"{CURRENT}/privkey.pem"),
        ({"source": "self_signed"}, f"{CURRENT}/fullchain.pem", f"{CURRENT}/privkey.pem"),
        ({"source": "files", "certificate": "/a/b.pem", "key": "/a/b.key"}, "/a/b.pem", "/a/b.key"),
    ],
)
def test_pair(normalised: Normalise, tls: t.Any, certificate: str, key: str) -> None:
    site = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "tls": tls}])["sites"][0]
    assert (site["tls"]["certificate"], site["tls"]["key"]) == (certificate, key)


def test_read_timeout_below_the_application(normalised: Normalise, least: dict[str, t.Any]) -> None:
    sites = [{**SITE, "timeouts": {"read": "89999ms"}}]
    structure = normalised("nginx_proxy", **least["gunicorn_app"], nginx_proxy_sites=sites)
    assert structure["sites"][0]["locations"][0]["timeouts"]["read"] == "89999ms"


def test_the_chain_is_that_of_an_application_only(normalised: Normalise, least: dict[str, t.Any]) -> None:
    upstream = {"servers": ["10.0.0.1:80"]}
    site = {"name": "notes", "domains": ["a.example.com"], "upstream": upstream, "timeouts": {"read": "10m"}}
    structure = normalised("nginx_proxy", **least["gunicorn_app"], nginx_proxy_sites=[site])
    assert structure["sites"][0]["locations"][0]["timeouts"]["read"] == "10m"


def test_an_application_that_is_not_here(normalised: Normalise, least: dict[str, t.Any]) -> None:
    sites = [{**SITE, "app": "other"}]
    with pytest.raises(ValueError, match=r'^nginx_proxy_sites\[0\]\.app: "other" is refused; accepted: notes,'):
        normalised("nginx_proxy", **least["gunicorn_app"], nginx_proxy_sites=sites)


def test_host_variables(normalised: Normalise) -> None:
    structure = normalised("nginx_proxy")
    shown = ("sites", "tls_dir", "acme_webroot", "worker_connections", "worker_files", "status_port", "ipv6")
    assert {key: structure[key] for key in (*shown, "generations", "generation", "repository")} == {
        "sites": [],
        "tls_dir": "/etc/nginx/tls",
        "acme_webroot": "/var/www/acme",
        "worker_connections": 4096,
        "worker_files": 8704,
        "status_port": 8099,
        "ipv6": None,
        "generations": 5,
        "generation": None,
        "repository": None,
    }


@pytest.mark.parametrize(
    ("path", "is_docs"),
    [
        ("/docs", True),
        ("/docs/", True),
        ("/docs?x=/../y%2f", True),
        ("/docs/oauth2-redirect?code=1", True),
        ("/docs/v1.0/a.js", True),
        ("/docsx", False),
        ("/x/docs", False),
        # Another page to nginx and the application, and a path that a browser keeps as it is.
        ("/docs/..%2fapp/index.html", False),
        ("/docs/../app/", False),
        ("/docs/%2e%2e/app/", False),
        ("/docs//evil", False),
    ],
)
def test_where_the_policy_of_documentation_pages_holds(normalised: Normalise, path: str, is_docs: bool) -> None:
    [expression] = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "api_docs": ["/docs/"]}])["sites"][0]["docs"]
    assert bool(re.search(expression, path)) is is_docs
