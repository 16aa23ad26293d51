# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path, app_root, app_socket
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

ACCEPTED = "an absolute path of letters, digits and . _ @ + -, no slash at its end"


@pytest.mark.parametrize("value", ["/a", "/etc/nginx/tls", "/a.b/c_d/e-f/g@h/i+j", "/...", "/.hidden", "/a..b"])
def test_accepted(value: str) -> None:
    assert absolute_path("here", value) == value


@pytest.mark.parametrize(
    "value",
    ["", "/", "a", "a/b", "./a", "~/a", "/a/", "//a", "/a//b", "/a b", "/a\n", "/a\0", "/a;", "/a{", "/a}", "/a$b",
     '/a"', "/a'", "/a\\b", "/a*", "/\u00e9", "/\u0661", "/a,b", "/a:b", "/a#b", "/a%b", None, True, 1, ["/a"], b"/a"],
)  # fmt: skip
def test_refused(value: t.Any) -> None:
    with pytest.raises(Refused) as caught:
        absolute_path("here", value)
    assert (caught.value.path, caught.value.value, caught.value.accepted) == ("here", value, ACCEPTED)


@pytest.mark.parametrize("value", ["/..", "/a/..", "/../a", "/a/../b"])
def test_no_way_up(value: str) -> None:
    with pytest.raises(Refused, match=r"accepted: an absolute path without '\.\.'$"):
        absolute_path("here", value)


def test_where_the_roles_meet() -> None:
    assert (app_root("notes"), app_socket("notes")) == ("/opt/notes", "/opt/notes/current.sock")
