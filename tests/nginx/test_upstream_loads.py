# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filter prints loads on both releases without a warning; what it refuses for nginx's sake, nginx does.

The second half keeps the reasons true: where a new nginx starts to accept something, a test fails here.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.upstream import normalise_upstream, render_upstream

NginxT = t.Callable[[str, str], tuple[int, str]]

TWO = ["192.0.2.1:8000", "192.0.2.2:8000"]


def configuration(upstream: str) -> str:
    return (
        "pid /tmp/nginx.pid;\n"
        "error_log stderr;\n"
        "events {}\n"
        "http {\n"
        "access_log off;\n"
        f"{upstream}"
        "server { listen 127.0.0.1:18080; location / { proxy_pass http://app; } }\n"
        "}\n"
    )


def fleet(count: int, address: str) -> list[str]:
    return [address.format(number, number // 250, number % 250 + 1) for number in range(count)]


LOADS: dict[str, dict[str, t.Any]] = {
    "the defaults": {"servers": TWO},
    "a unix socket": {"servers": ["unix:/run/app/current.sock"]},
    "the longest unix socket": {"servers": ["unix:/" + "x" * 106]},
    "odd characters in a path": {"servers": ["unix:/run/a:b#c*d,e=f~g%h@i&j!k.sock"]},
    "IPv6": {"servers": ["[::1]:8000", "[2001:db8::1]:8000", "[::ffff:192.0.2.1]:8000"]},
    "a name that resolves": {"servers": ["LOCALHOST:8000"]},
    "least_conn": {"servers": TWO, "method": "least_conn"},
    "ip_hash": {"servers": TWO, "method": "ip_hash"},
    "hash": {"servers": TWO, "method": "hash", "hash_key": "$request_uri"},
    "hash of a cookie": {
        "servers": TWO,
        "method": "hash",
        "hash_key": "${cookie_session}-$Binary_remote_addr:a/b?c=d&e~f",
        "consistent": True,
    },
    "the heaviest consistent hash": {
        "servers": [{"address": "192.0.2.1:8000", "weight": 9999}, "192.0.2.2:8000"],
        "method": "hash",
        "hash_key": "$uri",
        "consistent": True,
    },
    "random": {"servers": TWO, "method": "random"},
    "random two": {"servers": TWO, "method": "random", "two": True},
    "every parameter": {
        "servers": [
            {
                "address": "192.0.2.1:8000",
                "weight": 2147483647,
                "max_fails": 2147483647,
                "fail_timeout": "1d2h3m4s",
                "max_conns": 2147483647,
            },
            {"address": "192.0.2.2:8000", "weight": 1, "max_fails": 0, "fail_timeout": "1s", "max_conns": 0},
            {"address": "192.0.2.3:8000", "backup": True},
            {"address": "192.0.2.4:8000", "backup": True, "down": True},
            {"address": "192.0.2.5:8000", "down": True},
        ]
    },
    "parameters with ip_hash": {
        "servers": [
            {"address": "192.0.2.1:8000", "weight": 2, "max_fails": 1, "fail_timeout": "5s", "max_conns": 9},
            {"address": "192.0.2.2:8000", "down": True},
        ],
        "method": "ip_hash",
    },
    "only a backup is up": {
        "servers": [
            {"address": "192.0.2.1:8000", "down": True},
            {"address": "192.0.2.2:8000", "backup": True},
        ]
    },
    "the smallest keepalive": {"servers": TWO, "keepalive": 1, "keepalive_requests": 1},
    "the largest keepalive": {"servers": TWO, "keepalive": 1000000, "keepalive_requests": 2147483647},
    "a timeout in parts": {"servers": TWO, "keepalive_timeout": "1d2h3m4s5ms"},
    "the longest timeout": {"servers": TWO, "keepalive_timeout": "2147483647s"},
    "the smallest zone": {"servers": fleet(15, "[2001:db8::{0:x}]:8000"), "zone_size": "32k"},
    "the largest zone": {"servers": TWO, "zone_size": "1024m"},
    "30 names": {"servers": fleet(31, "localhost:{0:d}1")[1:]},
    "31 unix sockets": {"servers": fleet(31, "unix:/run/{0:0100d}")},
    "200 hosts": {"servers": fleet(200, "10.{1}.0.{2}:8000")},
    "1000 unix sockets": {"servers": fleet(1000, "unix:/run/{0:0100d}")},
}


@pytest.mark.parametrize("given", LOADS.values(), ids=LOADS.keys())
def test_loads_without_a_warning(suite: str, nginx_t: NginxT, given: dict[str, t.Any]) -> None:
    text = render_upstream(normalise_upstream({"name": "app", **given}))
    code, output = nginx_t(suite, configuration(text))
    assert (code, [line for line in output.splitlines() if "[" in line]) == (0, []), output


@pytest.mark.parametrize("name", ["app", "App_2.eu-1", "1app", "_app", "a" * 128])
def test_names_load(suite: str, nginx_t: NginxT, name: str) -> None:
    text = configuration(render_upstream(normalise_upstream({"name": name, "servers": TWO})))
    code, output = nginx_t(suite, text.replace("http://app", f"http://{name}"))
    assert (code, [line for line in output.splitlines() if "[" in line]) == (0, []), output


SERVER = "server 192.0.2.1:8000"

REFUSED = [
    ("zone z 31k; " + SERVER + ";", "is too small"),
    ("zone z 1g; " + SERVER + ";", "invalid zone size"),
    (
        "zone z 32k; " + " ".join(f"server {address};" for address in fleet(17, "10.0.{1}.{2}:80")),
        "",
    ),
    (SERVER + " weight=0;", "invalid parameter"),
    (SERVER + " weight=0.5;", "invalid parameter"),
    (SERVER + " fail_timeout=500ms;", "invalid parameter"),
    (SERVER + " slow_start=5s;", "invalid parameter"),
    (SERVER + " route=a;", "invalid parameter"),
    (SERVER + " drain;", "invalid parameter"),
    ("zone z 64k; " + SERVER + " resolve;", "invalid parameter"),
    ("zone z 64k; " + SERVER + " service=a;", "invalid parameter"),
    (SERVER + " backup;", "no servers in upstream"),
    ("ip_hash; " + SERVER + "; server 192.0.2.2:80 backup;", "balancing method does not support"),
    ("hash $uri; " + SERVER + "; server 192.0.2.2:80 backup;", "balancing method does not support"),
    ("random; " + SERVER + "; server 192.0.2.2:80 backup;", "balancing method does not support"),
    ("hash; " + SERVER + ";", "invalid number of arguments"),
    ("hash $uri$; " + SERVER + ";", "invalid variable name"),
    ("least_time header; " + SERVER + ";", "unknown directive"),
    ("sticky cookie a; " + SERVER + ";", "unknown directive"),
    ("queue 5; " + SERVER + ";", "unknown directive"),
    ("ntlm; " + SERVER + ";", "unknown directive"),
    ("state /tmp/state;", "unknown directive"),
    ("health_check; " + SERVER + ";", "unknown directive"),
    (SERVER + "; keepalive 0;", "invalid value"),
    (SERVER + "; keepalive 64; keepalive_timeout 30s1m;", "invalid value"),
    (SERVER + "; keepalive 64; least_conn;", "load balancing method redefined"),
    ("server unix:/" + "x" * 107 + ";", "too long path"),
    ("server [fe80::1%lo]:80;", "invalid IPv6 address"),
    ("server 192.0.2.1:0;", "invalid port"),
    ("server 192.0.2.1:65536;", "invalid port"),
]


@pytest.mark.parametrize(("body", "reason"), REFUSED)
def test_nginx_refuses_it_too(suite: str, nginx_t: NginxT, body: str, reason: str) -> None:
    code, output = nginx_t(suite, configuration(f"upstream app {{ {body} }}\n"))
    assert code != 0 or "[warn]" in output
    assert reason in output
