# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.asgi.deploy.plugins.filter.nginx_upstream import FilterModule

nginx_upstream = FilterModule().filters()["nginx_upstream"]
PREFIX = "The filter plugin 'asgi.deploy.nginx_upstream' failed: "
Evaluate = t.Callable[[dict[str, str]], dict[str, t.Any]]

SMALL = {"name": "app", "servers": ["a:80"]}
SMALL_TEXT = (
    "upstream app {\n"
    "    zone upstream_app 64k;\n"
    "    server a:80;\n"
    "    keepalive 64;\n"
    "    keepalive_timeout 60s;\n"
    "    keepalive_requests 1000;\n"
    "}\n"
)


def test_prints() -> None:
    assert nginx_upstream(SMALL) == SMALL_TEXT


@pytest.mark.parametrize(
    ("args", "kwargs", "line"),
    [
        ((), {}, "upstream: null is refused; accepted: the filter's input, which is required"),
        ((None,), {}, "upstream: null is refused; accepted: a dictionary with name and servers"),
        (([],), {}, "upstream: [] is refused; accepted: a dictionary with name and servers"),
        ((SMALL, "x"), {}, 'argument 1: "x" is refused; accepted: no arguments'),
        ((SMALL,), {"indent": 2}, "indent: 2 is refused; accepted: no arguments"),
        (
            ({"name": "app", "servers": ["a:80", {"address": "b:80", "weight": 0}]},),
            {},
            "servers[1].weight: 0 is refused; accepted: an integer of 1 or more",
        ),
    ],
)
def test_refusals(args: tuple[t.Any, ...], kwargs: dict[str, t.Any], line: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        nginx_upstream(*args, **kwargs)
    assert caught.value.message == line


def test_in_a_playbook(evaluate: Evaluate) -> None:
    assert evaluate(
        {
            "small": "{'name': 'app', 'servers': ['a:80']} | asgi.deploy.nginx_upstream",
            "mapped": "[{'name': 'app', 'servers': ['a:80']}] | map('asgi.deploy.nginx_upstream') | first",
        }
    ) == {"small": SMALL_TEXT, "mapped": SMALL_TEXT}


def test_what_a_user_reads(evaluate: Evaluate) -> None:
    """The line ends with ours: ansible-core put the task and the filter's name before it, nothing after."""
    expected = {
        "{'name': 'app', 'servers': ['a:80', 'A:80']} | asgi.deploy.nginx_upstream": (
            f'{PREFIX}servers[1]: "A:80" is refused; accepted: each server once; servers[0] is the same one'
        ),
        "{'name': 'app', 'servers': ['a:80; }']} | asgi.deploy.nginx_upstream": (
            f'{PREFIX}servers[0]: "a:80; }}" is refused; accepted: '
            "host:port, [IPv6 address]:port or unix:/absolute/path, the port being from 1 to 65535"
        ),
        "{'name': 'app', 'servers': ['a:80']} | asgi.deploy.nginx_upstream(indent=2)": (
            f"{PREFIX}indent: 2 is refused; accepted: no arguments"
        ),
        "{'name': 'app', 'servers': [apps]} | asgi.deploy.nginx_upstream": "'apps' is undefined",
    }
    read = evaluate({f"line_{number}": expression for number, expression in enumerate(expected)})
    assert [line[-len(end) :] for line, end in zip(read.values(), expected.values(), strict=True)] == [
        *expected.values()
    ]
