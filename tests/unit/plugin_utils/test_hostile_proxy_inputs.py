# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile texts at every place where nginx_proxy takes a text: refused in one line, or harmless in the configuration.

The places are those of one input that says everything; a test holds it against the argument spec, so that a new
option is tried without anybody thinking of it.
"""

from __future__ import annotations

import copy
import functools
import random
import re
import tempfile
import typing as t
from pathlib import Path

import crossplane
import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import HostFacts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise, options_of

NGINX = nginx_version("nginx version: nginx/1.26.3\nbuilt with OpenSSL 3.5.1 1 Jul 2025\n--with-http_v3_module\n")
RENDER = renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")
HASH = "$6$salt$" + "a" * 86

LOCATION: dict[str, t.Any] = {
    "path": "/api/",
    "headers": {"X-Place": "api"},
    "limits": [{"rate": "1r/s", "key": "header", "header": "X-Tenant", "exempt": ["192.0.2.1"]}],
    "cache": {"valid": "1m"},
    "allow": ["192.0.2.0/24"],
    "deny": ["192.0.2.9"],
    "basic_auth": {"realm": "Api", "users": {"alice": HASH}},
    "satisfy": "any",
    "methods": ["GET"],
    "body_size": "1m",
    "timeouts": {"connect": "1s", "send": "1s", "read": "1s"},
}
SITE: dict[str, t.Any] = {
    "name": "notes",
    "domains": ["notes.example.com", "www.example.com"],
    "upstream": {
        "servers": [{"address": "192.0.2.1:80", "fail_timeout": "5s"}, "192.0.2.2:80"],
        "method": "hash",
        "hash_key": "$request_uri",
        "keepalive_timeout": "60s",
        "zone_size": "64k",
    },
    "tls": {"source": "files", "certificate": "/etc/a.pem", "key": "/etc/a.key", "client_ca": "/etc/ca.pem"},
    "redirects": [
        {"domain": "old.example.com", "to": "notes.example.com"},
        {"path": "/old/", "to": "/new/"},
        {"path": "/url", "to": "https://example.com/x?a=b#c"},
    ],
    "locations": [
        LOCATION,
        {"path": "/upstream/", "upstream": {"servers": ["192.0.2.3:80"]}},
        {"path": "/app/", "app": "notes", "match": "prefix"},
    ],
    "static": [
        {**{key: LOCATION[key] for key in ("headers", "allow", "deny", "basic_auth", "satisfy")},
         "path": "/static/", "folder": "/srv/static/", "cache_time": "1h"},
        {"path": "/page/", "folder": "/srv/page/", "fallback": "index.html"},
    ],
    **{key: LOCATION[key] for key in ("limits", "headers", "allow", "deny", "satisfy", "methods", "body_size")},
    "basic_auth": {"realm": "Site", "users": {"bob": HASH}},
    "api_docs": ["/docs"],
    "cache": {"valid": "1m", "size": "1m", "inactive": "1h"},
    "timeouts": {"connect": "1s", "send": "1s", "read": "1s"},
    "error_pages": [{"statuses": [502], "content": "away"}],
    "maintenance": {"page": "soon", "allow": ["192.0.2.0/24"], "retry_after": "5m"},
    "blocked_paths": ["/wp-admin/", "*.php"],
    "quiet_paths": ["/health"],
}  # fmt: skip
BASE: dict[str, t.Any] = {
    "nginx_proxy_sites": [
        SITE,
        {"name": "other", "domains": ["other.example.com"], "app": "notes", "tls": {"lineage": "shared"}},
    ],
    "nginx_proxy_tls_dir": "/etc/nginx/tls",
    "nginx_proxy_acme_webroot": "/var/www/acme",
    "nginx_proxy_ipv6": True,
    "nginx_proxy_includes": ["/etc/nginx/conf.d/*.conf"],
    "nginx_proxy_client_address": {"trusted": ["192.0.2.0/24"], "header": "X-Forwarded-For", "headers": ["X-Tenant"]},
    "nginx_proxy_client_timeouts": {"header": "1s", "body": "1s", "send": "1s", "keepalive": "1s"},
    "nginx_proxy_worker_shutdown_timeout": "1h",
    "nginx_proxy_tls_protocols": ["TLSv1.2", "TLSv1.3"],
    "nginx_proxy_tls_ciphers": ["ECDHE-ECDSA-AES128-GCM-SHA256"],
    "nginx_proxy_tls_curves": ["X25519"],
    "nginx_proxy_access_log": {"target": "syslog", "server": "192.0.2.1:514", "buffer": "64k"},
    "nginx_proxy_repository_url": "https://mirror.example.com/debian",
    "nginx_proxy_repository_key_url": "https://mirror.example.com/key",
    "nginx_proxy_repository_fingerprints": ["A" * 40],
}
#: Options of text that BASE leaves out: `extra` has checks and tests of its own, `generation` replaces the tree, and
#: `ca` is a file of the controller.
LEFT_OUT = {"ca", "extra", "nginx_proxy_generation"}

#: Each tries to end a word, a string, a directive or a block, or to be something else than a text.
HOSTILE = [
    "a\nb", "a\rb", "a\0b", "a\tb", "a b", "\n", "a\n", " a", "", "a;", "a}", "a{", 'a"', "a'", "a\\", "\\", "a#b", "#",
    "$host", "a$", "${host}", "$http_x", "%0a", "a%0d%0aX: y", "`id`", "\u2028", "\u00e9", "\ud800", "a" * 5000,
    "x; return 200 pwned", "x;} server { listen 81; } #", 'x"; } server { listen 81; } #', "x'; include /etc/passwd; '",
    "/a; }", "/a/ { } location /b", '/a"; }', "/a\n}/", "/$host/", "~ ^/", "= /a", "^~ /a", "@a", "/a/../b/", "//a",
    "{{ 1 + 1 }}", "{% raw %}", "off", "default", "include", "_", "*", "~a", "0", "-1", "1e9", "None", "null",
    "/" + "a" * 5000 + "/", "a." * 2500 + "com", "*" + ".a" * 2500,
]  # fmt: skip
PIECES = [*";{}\"'\\$#\n\r\0 \t/aA1.*~%=:@-\u00e9", "//", "..", "r/s", "example.com", "/a/"]
SEED = 20261120
RANDOM = 8

Place = tuple[t.Any, ...]
Shape = list[t.Any]


def texts(value: t.Any, place: Place = ()) -> t.Iterator[Place]:
    """Yield the place of each text. None at its end is the name in a dictionary that the user names."""
    if isinstance(value, dict):
        for key, item in value.items():
            if place and place[-1] in ("headers", "users"):
                yield (*place, key, None)
            yield from texts(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*place, index))
    elif isinstance(value, str):
        yield place


PLACES = list(texts(BASE))


def named(place: Place) -> str:
    return ".".join("NAME" if part is None else str(part) for part in place).removeprefix("nginx_proxy_")


def changed(place: Place, text: str) -> dict[str, t.Any]:
    variables = copy.deepcopy(BASE)
    inner: t.Any = variables
    *way, last = place[:-1] if place[-1] is None else place
    for part in way:
        inner = inner[part]
    if place[-1] is None:
        inner[text] = inner.pop(last)
    else:
        inner[last] = text
    return variables


def files_of(variables: dict[str, t.Any]) -> dict[str, str]:
    host = Host({"inventory_hostname": "web1", **variables}, lambda value: value)
    tree = build_tree(RENDER, normalise("nginx_proxy", host), NGINX, HostFacts(ipv6=True))
    for name in (*tree.files, *tree.private):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._/-]*", name), name
        assert ".." not in name
        assert all(len(part) <= 255 for part in name.split("/")), name
    for text in tree.private.values():
        assert re.fullmatch(r"(?:[A-Za-z0-9._@+-]+:\$[A-Za-z0-9./$=]+\n)+", text)
    return tree.files


def shape_of(variables: dict[str, t.Any]) -> list[str]:
    """Return the directives of each file with their blocks, as nginx divides the text."""
    return sorted(shape_of_text(text) for name, text in files_of(variables).items() if name.endswith(".conf"))


@functools.cache
def shape_of_text(text: str) -> str:
    # Not pytest's folder, which is below the checkout: a checkout's path may have a space.
    with tempfile.TemporaryDirectory(prefix="asgi-deploy-") as folder:
        path = Path(folder) / "one.conf"
        path.write_bytes(text.encode())
        payload = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False)
    assert payload["errors"] == [], text
    return repr(_shape(payload["config"][0]["parsed"]))


def _shape(block: list[dict[str, t.Any]], entries: bool = False) -> Shape:
    return [
        (
            "entry" if entries else item["directive"],
            _shape(item["block"], item["directive"] in ("map", "geo", "types")) if "block" in item else None,
        )
        for item in block
        # One for each site and concern.
        if item["directive"] != "include"
    ]


@functools.cache
def harmless(place: Place) -> list[list[str]]:
    """Return the shapes that a plain text gives: of a path with and without a slash at its end, for example."""
    found = [shape_of(BASE)]
    for text in ("harmless", "/harmless", "/harmless/", "*.harmless", "/harmless/page.html", "192.0.2.77", "/", ""):
        try:
            found.append(shape_of(changed(place, text)))
        except Refused:
            continue
    return found


def attacks(place: Place) -> list[str]:
    generator = random.Random(f"{SEED} {place}")
    mixed = ["".join(generator.choices(PIECES, k=generator.randint(1, 12))) for _number in range(RANDOM)]
    # A right text with something in it, or behind it, comes further than one that is wrong from the start.
    value: t.Any = BASE
    for part in place[:-1] if place[-1] is None else place:
        value = value[part]
    right = str(place[-2]) if place[-1] is None else str(value)
    behind = [right + tail for tail in (";", "\n", " ", "\0", "}", '"', "'", "\\", "$", "$host", "\r\n", "\u00e9", "{")]
    within = [right[:1] + piece + right[1:] for piece in (";", "\n", " ", '"', "'", "\\", "$", "{", "}")]
    return HOSTILE + mixed + behind + within


@pytest.mark.parametrize("place", PLACES, ids=named)
def test_no_text_becomes_a_directive(place: Place) -> None:
    accepted = 0
    for text in attacks(place):
        try:
            shape = shape_of(changed(place, text))
        except Refused as refused:
            line = str(refused)
            assert line.isprintable(), (text, line)
            assert line.startswith(("nginx_proxy_", "groups.")), line
            assert " is refused; accepted: " in line, line
            assert HASH not in line
            continue
        accepted += 1
        assert shape in harmless(place), text
    # An option that takes nearly everything would have to be looked at by hand.
    assert accepted < 60 or place[-1] in ("content", "page"), accepted


def options_of_text(options: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for name, option in options.items():
        if option.get("type") in ("str", "path") and "choices" not in option:
            yield name
        if option.get("elements") == "str":
            yield name
        yield from options_of_text(option.get("options", {}))


def test_every_option_of_text_is_tried() -> None:
    tried = {part for place in PLACES for part in place}
    assert set(options_of_text(options_of("nginx_proxy"))) - tried == LEFT_OUT
