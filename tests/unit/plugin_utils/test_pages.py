# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Error pages, maintenance and the paths that are never shown."""

from __future__ import annotations

import re
import typing as t

import pytest

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]

SITE = {"name": "notes", "domains": ["notes.example.com"], "app": "notes"}


def test_error_pages(normalised: Normalise) -> None:
    pages = [
        {"statuses": [504, 502], "content": "<h1>Away</h1>"},
        {"statuses": [400, 599], "content": "no\n", "type": "text/plain"},
        {"statuses": [404], "content": '{"a": "\u00e9 {{ x }} $y"}', "type": "application/json"},
    ]
    site = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "error_pages": pages}])["sites"][0]
    assert site["error_pages"] == [
        {"statuses": [502, 504], "file": "504.html", "content": "<h1>Away</h1>\n"},
        {"statuses": [400, 599], "file": "400.txt", "content": "no\n"},
        {"statuses": [404], "file": "404.json", "content": '{"a": "\u00e9 {{ x }} $y"}\n'},
    ]


@pytest.mark.parametrize(("given", "seconds"), [("1s", 1), ("1m30s", 90), ("1d", 86400)])
def test_maintenance(normalised: Normalise, given: str, seconds: int) -> None:
    site = {**SITE, "maintenance": {"enabled": True, "allow": ["10.0.0.0/8"], "retry_after": given}}
    found = normalised("nginx_proxy", nginx_proxy_sites=[site])["sites"][0]["maintenance"]
    assert found == {"enabled": True, "content": None, "allow": ["10.0.0.0/8"], "retry_after": seconds}


@pytest.mark.parametrize(
    ("blocked", "path", "hidden"),
    [
        ([], "/.git/HEAD", True),
        ([], "/.env.bak", True),
        ([], "/a/.htpasswd", True),
        ([], "/.well-knownx", True),
        ([], "/.well-known/security.txt", False),
        ([], "/getenv", False),
        ([], "/api/digit", False),
        ([], "/a.b", False),
        (["*.php"], "/a/b.php", True),
        (["*.php"], "/a.phps", False),
        (["*.php"], "/aphp", False),
        (["*.tar.gz"], "/a.tar.gz", True),
        (["*.tar.gz"], "/a.tarxgz", False),
        (["/wp-admin/"], "/wp-admin/x", True),
        (["/wp-admin/"], "/a/wp-admin/", False),
        (["/a.b(c)"], "/a.b(c)d", True),
        (["/a.b"], "/axb", False),
        (["/.git/"], "/.git/HEAD", True),
    ],
)
def test_blocked_paths(normalised: Normalise, blocked: list[str], path: str, hidden: bool) -> None:
    site = normalised("nginx_proxy", nginx_proxy_sites=[{**SITE, "blocked_paths": blocked}])["sites"][0]
    assert any(re.search(expression, path) for expression in site["blocked_paths"]) is hidden


PAGE = {"statuses": [502], "content": "x"}
END = "an end such as *.php, or a path's beginning such as /wp-admin/"

REFUSED: list[tuple[dict[str, t.Any], str, str, str]] = [
    *(({"error_pages": [{**PAGE, "statuses": [value]}]}, ".error_pages[0].statuses[0]", shown, accepted)
      for value, shown, accepted in [
        (399, "399", "an integer from 400 to 599"), (600, "600", "an integer from 400 to 599"),
        (200, "200", "400 to 599"),
        (True, "true", "a whole number"), ("5xx", '"5xx"', "a whole number"),
        (444, "444", "444 and 499 are never sent"),
        (499, "499", "444 and 499 are never sent"), (502.0, "502.0", "a whole number"), (-502, "-502", "400 to 599"),
    ]),
    ({"error_pages": [{**PAGE, "statuses": []}]}, ".error_pages[0].statuses", "[]", "at least one status"),
    ({"error_pages": [{**PAGE, "statuses": 502}]}, ".error_pages[0].statuses", "502", "a list of int"),
    ({"error_pages": [{**PAGE, "statuses": [502, 502]}]}, ".error_pages[0].statuses[1]", "502", "each status once"),
    ({"error_pages": [PAGE, {**PAGE, "statuses": [500, 502]}]}, ".error_pages[1].statuses[1]", "502",
     "each status once"),
    ({"error_pages": [{"statuses": [502]}]}, ".error_pages[0].content", "null", "it is required"),
    ({"error_pages": [{**PAGE, "content": " \n"}]}, ".error_pages[0].content", '" \\n"', "not an empty text"),
    ({"error_pages": [{**PAGE, "content": "a\0"}]}, ".error_pages[0].content", '"a\\u0000"', "without NUL"),
    ({"error_pages": [{**PAGE, "content": "\ud800"}]}, ".error_pages[0].content", '"\\ud800"', "text of Unicode"),
    ({"error_pages": [{**PAGE, "content": "\u00e9" * 131073}]}, ".error_pages[0].content",
     '"' + "\\u00e9" * 12 + "\\u00...",
     "of 256 KiB at most"),
    ({"error_pages": [{**PAGE, "type": "image/png"}]}, ".error_pages[0].type", '"image/png"', "one of text/html"),
    ({"error_pages": [{**PAGE, "status": 1}]}, ".error_pages[0].status", "1", "did you mean statuses?"),
    ({"intercept_errors": "yess"}, ".intercept_errors", '"yess"', "true or false"),
    ({"maintenance": True}, ".maintenance", "true", "a dictionary"),
    ({"maintenance": {"enabled": 1}}, ".maintenance.enabled", "1", "true or false"),
    ({"maintenance": {"page": ""}}, ".maintenance.page", '""', "not an empty text"),
    ({"maintenance": {"allow": ["::/0"]}}, ".maintenance.allow[0]", '"::/0"', "then nobody sees the page"),
    *(({"maintenance": {"retry_after": value}}, ".maintenance.retry_after", shown, "a time above zero") for value,
    shown in [
        ("0s", '"0s"'), ("500ms", '"500ms"'), (300, '"300"'), ("5 min", '"5 min"'), ("unlimited", '"unlimited"'),
    ]),
    *(({"blocked_paths": [value]}, ".blocked_paths[0]", shown, END) for value, shown in [
        ("*", '"*"'), ("*.", '"*."'), ("*php", '"*php"'), ("*.p*p", '"*.p*p"'), ("*.php$", '"*.php$"'),
        ("**.a", '"**.a"'),
        ("*.a;", '"*.a;"'), ("*.a\n", '"*.a\\n"'), ("*./a", '"*./a"'),
    ]),
    ({"blocked_paths": ["/"]}, ".blocked_paths[0]", '"/"', "maintenance.enabled takes the whole site away"),
    ({"blocked_paths": [""]}, ".blocked_paths[0]", '""', "a path such as /api/"),
    ({"blocked_paths": ["wp-admin"]}, ".blocked_paths[0]", '"wp-admin"', "a path such as /api/"),
    ({"blocked_paths": ["~ ^/a"]}, ".blocked_paths[0]", '"~ ^/a"', "a path such as /api/"),
    ({"blocked_paths": ["/a", "/a"]}, ".blocked_paths[1]", '"/a"', "each path once"),
    ({"quiet_paths": ["/a", "/a"]}, ".quiet_paths[1]", '"/a"', "each path once"),
    ({"quiet_paths": ["/a?b"]}, ".quiet_paths[0]", '"/a?b"', "a path such as /api/"),
    ({"api_docs": ["/docs", "/docs/"]}, ".api_docs[1]", '"/docs/"', "each once"),
    ({"api_docs": ["/"]}, ".api_docs[0]", '"/"', "the path of a page, such as /docs"),
    ({"api_docs": "/docs"}, ".api_docs", '"/docs"', "a list of str"),
]  # fmt: skip


@pytest.mark.parametrize(("site", "place", "value", "accepted"), REFUSED)
def test_refused(refusal: Refusal, site: dict[str, t.Any], place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", nginx_proxy_sites=[{**SITE, **site}])
    assert line.startswith(f"nginx_proxy_sites[0]{place}: {value} ")
    assert accepted in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("health", "path", "quiet"),
    [
        ("/health", "/health", True),
        ("/health", "/health?probe=1", True),
        ("/health", "/healthy", False),
        # An application's path may be encoded and have a query, where a location's may not.
        ("/health%20z?full=1&a='b'", "/health%20z?full=1&a='b'", True),
    ],
)
def test_the_health_path_is_quiet_by_itself(
    normalised: Normalise, least: dict[str, t.Any], health: str, path: str, quiet: bool
) -> None:
    application = {**least["gunicorn_app"], "gunicorn_app_health_path": health}
    [expression] = normalised("nginx_proxy", **application, nginx_proxy_sites=[SITE])["sites"][0]["quiet_paths"]
    assert bool(re.search(f"^{expression}(?:\\?|$)", path)) is quiet
