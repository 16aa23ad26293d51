# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx_proxy is told about the host as a whole."""

from __future__ import annotations

import typing as t

import pytest

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]


def prefixed(variables: dict[str, t.Any]) -> dict[str, t.Any]:
    return {f"nginx_proxy_{name}": value for name, value in variables.items()}


@pytest.mark.parametrize(
    ("variables", "key", "expected"),
    [
        ({"worker_connections": 64}, "worker_files", 640),
        ({"worker_connections": "1000000"}, "worker_connections", 1000000),
        ({"status_port": 65535}, "status_port", 65535),
        ({"worker_shutdown_timeout": "unlimited"}, "worker_shutdown_timeout", None),
        ({"worker_shutdown_timeout": "1d12h"}, "worker_shutdown_timeout", "1d12h"),
        ({"generations": 2}, "generations", 2),
        ({"generation": "previous"}, "generation", "previous"),
        ({"generation": "20261120T101112-0a1b2c3d4e5f"}, "generation", "20261120T101112-0a1b2c3d4e5f"),
        ({"includes": ["/etc/nginx/conf.d/*.conf", "/a/b?.c"]}, "includes", ["/etc/nginx/conf.d/*.conf", "/a/b?.c"]),
        ({"includes": ["/etc/nginx/deployments/a.conf"]}, "includes", ["/etc/nginx/deployments/a.conf"]),
        ({"client_timeouts": {"body": "500ms"}}, "client_timeouts",
         {"header": "15s", "body": "500ms", "send": "30s", "keepalive": "65s"}),
        ({"client_address": {}}, "client_address",
         {"trusted": [], "header": "X-Forwarded-For", "proxy_protocol": False, "headers": []}),
        ({"client_address": {"trusted": ["::1/128"], "proxy_protocol": True}}, "client_address",
         {"trusted": ["::1"], "header": "proxy_protocol", "proxy_protocol": True, "headers": []}),
        ({"client_address": {"trusted": ["10.0.0.0/8"], "header": "CF-Connecting-IP", "headers": ["X-Tenant"]}},
         "client_address", {"trusted": ["10.0.0.0/8"], "header": "CF-Connecting-IP", "proxy_protocol": False,
                            "headers": [{"name": "X-Tenant", "variable": "x_tenant"}]}),
        ({"access_log": {"target": "off"}}, "access_log",
         {"format": "json", "target": "off", "per_site": False, "buffer": "64k", "server": None}),
    ],
)  # fmt: skip
def test_accepted(normalised: Normalise, variables: dict[str, t.Any], key: str, expected: t.Any) -> None:
    assert normalised("nginx_proxy", **prefixed(variables))[key] == expected


TRUSTED = {"trusted": ["10.0.0.0/8"]}
TIME = "a time above zero with its unit"
INCLUDE = "an absolute path, * and ? allowed"

REFUSED: list[tuple[dict[str, t.Any], str, str, str]] = [
    *(({"worker_shutdown_timeout": value}, "worker_shutdown_timeout", shown, TIME) for value, shown in [
        ("0", '"0"'), (0, '"0"'), ("1w", '"1w"'), ("60", '"60"'), ("1h;", '"1h;"'), ("1 h", '"1 h"'),
    ]),
    ({"worker_shutdown_timeout": True}, "worker_shutdown_timeout", "true", "a string (quote it)"),
    *(({"client_timeouts": {key: "5sec"}}, f"client_timeouts.{key}", '"5sec"', TIME)
      for key in ("header", "body", "send", "keepalive")),
    ({"client_timeouts": {"heder": "5s"}}, "client_timeouts.heder", '"5s"', "did you mean header?"),
    ({"client_timeouts": {"header": "unlimited"}}, "client_timeouts.header", '"unlimited"', TIME),
    ({"client_timeouts": ["5s"]}, "client_timeouts", '["5s"]', "a dictionary"),
    *(({"includes": [value]}, "includes[0]", shown, INCLUDE) for value, shown in [
        ("conf.d/*", '"conf.d/*"'), ("/etc/../x", '"/etc/../x"'), ("/a b", '"/a b"'), ("/a;", '"/a;"'),
        ("/a\n", '"/a\\n"'),
        ("/[ab]", '"/[ab]"'), ("", '""'), ("/a//b", '"/a//b"'), ("/./a", '"/./a"'), ("/etc/", '"/etc/"'),
    ]),
    *(({"includes": [value]}, "includes[0]", f'"{value}"', "a file that is not part of the configuration already")
      for value in ("/etc/nginx/nginx.conf", "/etc/nginx/*.conf", "/etc/nginx/*", "/*/nginx/nginx.con?",
                    "/etc/nginx/deploy/current/main.conf")),
    ({"includes": ["/a", "/b", "/a"]}, "includes[2]", '"/a"', "each file once"),
    ({"includes": "/a"}, "includes", '"/a"', "a list of str"),
    *(({"generation": value}, "generation", shown, "previous, or the name of a generation") for value, shown in [
        ("../x", '"../x"'), ("", '""'), ("a b", '"a b"'), ("a;", '"a;"'), ("x" * 65, '"xxx'), ("a\n", '"a\\n"'),
    ]),
    # Who is believed.
    ({"client_address": {"trusted": ["0.0.0.0/0"]}}, "client_address.trusted[0]", '"0.0.0.0/0"', "not everybody"),
    ({"client_address": {"trusted": ["10.0.0.1", "::/0"]}}, "client_address.trusted[1]", '"::/0"', "not everybody"),
    ({"client_address": {"trusted": ["0.0.0.0/1", "128.0.0.0/1"]}}, "client_address.trusted", "[",
        "everybody together"),
    ({"client_address": {"trusted": ["10.1.0.0/8"]}}, "client_address.trusted[0]", '"10.1.0.0/8"', "10.0.0.0/8"),
    ({"client_address": {"trusted": "10.0.0.0/8"}}, "client_address.trusted", '"10.0.0.0/8"', "a list of str"),
    ({"client_address": {"headers": ["X-A"]}}, "client_address.trusted", "[]", "the networks of the proxies in front"),
    ({"client_address": {"proxy_protocol": True}}, "client_address.trusted", "[]", "the networks of the proxies"),
    ({"client_address": {"header": "X-Real-IP"}}, "client_address.trusted", "[]", "the networks of the proxies"),
    ({"client_address": {"proxy_protocol": "yess"}}, "client_address.proxy_protocol", '"yess"', "true or false"),
    ({"client_address": {**TRUSTED, "proxy_protocol": True, "header": "X-A"}}, "client_address.header", '"X-A"',
     "no header with proxy_protocol"),
    ({"client_address": {**TRUSTED, "proxy_protocol": True, "headers": ["X-Tenant"]}}, "client_address.headers",
     '["X-Tenant"]', "no headers with proxy_protocol"),
    *(({"client_address": {**TRUSTED, "header": value}}, "client_address.header", shown, "a header name")
      for value, shown in [("X_A", '"X_A"'), ("X-A:", '"X-A:"'), ("", '""'), ("proxy_protocol", '"proxy_protocol"'),
                           ("X-A\n", '"X-A\\n"'), ("$x", '"$x"'), ("X A", '"X A"')]),
    ({"client_address": {**TRUSTED, "headers": ["X-A",
        "x-a"]}}, "client_address.headers[1]", '"x-a"', "each header once"),
    ({"client_address": {**TRUSTED, "headers": ["X-A", "X;"]}}, "client_address.headers[1]", '"X;"', "a header name"),
    *(({"client_address": {**TRUSTED, "headers": [value]}}, "client_address.headers[0]", f'"{value}"', "proxies set")
      for value in ("Cookie", "authorization", "User-Agent", "HOST")),
    # Logs.
    ({"access_log": {"format": "xml"}}, "access_log.format", '"xml"', "one of json, combined"),
    ({"access_log": {"target": "journal"}}, "access_log.target", '"journal"', "one of file, syslog, stdout, off"),
    # YAML's off.
    ({"access_log": {"target": False}}, "access_log.target", "false", "a string (quote it)"),
    ({"access_log": {"target": "syslog"}}, "access_log.server", "null", "target syslog needs it"),
    ({"access_log": {"server": "a:514"}}, "access_log.server", '"a:514"', "no server unless target is syslog"),
    *(({"access_log": {"target": "syslog",
        "server": value}}, "access_log.server", shown, "host:port") for value, shown in [
        ("a", '"a"'), ("a:0", '"a:0"'), ("a:514,tag=x", '"a:514,tag=x"'), ("unix:/run/a,b", '"unix:/run/a,b"'),
        ("a:514;", '"a:514;"'), ("a b:514", '"a b:514"'), ("2001:db8::1:514", '"2001'),
    ]),
    ({"access_log": {"target": "stdout", "per_site": True}}, "access_log.per_site", "true", "the target file only"),
    *(({"access_log": {"buffer": value}}, "access_log.buffer", shown, "a size above zero") for value, shown in [
        ("0", '"0"'), ("64", '"64"'), ("64kb", '"64kb"'), ("1g", '"1g"'), ("65m", '"65m"'), ("off", '"off"'),
    ]),
    # Where nginx comes from.
    ({"repository": "ppa"}, "repository", '"ppa"', "one of distribution, nginx"),
    ({"repository": "nginx", "repository_fingerprints": []}, "repository_fingerprints", "[]", "at least one"),
    ({"repository": "nginx", "brotli": True}, "brotli", "true", "false with nginx_proxy_repository: nginx"),
    ({"repository_fingerprints": ["a" * 40]}, "repository_fingerprints[0]", '"aaaa', "40 hexadecimal digits"),
    ({"repository_fingerprints": ["A" * 39]}, "repository_fingerprints[0]", '"AAAA', "40 hexadecimal digits"),
    ({"repository_url": "nginx.org"}, "repository_url", '"nginx.org"', "an https:// URL"),
    ({"repository_key_url": "https://a/b c"}, "repository_key_url", '"https://a/b c"', "an https:// URL"),
]  # fmt: skip


@pytest.mark.parametrize(("variables", "place", "value", "accepted"), REFUSED)
def test_refused(refusal: Refusal, variables: dict[str, t.Any], place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", **prefixed(variables))
    assert line.startswith(f"nginx_proxy_{place}: {value}")
    assert " is refused; accepted: " in line
    assert accepted in line
    assert line.isprintable()
