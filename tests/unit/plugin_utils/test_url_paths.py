# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of locations, folders behind them, names made of paths, and expressions that match a text literally."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.url_paths import folder, literally, slugs, url_path


@pytest.mark.parametrize(
    "value",
    ["/", "/a", "/a/", "/A/b.c/", "/~user", "/!@:,+=()-_", "/a.b..c", "/a..", "/.well-known/", "/.well-known",
     "/.well-known/acme-challeng", "/_error_pages", "/" + "a" * 999],
)  # fmt: skip
def test_path(value: str) -> None:
    assert url_path("here", value) == value


FORM = "a path such as /api/, not encoded"


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        *((value, FORM) for value in [
            "", "a", "a/", "~ ^/", "= /a", "^~ /a", "@a", "/a b", "/a\n", "/a\t", "/a\0", "/a;", "/a{",
            "/a}", '/a"', "/a'",
            "/a$", "/$host", "/a\\", "/a#b", "/a?b", "/a%20", "/a&b", "/a|b", "/a<", "/a[b]", "/\u00e9", "https://a/b",
            None, True, 1, ["/a"], {"a": "b"},
        ]),
        *((value, "a path without *, such as /admin/") for value in ["/admin/*", "*", "/*.php", "/a*b/"]),
        *((value, "a path without '..', '.' and '//'") for value in [
            "/..", "/../a", "/a/..", "/a/../b", "/.", "/./a", "/a/.", "//", "//a", "/a//b", "/a//",
        ]),
        *((value, "a path that is not hidden") for value in ["/.git/", "/a/.env", "/.well-knownx", "/.well-known.bak"]),
        *((value, "a path that is not the proxy's own") for value in [
            "/_error_pages/", "/_error_pages/a", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/a",
        ]),
        ("/" + "a" * 1000, "a path of 1000 characters at most, this one has 1001"),
    ],
)  # fmt: skip
def test_path_refused(value: t.Any, accepted: str) -> None:
    with pytest.raises(Refused) as caught:
        url_path("here", value)
    assert str(caught.value).startswith("here: ")
    assert f" is refused; accepted: {accepted}" in str(caught.value)


def test_a_hidden_path_where_it_is_no_mistake() -> None:
    assert url_path("here", "/.git/", hidden=True) == "/.git/"


@pytest.mark.parametrize("value", ["/srv/", "/srv/a/", "/opt/notes/current/source/static/", "/srv/a@b+c-d.e_f/"])
def test_folder(value: str) -> None:
    assert folder("here", value) == value


@pytest.mark.parametrize(
    "value",
    ["/srv/static", "srv/", "/", "//", "/srv//", "/srv/../etc/", "/srv/..", "/srv/ a/", "/srv;/", "/srv/a\n/",
    "/srv/$a/",
     "/srv/\u00e9/", "", "~/a/", None, 1, True, ["/srv/"]],
)  # fmt: skip
def test_folder_refused(value: t.Any) -> None:
    with pytest.raises(Refused, match=r"^here: .* is refused; accepted: .*absolute path"):
        folder("here", value)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([], []),
        (["/"], ["root"]),
        (["/api/", "/api"], ["api", "api_2"]),
        (["/a-b", "/a_b", "/A.B", "/a_b_2"], ["a_b", "a_b_2", "a_b_3", "a_b_2_2"]),
        (["/~!@:,+=()"], ["root"]),
        # The site's own password file and addresses have that name.
        (["/site", "/Site/"], ["site_2", "site_3"]),
        (["/" + "a" * 300, "/" + "a" * 301], ["a" * 39, "a" * 39 + "_2"]),
    ],
)
def test_names(paths: list[str], names: list[str]) -> None:
    assert slugs(paths) == names


@pytest.mark.parametrize("text", ["/a.b", "/~!@:,+=*()-_", "/a|b[c]{1}^$", ".tar.gz", "/a\\b", "/a b"])
def test_literally(text: str) -> None:
    expression = literally(text)
    assert re.fullmatch(expression, text)
    assert not re.fullmatch(expression, text.replace(".", "x").replace("*", "x").replace("+", "x") + "x")
