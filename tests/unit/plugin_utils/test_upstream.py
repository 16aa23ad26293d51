# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t
from pathlib import Path

import crossplane
import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.upstream import (
    default_zone_size,
    normalise_upstream,
    render_upstream,
)

Directives = list[tuple[str, ...]]

KEEPALIVE: Directives = [("keepalive", "64"), ("keepalive_timeout", "60s"), ("keepalive_requests", "1000")]


class Text(str):
    """Stands for the tagged strings of ansible-core."""


def one(**options: t.Any) -> dict[str, t.Any]:
    """Return a small upstream with these options."""
    return {"name": "app", "servers": ["a:80", "b:80"], **options}


def serving(*servers: t.Any, **options: t.Any) -> dict[str, t.Any]:
    return {"name": "app", "servers": list(servers), **options}


def zone(size: str = "64k", name: str = "upstream_app") -> tuple[str, ...]:
    return ("zone", name, size)


TWO: Directives = [("server", "a:80"), ("server", "b:80")]

ACCEPTED: list[tuple[dict[str, t.Any], Directives]] = [
    (one(), [zone(), *TWO, *KEEPALIVE]),
    (one(method="round_robin"), [zone(), *TWO, *KEEPALIVE]),
    (one(method="least_conn"), [zone(), ("least_conn",), *TWO, *KEEPALIVE]),
    (one(method="ip_hash"), [zone(), ("ip_hash",), *TWO, *KEEPALIVE]),
    (one(method="hash", hash_key="$request_uri"), [zone(), ("hash", "$request_uri"), *TWO, *KEEPALIVE]),
    (
        one(method="hash", hash_key="${cookie_x}-$uri", consistent=True),
        [zone(), ("hash", "${cookie_x}-$uri", "consistent"), *TWO, *KEEPALIVE],
    ),
    (
        one(method="hash", hash_key=Text("$uri"), consistent=False),
        [zone(), ("hash", "$uri"), *TWO, *KEEPALIVE],
    ),
    (one(method="random"), [zone(), ("random",), *TWO, *KEEPALIVE]),
    (one(method="random", two=False), [zone(), ("random",), *TWO, *KEEPALIVE]),
    (one(method="random", two=True), [zone(), ("random", "two", "least_conn"), *TWO, *KEEPALIVE]),
    (one(name="Shop_2.eu-1"), [zone(name="upstream_Shop_2.eu-1"), *TWO, *KEEPALIVE]),
    (one(zone_size="32k"), [zone("32k"), *TWO, *KEEPALIVE]),
    (one(zone_size="1m"), [zone("1m"), *TWO, *KEEPALIVE]),
    (
        one(keepalive=1, keepalive_timeout="1m30s", keepalive_requests=100000),
        [
            zone(),
            *TWO,
            ("keepalive", "1"),
            ("keepalive_timeout", "1m30s"),
            ("keepalive_requests", "100000"),
        ],
    ),
    (serving("unix:/run/app.sock"), [zone(), ("server", "unix:/run/app.sock"), *KEEPALIVE]),
    (serving("[2001:db8::1]:8000"), [zone(), ("server", "[2001:db8::1]:8000"), *KEEPALIVE]),
    (serving({"address": "a:80"}), [zone(), ("server", "a:80"), *KEEPALIVE]),
    (
        serving(
            {
                "address": "a:80",
                "weight": 3,
                "max_fails": 0,
                "fail_timeout": "5s",
                "max_conns": 0,
                "backup": False,
                "down": False,
            },
            {"address": "b:80", "backup": True, "down": True},
            {"address": "c:80", "down": True, "weight": 1},
        ),
        [
            zone(),
            ("server", "a:80", "weight=3", "max_fails=0", "fail_timeout=5s", "max_conns=0"),
            ("server", "b:80", "backup", "down"),
            ("server", "c:80", "weight=1", "down"),
            *KEEPALIVE,
        ],
    ),
    (
        serving("a:80", {"address": "b:80", "backup": True}, method="least_conn"),
        [zone(), ("least_conn",), ("server", "a:80"), ("server", "b:80", "backup"), *KEEPALIVE],
    ),
    (
        serving({"address": "a:80", "down": True}, {"address": "b:80", "backup": True}),
        [zone(), ("server", "a:80", "down"), ("server", "b:80", "backup"), *KEEPALIVE],
    ),
]


@pytest.mark.parametrize(("given", "expected"), ACCEPTED)
def test_crossplane_reads_what_was_asked_for(given: dict[str, t.Any], expected: Directives, tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text("http {\n" + render_upstream(normalise_upstream(given)) + "}\n", encoding="ascii")
    payload = crossplane.parse(str(file), check_ctx=True, check_args=True)
    assert payload["status"] == "ok", payload["errors"]
    (http,) = payload["config"][0]["parsed"]
    (block,) = http["block"]
    assert (block["directive"], block["args"]) == ("upstream", [given["name"]])
    assert [(line["directive"], *line["args"]) for line in block["block"]] == expected


@pytest.mark.parametrize(("given", "expected"), ACCEPTED)
def test_a_complete_upstream_is_left_alone(given: dict[str, t.Any], expected: Directives) -> None:
    complete = normalise_upstream(given)
    assert normalise_upstream(complete) == complete
    assert len(render_upstream(complete).splitlines()) == len(expected) + 2


def test_the_text_itself() -> None:
    assert render_upstream(normalise_upstream(one(method="least_conn"))) == (
        "upstream app {\n"
        "    zone upstream_app 64k;\n"
        "    least_conn;\n"
        "    server a:80;\n"
        "    server b:80;\n"
        "    keepalive 64;\n"
        "    keepalive_timeout 60s;\n"
        "    keepalive_requests 1000;\n"
        "}\n"
    )


def test_a_dictionary_with_an_address_is_the_plain_address() -> None:
    assert normalise_upstream(serving({"address": "a:80"})) == normalise_upstream(serving("a:80"))


def test_the_input_stays_as_it_was() -> None:
    given = serving({"address": "a:80", "weight": 2}, "b:80")
    normalise_upstream(given)
    assert given == {"name": "app", "servers": [{"address": "a:80", "weight": 2}, "b:80"]}


@pytest.mark.parametrize(
    ("servers", "size"),
    [(1, "64k"), (30, "64k"), (31, "128k"), (60, "128k"), (61, "192k"), (200, "448k"), (1000, "2176k")],
)
def test_the_zone_grows_with_the_servers(servers: int, size: str) -> None:
    assert default_zone_size(servers) == size
    fleet = serving(*[f"app{number}:80" for number in range(servers)])
    assert normalise_upstream(fleet)["zone_size"] == size


METHODS = "one of round_robin, least_conn, ip_hash, hash, random"
NAME = "a name of at most 128 letters, digits, _, . and -, beginning with a letter, a digit or _"
COMMERCIAL = "nothing of that name: it is commercial only, nginx as Debian packages it does not load it"
KEEPALIVE_BOUNDS = "an integer from 1 to 1000000"

LINES: list[tuple[t.Any, str]] = [
    (None, "upstream: null is refused; accepted: a dictionary with name and servers"),
    ("app", 'upstream: "app" is refused; accepted: a dictionary with name and servers'),
    ([one()], " is refused; accepted: a dictionary with name and servers"),
    ({"servers": ["a:80"]}, f"name: null is refused; accepted: {NAME}"),
    (one(name=True), f"name: true is refused; accepted: {NAME}"),
    (one(name=5), f"name: 5 is refused; accepted: {NAME}"),
    ({"name": "app"}, "servers: null is refused; accepted: a list of at least one server"),
    (serving(), "servers: [] is refused; accepted: a list of at least one server"),
    (one(servers="a:80"), 'servers: "a:80" is refused; accepted: a list of at least one server'),
    (one(servers={"a:80": {}}), 'servers: {"a:80": {}} is refused; accepted: a list of at least one server'),
    (
        serving("a:80", None),
        "servers[1]: null is refused; accepted: host:port, [IPv6 address]:port, unix:/absolute/path or a dictionary",
    ),
    (
        serving({"weight": 1}),
        "servers[0].address: null is refused; accepted: host:port, [IPv6 address]:port or unix:/absolute/path",
    ),
    (
        serving("a:80", "a"),
        'servers[1]: "a" is refused; accepted: host:port, [IPv6 address]:port or unix:/absolute/path',
    ),
    *[
        (
            serving("a:80", {"address": "b:80", "weight": weight}),
            f"servers[1].weight: {shown} is refused; accepted: an integer of 1 or more",
        )
        for weight, shown in [(0, "0"), (-1, "-1"), (0.5, "0.5"), (True, "true"), ("2", '"2"')]
    ],
    (
        serving({"address": "a:80", "max_fails": -1}),
        "servers[0].max_fails: -1 is refused; accepted: an integer of 0 or more",
    ),
    (
        serving({"address": "a:80", "max_conns": True}),
        "servers[0].max_conns: true is refused; accepted: an integer of 0 or more",
    ),
    *[
        (
            serving({"address": "a:80", "fail_timeout": time}),
            "is refused; accepted: a time above zero with its unit (s, m, h or d), such as 60s or 1m30s",
        )
        for time in ("500ms", "10", "0s", "60sec", "60 s", "unlimited", 10, None)
    ],
    (
        serving({"address": "a:80", "down": "no"}),
        'servers[0].down: "no" is refused; accepted: true or false',
    ),
    (serving({"address": "a:80", "backup": 1}), "servers[0].backup: 1 is refused; accepted: true or false"),
    (
        serving({"address": "a:80", "wieght": 1}),
        "servers[0].wieght: 1 is refused; accepted: only the keys "
        "address, weight, max_fails, fail_timeout, max_conns, backup, down",
    ),
    *[
        (serving({"address": "a:80", key: "x"}), f'servers[0].{key}: "x" is refused; accepted: {COMMERCIAL}')
        for key in ("slow_start", "route", "resolve", "service", "drain")
    ],
    *[
        (
            serving("x:80", *pair),
            "is refused; accepted: each server once; servers[1] is the same one",
        )
        for pair in [
            ("a:80", "a:80"),
            ("a:80", "A:80"),
            ("a:80", {"address": "a:80", "weight": 2}),
            ("[::1]:80", "[0:0:0:0:0:0:0:1]:80"),
            ("unix:/run/a", "unix:/run//a"),
        ]
    ],
    (
        serving({"address": "a:80", "down": True}, {"address": "b:80", "down": True, "backup": True}),
        "is refused; accepted: at least one server that is not down",
    ),
    (
        serving({"address": "a:80", "backup": True}, {"address": "b:80", "backup": True}),
        "is refused; accepted: at least one server that is not backup",
    ),
    *[
        (
            serving("a:80", {"address": "b:80", "backup": True}, method=method, **options),
            "servers[1].backup: true is refused; accepted: backup with the methods round_robin and least_conn only",
        )
        for method, options in [("ip_hash", {}), ("hash", {"hash_key": "$uri"}), ("random", {})]
    ],
    (one(method="fastest"), f'method: "fastest" is refused; accepted: {METHODS}'),
    (one(method="random two"), f'method: "random two" is refused; accepted: {METHODS}'),
    (one(method="ip_hash\n"), f'method: "ip_hash\\n" is refused; accepted: {METHODS}'),
    (one(method=""), f'method: "" is refused; accepted: {METHODS}'),
    (one(method=None), f"method: null is refused; accepted: {METHODS}"),
    (one(method=["hash"]), f'method: ["hash"] is refused; accepted: {METHODS}'),
    (
        one(method="least_time"),
        f'method: "least_time" is refused; accepted: {METHODS}; least_time is commercial only',
    ),
    (
        one(method="sticky cookie srv"),
        f'method: "sticky cookie srv" is refused; accepted: {METHODS}; sticky is commercial only',
    ),
    (one(sticky="cookie"), f'sticky: "cookie" is refused; accepted: {COMMERCIAL}'),
    (one(hash_key="$uri"), 'hash_key: "$uri" is refused; accepted: this key with the method hash only'),
    (
        one(method="random", consistent=True),
        "consistent: true is refused; accepted: this key with the method hash only",
    ),
    (one(method="ip_hash", two=True), "two: true is refused; accepted: this key with the method random only"),
    (one(method="random", two=1), "two: 1 is refused; accepted: true or false"),
    (
        one(method="hash", hash_key="$uri", consistent="yes"),
        'consistent: "yes" is refused; accepted: true or false',
    ),
    (
        serving({"address": "a:80", "weight": 10000}, "b:80", method="hash", hash_key="$uri", consistent=True),
        'servers: "weights of 10001" is refused; accepted: weights that add up to at most 10000 with a consistent hash',
    ),
    *[
        (one(keepalive=keepalive), f"is refused; accepted: {KEEPALIVE_BOUNDS}")
        for keepalive in (0, -1, 1.5, True, False, "64", None, 1000001)
    ],
    *[
        (one(keepalive_timeout=time), "keepalive_timeout: ")
        for time in ("0", "0s", "60", 60, "60sec", "60 s", "1.5s", "60s;", "unlimited", None, True)
    ],
    (one(keepalive_requests=0), "keepalive_requests: 0 is refused; accepted: an integer of 1 or more"),
    *[
        (one(zone_size=size), "such as 64k or 10m, at least 32k, at most 1024m")
        for size in ("8k", "31k", "0", "0k", "64", 64, "64kb", "1g", "64 k", "1025m", None, True)
    ],
    (
        serving(*[f"app{number}:80" for number in range(17)], zone_size="32k"),
        'zone_size: "32k" is refused; accepted: '
        "a size above zero with its unit (k or m), such as 64k or 10m, at least 33k, at most 1024m",
    ),
    (
        one(kepalive=1),
        "kepalive: 1 is refused; accepted: only the keys name, servers, method, hash_key, consistent, two, "
        "keepalive, keepalive_timeout, keepalive_requests, zone_size",
    ),
    ({**one(), 5: 6}, "5: 6 is refused; accepted: only the keys"),
]


@pytest.mark.parametrize(("given", "line"), LINES)
def test_refusals(given: t.Any, line: str) -> None:
    with pytest.raises(Refused) as caught:
        normalise_upstream(given)
    assert line in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "a b", "a;", "a{", "a}", 'a"', "a'", "$a", "a\\", "a/b", "a:80", "a\n", "a\0", "é", "-a", ".a",
        "#a", "127.0.0.1", "8000", "a" * 129,
    ],
)  # fmt: skip
def test_hostile_names(name: str) -> None:
    with pytest.raises(Refused, match=r"\Aname: "):
        normalise_upstream(one(name=name))


@pytest.mark.parametrize(
    "key",
    [
        None, True, 5, ["$uri"], "", "plain", "$", "$$", "$$uri", "a$", "${uri", "${}", "${u-i}", "$uri}",
        "{$uri}", "$1", "$uri $host", "$uri\t", "$uri\n", "$uri\0", "$uri;", '$uri"', "'$uri'", "$uri\\",
        "#$uri", "$uri`", "$urié", "$uri" + "x" * 300, "$uri" * 60 + "\n",
    ],
)  # fmt: skip
def test_hostile_hash_keys(key: object) -> None:
    with pytest.raises(Refused, match=r"\Ahash_key: .* accepted: a text with at least one nginx variable"):
        normalise_upstream(one(method="hash", hash_key=key))


def test_hash_without_its_key() -> None:
    with pytest.raises(Refused, match=r"\Ahash_key: null is refused"):
        normalise_upstream(one(method="hash"))


def test_the_path_leads_to_the_field() -> None:
    with pytest.raises(Refused) as caught:
        normalise_upstream(serving({"address": "a:80", "weight": 0}), "nginx_proxy_sites[2].upstream")
    assert caught.value.path == "nginx_proxy_sites[2].upstream.servers[0].weight"
    with pytest.raises(Refused) as caught:
        normalise_upstream(5, "nginx_proxy_sites[2].upstream")
    assert caught.value.path == "nginx_proxy_sites[2].upstream"
