# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What INPUTS refuses of nginx_proxy, from the user's variables to the line that a user reads."""

from __future__ import annotations

import typing as t

import pytest

Refusal = t.Callable[..., str]

SITE = "nginx_proxy_sites[0]"
NAME = "a host name such as app.example.com or *.example.com"


def sites(given: dict[t.Any, t.Any] | None = None, **changes: t.Any) -> list[dict[t.Any, t.Any]]:
    """Return one site with these changes; ... leaves a key out."""
    site = {"name": "notes", "domains": ["notes.example.com"], "app": "notes", "tls": {"source": "self_signed"}}
    return [{key: value for key, value in {**site, **(given or {}), **changes}.items() if value is not ...}]


LONG_LABEL = "a" * 64 + ".example.com"
LONG_NAME = ".".join(["a" * 49] * 5) + ".com"

DOMAINS: list[tuple[t.Any, str, str]] = [
    ("a;b.com", '"a;b.com"', NAME),
    ("a{b.com", '"a{b.com"', NAME),
    ("a}b.com", '"a}b.com"', NAME),
    ("a b.com", '"a b.com"', NAME),
    ("a.com\n", '"a.com\\n"', NAME),
    ("a.com\t", '"a.com\\t"', NAME),
    ("a\0.com", '"a\\u0000.com"', NAME),
    ('a".com', '"a\\".com"', NAME),
    ("a'.com", '"a\'.com"', NAME),
    ("$host", '"$host"', NAME),
    ("~^a$", '"~^a$"', NAME),
    ("_", '"_"', NAME),
    ("a_b.com", '"a_b.com"', NAME),
    ("-a.com", '"-a.com"', NAME),
    ("a-.com", '"a-.com"', NAME),
    ("a..com", '"a..com"', NAME),
    (".a.com", '".a.com"', NAME),
    ("https://a.com", '"https://a.com"', "without a scheme"),
    ("a.com/x", '"a.com/x"', "without a path"),
    ("a.com:443", '"a.com:443"', "without a port"),
    ("[2001:db8::1]", '"[2001:db8::1]"', "without a port"),
    ("a.com.", '"a.com."', "without the trailing dot"),
    ("", '""', NAME),
    ("192.0.2.1", '"192.0.2.1"', "an address or a number is not a host name"),
    ("a.123", '"a.123"', "an address or a number is not a host name"),
    ("münchen.example", '"m\\u00fcnchen.example"', "the name's ASCII form, xn--mnchen-3ya.example"),
    ("MÜNCHEN.example", '"M\\u00dcNCHEN.example"', "the name's ASCII form, xn--mnchen-3ya.example"),
    ("a.com\u0661", '"a.com\\u0661"', "the name's ASCII form, a.xn--com-d6e"),
    ("ü;x.example", '"\\u00fc;x.example"', NAME),
    ("ü.example\n", '"\\u00fc.example\\n"', NAME),
    # IDNA 2003 would make it strasse.de, which belongs to somebody else.
    ("stra\u00dfe.de", '"stra\\u00dfe.de"', "in ASCII (an international name in punycode)"),
    ("*", '"*"', "a wildcard under a domain, such as *.example.com"),
    ("*.com", '"*.com"', "a wildcard under a domain, such as *.example.com"),
    ("a.*.com", '"a.*.com"', "a wildcard only as the whole first label, such as *.example.com"),
    ("*a.example.com", '"*a.example.com"', "a wildcard only as the whole first label, such as *.example.com"),
    ("*.*.example.com", '"*.*.example.com"', "a wildcard only as the whole first label, such as *.example.com"),
    (LONG_LABEL, '"aaaa', "labels of 63 characters at most, one has 64"),
    (LONG_NAME + "x", '"aaaa', "a host name of 253 characters at most, this one has 254"),
    (True, "true", "a string (quote it)"),
    (1.5, "1.5", "a string (quote it)"),
    (None, "null", "a str"),
    (["a.com"], '["a.com"]', "a string (quote it)"),
]


@pytest.mark.parametrize(("domain", "value", "accepted"), DOMAINS)
def test_domain(refusal: Refusal, domain: t.Any, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=sites(domains=["right.example.com", domain]))
    assert line.startswith(f"{SITE}.domains[1]: {value}")
    assert accepted in line
    assert "\n" not in line


#: What was written, the place, the value as shown, and words of what is accepted.
SITES: list[tuple[dict[t.Any, t.Any], str, str, str]] = [
    # Shape.
    ({"domain": ["a.com"]}, ".domain", '["a.com"]', "did you mean domains?"),
    ({"tls": {"sorce": "none"}}, ".tls.sorce", '"none"', "did you mean source?"),
    ({"name": ...}, ".name", "null", "it is required"),
    ({"name": None}, ".name", "null", "it is required"),
    ({"domains": ...}, ".domains", "null", "it is required"),
    ({"domains": []}, ".domains", "[]", "at least one host name"),
    ({"domains": "a.com"}, ".domains", '"a.com"', "a list of str"),
    ({"domains": {"a": "b"}}, ".domains", '{"a": "b"}', "a list of str"),
    ({"domains": ["a.com", "A.com"]}, ".domains[1]", '"A.com"', "each host name once"),
    ({"tls": "none"}, ".tls", '"none"', "a dictionary"),
    ({"timeouts": {"raed": "5s"}}, ".timeouts.raed", '"5s"', "did you mean read?"),
    ({True: "x"}, ".true", '"x"', "only the keys name, domains"),
    # Features of a later version are unknown by name, not ignored.
    ({"cache": True}, ".cache", "true", "a dictionary"),
    # Names.
    *(({"name": name}, ".name", shown, "lower-case letters, digits, dots, hyphens and underscores") for name, shown in [
        ("Notes", '"Notes"'), ("a b", '"a b"'), ("../a", '"../a"'), ("a..b", '"a..b"'), ("a/b", '"a/b"'),
        ("-a", '"-a"'), (".a", '".a"'), ("a.", '"a."'), ("a\n", '"a\\n"'), ("a;", '"a;"'), ("", '""'),
        ("\u0661", '"\\u0661"'), ("a" * 65, '"aaaa'),
    ]),
    # The application or the upstream.
    ({"app": ...}, "", "[]", "one of app and upstream"),
    ({"upstream": {"servers": ["a:80"]}}, "", '["app", "upstream"]', "one of app and upstream"),
    ({"app": "../x"}, ".app", '"../x"', "[a-z][a-z0-9_-]*, 32 characters at most"),
    ({"app": "root"}, ".app", '"root"', "a name that no user or service of the system has"),
    # TLS.
    ({"tls": {"profile": "old"}}, ".tls.profile", '"old"', "one of intermediate, modern"),
    ({"tls": {"source": "letsencrypt"}}, ".tls.source", '"letsencrypt"', "one of certbot, self_signed, files, none"),
    ({"tls": {"source": True}}, ".tls.source", "true", "a string (quote it)"),
    ({"tls": {"source": "files"}}, ".tls.certificate", "null", "the absolute path of a PEM file"),
    ({"tls": {"source": "files", "certificate": "/a.pem"}}, ".tls.key", "null", "source files needs it"),
    ({"tls": {"source": "files", "certificate": "a", "key": "/k"}}, ".tls.certificate", '"a"', "an absolute path"),
    ({"tls": {"source": "files", "certificate": "/;", "key": "/k"}}, ".tls.certificate", '"/;"', "an absolute path"),
    ({"tls": {"source": "files", "certificate": "/a", "key": "/../k"}}, ".tls.key", '"/../k"', "without '..'"),
    ({"tls": {"certificate": "/a"}}, ".tls.certificate", '"/a"', "no certificate unless source is files"),
    ({"tls": {"lineage": "../x"}}, ".tls.lineage", '"../x"', "lower-case letters, digits"),
    ({"tls": {"lineage": ""}}, ".tls.lineage", '""', "lower-case letters, digits"),
    ({"tls": {"lineage": "a", "source": "self_signed"}}, ".tls.lineage", '"a"', "no lineage unless source is certbot"),
    ({"tls": {"lineage": "a", "source": "none"}}, ".tls.lineage", '"a"', "no lineage unless source is certbot"),
    ({"tls": {"source": "none", "key": "/a"}}, ".tls.key", '"/a"', "no key unless source is files (it is none)"),
    ({"tls": {"hsts_max_age": -1}}, ".tls.hsts_max_age", "-1", "an integer of 0 or more"),
    ({"tls": {"hsts_max_age": True}}, ".tls.hsts_max_age", "true", "a whole number"),
    ({"tls": {"hsts_max_age": 1.5}}, ".tls.hsts_max_age", "1.5", "a whole number"),
    ({"tls": {"hsts_max_age": "1y"}}, ".tls.hsts_max_age", '"1y"', "a whole number"),
    ({"tls": {"hsts_max_age": "5\n"}}, ".tls.hsts_max_age", '"5\\n"', "a whole number"),
    ({"tls": {"hsts_max_age": "\u0661"}}, ".tls.hsts_max_age", '"\\u0661"', "a whole number"),
    # Sizes and times.
    *(({"body_size": value}, ".body_size", shown, "a size above zero with its unit (k, m or g)") for value, shown in [
        (0, '"0"'), ("0", '"0"'), ("0m", '"0m"'), (10, '"10"'), ("10", '"10"'), ("10mb", '"10mb"'), ("10 m", '"10 m"'),
        ("-1m", '"-1m"'), ("1.5m", '"1.5m"'), ("10m\n", '"10m\\n"'), ("10m;", '"10m;"'), ("\u0661m", '"\\u0661m"'),
        ("Unlimited", '"Unlimited"'), ("", '""'),
    ]),
    ({"body_size": True}, ".body_size", "true", "a string (quote it)"),
    *(({"timeouts": {"read": value}}, ".timeouts.read", shown, "a time above zero with its unit") for value, shown in [
        (0, '"0"'), ("0s", '"0s"'), (60, '"60"'), ("60sec", '"60sec"'), ("60 s", '"60 s"'), ("-5s", '"-5s"'),
        ("5s\n", '"5s\\n"'), ("unlimited", '"unlimited"'), ("5s;", '"5s;"'),
    ]),
    ({"timeouts": {"connect": "76s"}}, ".timeouts.connect", '"76s"', "at most 75s"),
    ({"timeouts": {"send": 1.5}}, ".timeouts.send", "1.5", "a string (quote it)"),
    # Raw directives.
    ({"extra": "deny all; }"}, ".extra", '"deny all; }"', "stay in their own block (line 1 closes too much)"),
    ({"extra": "deny all"}, ".extra", '"deny all"', "directives that end with ; and blocks that end with }"),
    ({"extra": ["deny all;"]}, ".extra", '["deny all;"]', "a string (quote it)"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "place", "value", "accepted"), SITES)
def test_site(refusal: Refusal, changes: dict[t.Any, t.Any], place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=sites(changes))
    assert line.startswith(f"{SITE}{place}: {value}")
    assert accepted in line
    assert "\n" not in line


HEADERS: list[tuple[t.Any, t.Any, str, str, str]] = [
    ("X Y", "1", '."X Y"', '"X Y"', "a header name of letters, digits and hyphens"),
    ("X:Y", "1", '."X:Y"', '"X:Y"', "a header name of letters, digits and hyphens"),
    ("X-A\n", "1", '."X-A\\n"', '"X-A\\n"', "a header name of letters, digits and hyphens"),
    ("X\0", "1", '."X\\u0000"', '"X\\u0000"', "a header name of letters, digits and hyphens"),
    ("X_A", "1", ".X_A", '"X_A"', "a header name of letters, digits and hyphens"),
    ("", "1", '.""', '""', "a header name of letters, digits and hyphens"),
    (1, "1", ".1", "1", "a header name of letters, digits and hyphens"),
    (True, "1", ".true", "true", "a header name of letters, digits and hyphens"),
    ("X-A", "a\r\nSet-Cookie: b", ".X-A", '"a\\r\\nSet-Cookie: b"', "printable ASCII on one line"),
    ("X-A", "a\n", ".X-A", '"a\\n"', "printable ASCII on one line"),
    ("X-A", "a\0", ".X-A", '"a\\u0000"', "printable ASCII on one line"),
    ("X-A", "a\x7f", ".X-A", '"a\\u007f"', "printable ASCII on one line"),
    ("X-A", "\u00e9", ".X-A", '"\\u00e9"', "printable ASCII on one line"),
    ("X-A", 'a"; }', ".X-A", '"a\\"; }"', "double quotes and backslashes escaped"),
    ("X-A", "a\\", ".X-A", '"a\\\\"', "double quotes and backslashes escaped"),
    ("X-A", "\\$host", ".X-A", '"\\\\$host"', "double quotes and backslashes escaped"),
    ("X-A", "a $b", ".X-A", '"a $b"', "a $ only as one of the variables $host"),
    ("X-A", "a$", ".X-A", '"a$"', "a $ only as one of the variables $host"),
    ("X-A", "${host", ".X-A", '"${host"', "a $ only as one of the variables $host"),
    ("X-A", "${hosts}", ".X-A", '"${hosts}"', "a $ only as one of the variables $host"),
    ("X-A", "$1", ".X-A", '"$1"', "a $ only as one of the variables $host"),
    ("X-A", 0, ".X-A", "0", "a string (quote it)"),
    ("X-A", True, ".X-A", "true", "a string (quote it)"),
    ("X-A", ["a"], ".X-A", '["a"]', "a string (quote it)"),
    ("Strict-Transport-Security", "max-age=0", ".Strict-Transport-Security", '"Strict',
     "this header through tls.hsts_max_age"),
    ("content-LENGTH", "1", ".content-LENGTH", '"content-LENGTH"', "any header but those"),
    ("X-Request-ID", "1", ".X-Request-ID", '"X-Request-ID"', "any header but those"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "place", "value", "accepted"), HEADERS)
def test_header(refusal: Refusal, name: t.Any, content: t.Any, place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=sites(headers={name: content}))
    assert line.startswith(f"{SITE}.headers{place}: {value}")
    assert accepted in line
    assert "\n" not in line


def test_header_twice(refusal: Refusal) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=sites(headers={"X-A": "1", "x-a": "2"}))
    assert line == f'{SITE}.headers.x-a: "x-a" is refused; accepted: each header once, in whatever case'


SERVER = "host:port, [IPv6 address]:port or unix:/absolute/path"

UPSTREAMS: list[tuple[t.Any, str, str, str]] = [
    ({"name": "x", "servers": ["a:80"]}, ".name", '"x"', "no name here: the site's own is used"),
    ({}, ".servers", "", ""),
    ({"servers": []}, ".servers", "[]", ""),
    ({"servers": ["a:80", "b"]}, ".servers[1]", '"b"', SERVER),
    ({"servers": ["a:0"]}, ".servers[0]", '"a:0"', "the port being from 1 to 65535"),
    ({"servers": ["a:65536"]}, ".servers[0]", '"a:65536"', "the port being from 1 to 65535"),
    ({"servers": ["a:80;"]}, ".servers[0]", '"a:80;"', SERVER),
    ({"servers": ["unix:run/x.sock"]}, ".servers[0]", '"unix:run/x.sock"', "unix:/absolute/path"),
    ({"servers": ["2001:db8::1:80"]}, ".servers[0]", '"2001:db8::1:80"', "an IPv6 address goes in brackets"),
    ({"servers": ["a:80", "A:80"]}, ".servers[1]", '"A:80"', ""),
    ({"servers": [{"address": "a:80", "weight": 0}]}, ".servers[0].weight", "0", ""),
    ({"servers": [{"address": "a:80", "weight": True}]}, ".servers[0].weight", "true", ""),
    ({"servers": [{"address": "a:80", "wieght": 1}]}, ".servers[0].wieght", "1", "only the keys address"),
    ({"servers": [{"address": "a:80", "down": True}]}, ".servers", "", ""),
    ({"servers": [{"address": "a:80", "backup": True}]}, ".servers", "", ""),
    ({"servers": ["a:80", {"address": "b:80", "backup": True}], "method": "ip_hash"}, ".servers[1].backup", "true", ""),
    ({"servers": ["a:80"], "method": "least_time"}, ".method", '"least_time"', "commercial"),
    ({"servers": ["a:80"], "method": "fastest"}, ".method", '"fastest"', "round_robin"),
    ({"servers": ["a:80"], "method": "hash"}, ".hash_key", "null", ""),
    ({"servers": ["a:80"], "keepalive": 0}, ".keepalive", "0", ""),
    ({"servers": ["a:80"], "zone_size": "8k"}, ".zone_size", '"8k"', ""),
    ("a:80", "", '"a:80"', "a dictionary"),
]  # fmt: skip


@pytest.mark.parametrize(("upstream", "place", "value", "accepted"), UPSTREAMS)
def test_upstream(refusal: Refusal, upstream: t.Any, place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=sites(app=..., upstream=upstream))
    assert line.startswith(f"{SITE}.upstream{place}: {value}")
    assert accepted in line


TOGETHER: list[tuple[dict[str, t.Any], dict[str, t.Any], str, str]] = [
    ({"name": "a"}, {"name": "a"}, '.name: "a"', "a name unlike that of nginx_proxy_sites[0], a"),
    ({"name": "a-b"}, {"name": "a.b"}, '.name: "a.b"', "a name unlike that of nginx_proxy_sites[0], a-b"),
    (
        {},
        {"domains": ["B.example.com", "Notes.example.com"]},
        '.domains[1]: "notes.example.com"',
        "a name that nginx_proxy_sites[0] does not have",
    ),
    ({}, {"tls": {"source": "none", "profile": "modern"}}, '.tls.profile: "modern"', "one profile a host"),
]


@pytest.mark.parametrize(("first", "second", "place", "accepted"), TOGETHER)
def test_two_sites(
    refusal: Refusal, first: dict[str, t.Any], second: dict[str, t.Any], place: str, accepted: str
) -> None:
    other = {"name": "other", "domains": ["other.example.com"], **second}
    line = refusal("nginx_proxy", nginx_proxy_sites=sites(**first) + sites(**other))
    assert line.startswith(f"nginx_proxy_sites[1]{place} is refused; accepted: {accepted}")


def test_an_application_that_no_host_has(refusal: Refusal) -> None:
    groups = {"apps": ["web2"], "proxies": ["web1"]}
    others = {"web2": {"gunicorn_app_name": "shop"}}
    line = refusal("nginx_proxy", nginx_proxy_sites=sites(), groups=groups, hostvars=others)
    assert line == f'{SITE}.app: "notes" is refused; accepted: shop, the applications there are, or an upstream'


@pytest.mark.parametrize("read", ["90s", "1m30s", "1d", "90000ms"])
def test_read_timeout_of_the_application(refusal: Refusal, least: dict[str, t.Any], read: str) -> None:
    line = refusal("nginx_proxy", **least["gunicorn_app"], nginx_proxy_sites=sites(timeouts={"read": read}))
    assert line == f'{SITE}.timeouts.read: "{read}" is refused; accepted: less than gunicorn_app_timeout of notes, 90s'


HOST: list[tuple[str, t.Any, str]] = [
    ("sites", {"name": "a"}, "a list of dict"),
    ("sites", ["a"], "a dictionary"),
    ("sites", [None], "a dict"),
    ("tls_dir", "tls", "an absolute path"),
    ("tls_dir", "/etc/nginx/tls/", "an absolute path"),
    ("tls_dir", "/etc/../tls", "without '..'"),
    ("tls_dir", "/", "an absolute path"),
    ("tls_dir", "/etc/nginx tls", "an absolute path"),
    ("acme_webroot", "/var/www;", "an absolute path"),
    ("acme_webroot", "/var/www\n", "an absolute path"),
    ("worker_connections", 63, "an integer from 64 to 1000000"),
    ("worker_connections", True, "a whole number"),
    ("worker_connections", "4k", "a whole number"),
    ("status_port", 0, "an integer from 1 to 65535"),
    ("status_port", 65536, "an integer from 1 to 65535"),
    ("status_port", 443, "not 80, not 443"),
    ("generations", 1, "an integer from 2 to 1000"),
    ("generations", 2.0, "a whole number"),
    ("ipv6", "maybe", "true or false"),
    ("ipv6", 1, "true or false"),
]


@pytest.mark.parametrize(("name", "value", "accepted"), HOST)
def test_host_variable(refusal: Refusal, name: str, value: t.Any, accepted: str) -> None:
    line = refusal("nginx_proxy", **{f"nginx_proxy_{name}": value})
    assert line.startswith(f"nginx_proxy_{name}")
    assert " is refused; accepted: " in line
    assert accepted in line
