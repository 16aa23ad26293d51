# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered files as an operator reads them: their lines, their blank lines, their indentation; and what gixy says.

A template's blank line depends on what is left out before and after it, so each option is there and not there.
"""

from __future__ import annotations

import random
import re
import tempfile
import typing as t
from pathlib import Path

import pytest
from gixy.core.config import Config  # type: ignore[import-untyped]
from gixy.core.manager import Manager  # type: ignore[import-untyped]

from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import HostFacts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import Tree, build_tree
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

HASH = "$6$salt$" + "a" * 86
RENDER = renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")
DEBIAN_12 = "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.17 1 Jul 2025\n"
DEBIAN_13 = (
    "nginx version: nginx/1.26.3\nbuilt with OpenSSL 3.5.1 1 Jul 2025\n--with-http_v3_module\n"
    "50-mod-http-brotli-filter\n"
)
UBUNTU_22 = "nginx version: nginx/1.18.0 (Ubuntu)\nbuilt with OpenSSL 3.0.2 15 Mar 2022\n"

Values = dict[str, t.Any]

ACCESS: Values = {
    "allow": ["10.0.0.0/8", "2001:db8::/32"],
    "deny": ["192.0.2.1"],
    "basic_auth": {"users": {"alice": HASH}},
    "client_certificate": True,
    "headers": {"X-A": "b"},
    "access_log": False,
}
LOCATION: Values = {
    **ACCESS,
    "upstream": {"servers": ["192.0.2.1:80"]},
    "strip_prefix": True,
    "websocket": False,
    "events": True,
    "limits": [{"rate": "1r/s", "dry_run": True}, {"connections": 4, "dry_run": True}],
    "methods": ["GET"],
    "body_size": "2g",
    "timeouts": {"read": "5s"},
    "request_buffering": False,
    "response_buffering": False,
    "extra": "default_type text/plain;\nexpires off;",
}
STATIC: Values = {**ACCESS, "cache_time": "1h", "precompressed": True, "fallback": "index.html"}
SITE: Values = {
    "redirects": [
        {"domain": "w.example.com", "to": "s.example.com"},
        {"path": "/old", "to": "/new"},
        {"path": "/older/", "to": "/newer/"},
        {"path": "/oldest", "to": "/new?a=b"},
    ],
    "websocket": False,
    "limits": [{"rate": "9r/s", "burst": 3}, {"rate": "5r/m", "exempt": ["10.0.0.0/8"]}],
    "headers": {"X-A": "a"},
    "api_docs": ["/docs"],
    "cache": {"valid": "1m"},
    "allow": ["192.0.2.0/24"],
    "deny": ["192.0.2.1"],
    "basic_auth": {"users": {"bob": HASH}},
    "methods": ["GET", "POST"],
    "error_pages": [{"statuses": [502, 503], "content": "away"}],
    "intercept_errors": True,
    "maintenance": {"enabled": True, "allow": ["192.0.2.0/24"]},
    "blocked_paths": ["/wp-admin/", "*.php"],
    "quiet_paths": ["/health"],
    "extra": "location = /extra {\n    return 204;\n}",
}
HOST: Values = {
    "nginx_proxy_ipv6": False,
    "nginx_proxy_includes": ["/etc/nginx/conf.d/*.conf"],
    "nginx_proxy_client_address": {"trusted": ["192.0.2.0/24", "::1"], "headers": ["X-Tenant", "X-Other"]},
    "nginx_proxy_worker_shutdown_timeout": "unlimited",
    "nginx_proxy_tls_protocols": ["TLSv1.3"],
    "nginx_proxy_http3": True,
    "nginx_proxy_gzip": False,
    "nginx_proxy_brotli": True,
    "nginx_proxy_access_log": {"format": "combined", "per_site": True},
}
SEED = 20261120


def some(generator: random.Random, options: Values) -> Values:
    return {key: value for key, value in options.items() if generator.random() < 0.4}


def site(number: int) -> Values:
    """Return a site with some of the options, in a few locations with some of theirs."""
    generator = random.Random(SEED + number)
    tls: Values = {"source": generator.choice(["none", "self_signed", "self_signed"])}
    if tls["source"] != "none":
        tls |= {"client_ca": "/etc/ca.pem", "client_certificates": "optional"}
    given: Values = {
        "name": "s",
        "domains": ["s.example.com", "*.example.com"],
        "app": "notes",
        "tls": tls,
        "locations": [{"path": f"/l{place}/", **some(generator, LOCATION)} for place in range(4)],
        "static": [{"path": f"/s{place}/", "folder": "/srv/", **some(generator, STATIC)} for place in range(2)],
        **some(generator, SITE),
    }
    for item in (*given["locations"], *given["static"]):
        if tls["source"] == "none":
            item.pop("client_certificate", None)
    return given


def tree(variables: Values, nginx: str = DEBIAN_13) -> Tree:
    host = Host({"inventory_hostname": "web1", "nginx_proxy_sites": [], **variables}, lambda value: value)
    return build_tree(RENDER, normalise("nginx_proxy", host), nginx_version(nginx), HostFacts(ipv6=True, cpus=4))


#: A second proxy.
BESIDE: Values = {
    "groups": {"proxies": ["web1", "web2"], "apps": ["web1"]},
    "hostvars": {"web2": {"ansible_host": "192.0.2.12"}},
}


def host(number: int) -> Values:
    return some(random.Random(SEED + number), HOST)


SMALLEST: Values = {"name": "s", "domains": ["s.example.com"], "app": "notes"}
#: At the end of a line of the first kind a block opens, at the start of one of the second a block closes.
_OPENS, _CLOSES = re.compile(r"\{$"), re.compile(r"^ *\}$")


@pytest.mark.parametrize("nginx", [UBUNTU_22, DEBIAN_12, DEBIAN_13], ids=["ubuntu22", "debian12", "debian13"])
@pytest.mark.parametrize("number", range(-2, 30))
def test_files_read_well(number: int, nginx: str) -> None:
    sites = {-2: [], -1: [SMALLEST]}.get(number, [site(number)])
    # One proxy or two.
    around = BESIDE if number % 2 else {}
    for name, text in tree({"nginx_proxy_sites": sites, **host(number), **around}, nginx).files.items():
        if not name.endswith(".conf"):
            continue
        assert text.endswith("\n"), name
        assert not text.endswith("\n\n"), name
        assert "\n\n\n" not in text, name
        assert "\t" not in text, name
        depth = 0
        before = ""
        directive_goes_on = False
        for number_of_line, line in enumerate(text.splitlines(), start=1):
            where = f"{name}:{number_of_line}: {line}"
            assert line == line.rstrip(), where
            if line:
                depth -= bool(_CLOSES.match(line))
                indent = len(line) - len(line.lstrip())
                assert indent == 4 * depth or (directive_goes_on and indent > 4 * depth), where
                directive_goes_on = not line.lstrip().startswith("#") and not line.endswith((";", "{", "}"))
                depth += bool(_OPENS.search(line)) and not line.lstrip().startswith("#")
            # Neither a block nor a comment begins or ends with nothing.
            assert line or not before.endswith("{"), where
            assert not (_CLOSES.match(line) and not before), where
            assert not (before.lstrip().startswith("# ") and not line and number_of_line > 8), where
            before = line
        assert depth == 0, name


def gixy(files: dict[str, str]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="asgi-deploy-") as name:
        folder = Path(name)
        for file, text in files.items():
            path = folder / "deploy" / "current" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        entry = folder / "nginx.conf"
        entry.write_text(RENDER("nginx.conf.j2"), encoding="utf-8")
        with Manager(Config()) as manager:
            manager.audit(str(entry), None)
            return [f"{plugin.name}: {issue.summary}" for plugin in manager.results for issue in plugin.issues]


def several() -> list[Values]:
    return [
        {**site(number), "name": f"s{number}", "domains": [f"s{number}.example.com"], "redirects": []}
        for number in range(3)
    ]


@pytest.mark.parametrize("nginx", [DEBIAN_12, DEBIAN_13], ids=["debian12", "debian13"])
@pytest.mark.parametrize("sites", [[SMALLEST], several()], ids=["smallest", "several"])
def test_gixy_finds_nothing(nginx: str, sites: list[Values]) -> None:
    assert gixy(tree({"nginx_proxy_sites": sites}, nginx).files) == []
    assert gixy(tree({"nginx_proxy_sites": sites, **BESIDE}, nginx).files) == []


def test_gixy_reads_the_files_of_the_sites() -> None:
    files = tree({"nginx_proxy_sites": several()}).files
    name = "sites/s0/locations.conf"
    assert any("alias_traversal" in found for found in gixy({**files, name: files[name] + BAD}))


BAD = "location /bad {\n    alias /srv/bad/;\n}\n"


def test_no_two_things_have_one_variable() -> None:
    """Of two maps for one variable nginx takes the last; a name in an expression takes a map's away."""
    sites = [
        {**SMALLEST, "headers": {"X": "1"}},
        {**SMALLEST, "name": "t", "domains": ["t.example.com"], "headers": {"X": "2", "X--2": "3"}},
    ]
    trusted = {"trusted": ["10.0.0.0/8"], "headers": ["Value", "Network", "X-Tenant"]}
    files = tree({"nginx_proxy_sites": sites, "nginx_proxy_client_address": trusted}).files
    text = "\n".join(files.values())
    variables = re.findall(r"^(?:map|geo) .*\$(\w+) \{$", text, re.MULTILINE)
    assert {"client_header_value", "header__x", "header2__x", "header__x__2"} <= set(variables)
    assert len(variables) == len(set(variables))
    assert not set(variables) & set(re.findall(r"\?<(\w+)>", text))
