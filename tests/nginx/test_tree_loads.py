# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every feature of a site and of a host, alone and all at once: nginx of both releases loads it without a warning."""

from __future__ import annotations

import typing as t

import hop_pki
import pytest

Values = dict[str, t.Any]
Verdicts = dict[str, tuple[int, list[str]]]

#: Made by conftest.
PAIR = {"certificate": "/etc/asgi-tests/fullchain.pem", "key": "/etc/asgi-tests/privkey.pem"}
#: Made up: nginx does not read a password before it is asked for one.
HASH = "$6$salt$" + "a" * 86

USERS = {"alice": HASH, "bob.b@example.com": HASH.replace("$6$", "$y$")}
CSP = "default-src 'self'; script-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; report-uri /r?a={b}"
#: Of every character that a path may have.
ODD_PATH = "/A~b!c@d:e,f+g=h(i)k-l_m.n"


def one(*, host: Values | None = None, **site: t.Any) -> Values:
    """Return the variables for one site with these keys, on a host with those."""
    smallest = {"name": "notes", "domains": ["notes.example.com"], "tls": {"source": "self_signed"}}
    given = {**smallest, **({} if "upstream" in site or "static" in site else {"app": "notes"}), **site}
    return {"nginx_proxy_sites": [given], **{f"nginx_proxy_{name}": value for name, value in (host or {}).items()}}


def at(*locations: Values, **site: t.Any) -> Values:
    return one(locations=list(locations), **site)


EVERYTHING: Values = {
    "name": "everything",
    "domains": ["everything.example.com", "*.everything.example.com", "x.y", "xn--mnchen-3ya.example"],
    "upstream": {
        "servers": [
            {"address": "192.0.2.1:8000", "weight": 2, "max_fails": 2, "fail_timeout": "5s", "max_conns": 100},
            {"address": "[2001:db8::1]:8000"},
            {"address": "unix:/run/second.sock", "backup": True},
        ],
        "method": "least_conn",
        "keepalive": 16,
        "keepalive_timeout": "30s",
        "keepalive_requests": 1000,
    },
    "tls": {
        "source": "files",
        **PAIR,
        "hsts_include_subdomains": True,
        "hsts_preload": True,
        "client_ca": PAIR["certificate"],
        "client_certificates": "optional",
    },
    "redirects": [
        {"domain": "www.everything.example.com", "to": "everything.example.com"},
        {"path": "/old", "to": "/new?a=b&c=%20d#e", "status": 301},
        {"path": "/moved/", "to": "https://elsewhere.example.com:8443/kept/", "status": 302},
    ],
    "locations": [
        {"path": "/exact", "match": "exact", "headers": {"X-Place": "exact"}},
        {"path": "/exact"},
        {"path": "/second/", "upstream": {"servers": ["192.0.2.9:9001"]}, "strip_prefix": True},
        {"path": "/socket/", "websocket": True, "timeouts": {"connect": "2s", "send": "30s", "read": "2h"}},
        {"path": "/events/", "events": True},
        {
            "path": "/limited/",
            "limits": [
                {"rate": "30r/m", "burst": 3, "delay": 1, "exempt": ["192.0.2.7", "2001:db8::/32", "10.0.0.0/8"]},
                {"connections": 4, "exempt": ["10.0.0.0/8"]},
                {"rate": "50r/s", "key": "site", "burst": 20},
                {"rate": "5r/s", "key": "header", "header": "X-Tenant"},
                {"rate": "5r/s", "key": "certificate"},
            ],
        },
        {"path": "/counted/", "limits": [{"rate": "1r/s", "dry_run": True}]},
        {"path": "/inside/", "allow": ["10.0.0.0/8"], "basic_auth": {"users": USERS}, "satisfy": "any"},
        {"path": "/open/", "basic_auth": {}, "limits": [], "cache": {"enabled": False}},
        {"path": "/certificate/", "client_certificate": True},
        {"path": "/reading/", "methods": ["GET"], "deny": ["192.0.2.5"]},
        {"path": "/uploads/", "body_size": "2g", "request_buffering": False, "response_buffering": False},
        {"path": "/raw/", "extra": "default_type text/plain;", "access_log": False},
        {"path": ODD_PATH, "limits": [{"rate": "1r/m"}], "headers": {"X-Odd": "yes"}},
    ],
    "static": [
        {"path": "/static/", "folder": "/srv/static/", "cache_time": "1h", "precompressed": True},
        {"path": "/assets/", "folder": "/srv/assets/", "immutable": True, "headers": {"X-P": "a"}, "access_log": False},
        {"path": "/page/", "folder": "/srv/page/", "fallback": "index.html", "basic_auth": {"users": USERS}},
        {"path": "/private/", "folder": "/srv/private/", "allow": ["10.0.0.0/8"], "client_certificate": True},
    ],
    "limits": [{"rate": "1000r/s", "burst": 500}],
    "headers": {"Content-Security-Policy": CSP, "Permissions-Policy": "", "X-Quoted": 'say \\"so\\" to $host'},
    "api_docs": ["/docs", "/redoc/"],
    "cache": {"valid": "10s", "size": "50m", "inactive": "10m"},
    "methods": ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"],
    "deny": ["192.0.2.6"],
    "basic_auth": {"realm": "Who's there? (it's ours)", "users": USERS},
    "body_size": "4m",
    "timeouts": {"connect": "3s", "send": "20s", "read": "30s"},
    "error_pages": [
        {"statuses": [502, 503, 504], "content": "<h1>Away</h1>\n"},
        {"statuses": [404, 429], "content": '{"detail": "no"}', "type": "application/json"},
    ],
    "intercept_errors": True,
    "maintenance": {"page": "<h1>Back soon</h1>", "allow": ["192.0.2.0/24"], "retry_after": "10m"},
    "blocked_paths": ["/wp-admin/", "*.php", "*.tar.gz"],
    "quiet_paths": ["/health"],
    "extra": 'location = /extra {\n    return 204 "}";\n}',
}
HOST: Values = {
    "nginx_proxy_client_address": {"trusted": ["192.0.2.2", "2001:db8:1::/48"], "headers": ["X-Tenant", "Value"]},
    "nginx_proxy_client_timeouts": {"header": "4s", "body": "500ms", "send": "1m30s", "keepalive": "1h"},
    "nginx_proxy_worker_shutdown_timeout": "1d",
    "nginx_proxy_includes": ["/etc/asgi-tests/conf.d/*.conf"],
    "nginx_proxy_access_log": {"per_site": True, "format": "combined", "buffer": "1m"},
    "nginx_proxy_tls_curves": ["X25519MLKEM768", "X25519", "secp521r1", "X448"],
    "nginx_proxy_http3": True,
}

#: Other proxies by an address and by names, of which nginx must be asked for none.
BESIDE: Values = {
    "groups": {"proxies": ["web1", "web2", "web3", "web4"], "apps": ["web1"]},
    "hostvars": {"web2": {"ansible_host": "192.0.2.12"}, "web4": {}},
    "addresses": {"web3": ["2001:db8::13"], "web4": []},
}

#: Application hosts that are asked for their health, more than a zone of the smallest size holds.
APPS = {f"app{number}": {"gunicorn_app_name": "notes", "ansible_host": f"192.0.2.{number}"} for number in range(1, 80)}
BEHIND: Values = {
    "nginx_proxy_health_checks": {},
    "groups": {"proxies": ["web1"], "apps": list(APPS)},
    "hostvars": APPS,
}

LONG = ".".join(["a" * 49] * 4)


def many(count: int) -> Values:
    """Return sites with names of the longest kind, and every name a variable or a zone could be made of."""
    sites = [
        {
            "name": f"{number:03d}-" + "x" * 60,
            "domains": [f"s{number:03d}-{part}.{LONG}.example.com" for part in ("one", "two")],
            "app": "notes",
            "tls": {"source": "self_signed"},
            "limits": [{"rate": "5r/s", "exempt": ["10.0.0.0/8"]}, {"connections": 9, "exempt": ["10.0.0.0/8"]}],
            "locations": [
                {"path": "/" + "y" * 200 + "/", "limits": [{"rate": "5r/s"}], "headers": {"X-" + "z" * 62: "1"}}
            ],
            "maintenance": {"allow": ["10.0.0.0/8"]},
            "api_docs": ["/docs"],
            "quiet_paths": ["/health"],
        }
        for number in range(count)
    ]
    return {"nginx_proxy_sites": sites}


TREES: dict[str, Values] = {
    "no site": {},
    "the smallest site": one(),
    "everything": {"nginx_proxy_sites": [EVERYTHING], **HOST},
    "200 sites with long names": many(200),
    "several sites": {
        "nginx_proxy_sites": [
            *one()["nginx_proxy_sites"],
            *one(name="plain", domains=["plain.example.com"], tls={"source": "none"})["nginx_proxy_sites"],
            {**EVERYTHING, "name": "a.b-c_d", "tls": {**EVERYTHING["tls"], "client_certificates": "required"}},
        ],
        **HOST,
        "nginx_proxy_http3": False,
    },
    # Sources of certificates, TLS.
    "source none": one(tls={"source": "none"}, redirects=[{"domain": "a.example.com", "to": "notes.example.com"}]),
    "source files": one(tls={"source": "files", **PAIR}),
    "source certbot": one(tls={"source": "certbot"}),
    "modern": one(tls={"source": "self_signed", "profile": "modern"}),
    "no hsts": one(tls={"source": "self_signed", "hsts_max_age": 0}),
    "client certificates": one(tls={"source": "self_signed", "client_ca": PAIR["certificate"]}),
    "own protocols": one(host={"tls_protocols": ["TLSv1.3"]}),
    "own ciphers": one(host={"tls_ciphers": ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-CCM"]}),
    "own curves": one(host={"tls_curves": ["secp384r1"]}),
    "post-quantum last": one(host={"tls_curves": ["X25519", "X25519MLKEM768"]}),
    # The host.
    "no ipv6": one(host={"ipv6": False, "http3": True}),
    "http3": one(host={"http3": True}),
    "http3 without a site": {"nginx_proxy_http3": True},
    "proxy protocol": one(host={"client_address": {"trusted": ["192.0.2.0/24"], "proxy_protocol": True}}),
    "proxy protocol without tls": one(
        tls={"source": "none"}, host={"client_address": {"trusted": ["::1"], "proxy_protocol": True}}
    ),
    "another header of the address": one(
        host={"client_address": {"trusted": ["192.0.2.0/24"], "header": "CF-Connecting-IP"}}
    ),
    "one address and its network": one(host={"client_address": {"trusted": ["10.0.0.0/8", "10.0.0.1/32", "::1/128"]}}),
    "no gzip": one(host={"gzip": False}),
    "includes": one(host={"includes": ["/etc/asgi-tests/conf.d/*.conf"]}),
    "old workers stay": one(host={"worker_shutdown_timeout": "unlimited"}),
    "combined log": one(host={"access_log": {"format": "combined"}}),
    "log a site": one(host={"access_log": {"per_site": True}}, quiet_paths=["/a", "/b.c"]),
    "log to syslog": one(host={"access_log": {"target": "syslog", "server": "192.0.2.1:514"}}, quiet_paths=["/a"]),
    "log to syslog over ipv6": one(host={"access_log": {"target": "syslog", "server": "[2001:db8::1]:514"}}),
    "log to a socket": one(host={"access_log": {"target": "syslog", "server": "unix:/dev/log"}}),
    "log to stdout": one(host={"access_log": {"target": "stdout"}}, quiet_paths=["/a"]),
    "no log": one(host={"access_log": {"target": "off"}}, quiet_paths=["/a"]),
    "the smallest buffer of the log": one(host={"access_log": {"buffer": "1k"}}),
    "ports and numbers": one(host={"status_port": 65535, "worker_connections": 1000000}),
    # Upstreams.
    "hash": one(upstream={"servers": ["192.0.2.1:80"], "method": "hash", "hash_key": "$request_uri"}),
    "an upstream at a location only": at(
        {"path": "/", "upstream": {"servers": ["[::1]:1"]}}, upstream={"servers": ["192.0.2.1:80"]}
    ),
    # Locations.
    "exact and prefix": at({"path": "/a", "match": "exact"}, {"path": "/a"}, {"path": "/a/"}),
    "an exact root": at({"path": "/", "match": "exact"}),
    "odd characters": at({"path": ODD_PATH}, {"path": ODD_PATH, "match": "exact"}, blocked_paths=[ODD_PATH]),
    "paths that are nearly one": at({"path": "/a-b"}, {"path": "/a_b"}, {"path": "/A-B"}, {"path": "/a_b_2"}),
    "websocket off": one(websocket=False),
    "events": at({"path": "/", "events": True}, cache={}),
    "prefix off": at({"path": "/api/", "strip_prefix": True, "websocket": True}),
    "unbuffered": one(request_buffering=False, response_buffering=False),
    "unlimited bodies": one(body_size="unlimited"),
    "2 GB": one(body_size="2g"),
    "the shortest times": one(timeouts={"connect": "1ms", "send": "1ms", "read": "1ms"}),
    "the longest words": at(
        {"path": "/a" + "." * 998, "headers": {"X-A": "\\\"" * 2000}},
        {"path": "/" + "(" * 998 + "/", "strip_prefix": True},
        headers={"Content-Security-Policy": "a" * 4000},
        redirects=[{"path": "/" + "+" * 998 + "/", "to": "/" + "a" * 1998 + "/"}],
        blocked_paths=["/" + "+" * 999],
        api_docs=["/" + "+" * 999],
        quiet_paths=["/" + "+" * 999],
    ),
    # Limits.
    "a rate": one(limits=[{"rate": "1r/m"}]),
    "the highest rate": one(limits=[{"rate": "9999999r/s", "burst": 1000000}]),
    "a burst without delay": one(limits=[{"rate": "10r/s", "burst": 5}]),
    "a burst that waits": one(limits=[{"rate": "10r/s", "burst": 5, "delay": 0}]),
    "delay and burst are one": one(limits=[{"rate": "10r/s", "burst": 5, "delay": 5}]),
    "connections": one(limits=[{"connections": 65535}]),
    "one exempt address": one(limits=[{"rate": "1r/s", "exempt": ["192.0.2.1", "::1"]}]),
    "with and without exemption": one(limits=[{"rate": "1r/s", "exempt": ["::1"]}, {"rate": "1r/s"}]),
    "limits in a location": at({"path": "/a/", "limits": [{"rate": "2r/s"}]}, limits=[{"rate": "2r/s"}]),
    "dry run": one(limits=[{"rate": "1r/s", "dry_run": True}, {"connections": 1, "dry_run": True}]),
    # Access.
    "allow": one(allow=["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "::1"]),
    "deny": one(deny=["192.0.2.7/32"]),
    "allow and deny": one(allow=["10.0.0.0/8"], deny=["10.1.0.0/16"]),
    "a password": one(basic_auth={"users": USERS}),
    "a password or an address": one(basic_auth={"users": USERS}, allow=["::1"], satisfy="any"),
    "one method": one(methods=["GET"]),
    "odd methods": one(methods=["HEAD", "GET", "MKCALENDAR"]),
    # Caches, pages, static files.
    "a cache": one(cache={}),
    "a cache of one location": at({"path": "/a/", "cache": {"enabled": True, "valid": "1m"}}),
    "no cache in a location": at({"path": "/a/", "cache": {"enabled": False}}, cache={"size": "1m", "valid": "1d"}),
    "a static site": one(static=[{"path": "/", "folder": "/srv/www/", "fallback": "a/b.html"}]),
    "static files": one(static=[{"path": "/s/", "folder": "/srv/s/", "precompressed": True}], app="notes"),
    "maintenance": one(maintenance={"enabled": True}),
    "maintenance for all but one": one(maintenance={"enabled": True, "allow": ["::1"], "retry_after": "1d"}),
    "a page for 503": one(error_pages=[{"statuses": [503], "content": "x", "type": "text/plain"}]),
    "a page for 503 and one of maintenance": one(
        error_pages=[{"statuses": [503, 500], "content": "x"}], maintenance={"page": "y"}
    ),
    "every status": one(
        error_pages=[{"statuses": [s for s in range(400, 600) if s not in (444, 499)], "content": "x"}],
        intercept_errors=True,
    ),
    "no security headers": one(headers=dict.fromkeys(
        ["Content-Security-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy",
         "Referrer-Policy", "X-Content-Type-Options", "X-Frame-Options"], ""), tls={"source": "none"}),
    "documentation": one(api_docs=["/docs"]),
    "documentation without a policy": one(api_docs=["/docs"], headers={"content-security-policy": ""}),
    "redirects": one(redirects=[
        {"domain": "*.other.example.com", "to": "notes.example.com", "status": 301},
        {"path": "/a/", "to": "/b/"}, {"path": "/c", "to": "/d"}, {"path": "/e/", "to": "http://x.example/f/"},
        {"path": "/g(h)/", "to": "/(i)/"}, {"path": "/j", "to": "https://example.com?k=l"},
        {"path": "/m/", "to": "/app#/"},
    ]),
    "two proxies": {**one(), **BESIDE},
    "two proxies, and a site without TLS": {**one(tls={"source": "none"}, intercept_errors=True), **BESIDE},
    "two proxies, everything": {"nginx_proxy_sites": [EVERYTHING], **HOST, **BESIDE},
    "health checks": {**one(app="notes"), **BEHIND},
    "raw directives": one(extra="# only a comment"),
    "raw directives of a location": at({"path": "/", "extra": "add_header X-A \"b;}\" always;\nproxy_redirect off;"}),
}  # fmt: skip


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def verdicts(request: pytest.FixtureRequest, tree_verdicts: t.Callable[[str, dict[str, Values]], Verdicts]) -> Verdicts:
    return tree_verdicts(request.param, TREES)


@pytest.mark.parametrize("name", TREES)
def test_loads_without_a_warning(verdicts: Verdicts, name: str) -> None:
    assert verdicts[name] == (0, [])


@pytest.fixture(scope="module")
def by_tls(tmp_path_factory: pytest.TempPathFactory) -> Values:
    """A site in front of an application that two hosts have, to be reached by mutual TLS."""
    tls = hop_pki.variables(hop_pki.make(tmp_path_factory.mktemp("hop")))
    app = {"gunicorn_app_name": "notes", "gunicorn_app_port_tls": tls.pop("gunicorn_app_port_tls")}
    return {
        **one(
            locations=[
                {"path": "/api/", "strip_prefix": True},
                {"path": "/other/", "upstream": {"servers": ["10.0.0.9:80"]}},
            ]
        ),
        **tls,
        "groups": {"apps": ["app1", "app2"], "proxies": ["web1"]},
        "hostvars": {f"app{number}": {**app, "ansible_host": f"10.0.0.{number}"} for number in (1, 2)},
    }


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_mutual_tls_with_applications(by_tls: Values, suite: str, tree_verdicts: t.Callable[..., Verdicts]) -> None:
    # nginx reads the key, and whether it is that of the certificate.
    mixed = {**by_tls["nginx_proxy_app_tls"], "key": by_tls["nginx_proxy_app_tls"]["key"].replace("proxies", "notes")}
    verdicts = tree_verdicts(suite, {"tls": by_tls, "mixed": {**by_tls, "nginx_proxy_app_tls": mixed}})
    assert verdicts["tls"] == (0, [])
    assert verdicts["mixed"][0] == 1
