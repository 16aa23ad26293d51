# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx_proxy is told about the host as a whole: addresses, times, logs, where nginx comes from."""

from __future__ import annotations

import fnmatch
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.headers import header_name, variable_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.health_checks import normalise_health_checks
from ansible_collections.asgi.deploy.plugins.plugin_utils.networks import networks
from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import (
    UNLIMITED,
    duration,
    integer,
    server_address,
    size,
)

Values = t.Mapping[str, t.Any]

#: Where nginx keeps answers; each site has a folder of its name in it.
CACHE_DIR = "/var/cache/nginx"
#: A file of a site's name in it shows the site's maintenance page.
MAINTENANCE_DIR = "/etc/nginx/maintenance"
LOG_DIR = "/var/log/nginx"
#: By it journald knows the unit; nginx itself has no standard output once it runs in the background.
JOURNAL = "unix:/dev/log"

BROTLI_PACKAGES = ("libnginx-mod-http-brotli-filter", "libnginx-mod-http-brotli-static")

#: Where nothing is said of the header.
_HEADER = "X-Forwarded-For"
#: No proxy replaces these: a limit that counts by them is one that each client evades.
_OF_CLIENTS = ("accept", "accept-encoding", "accept-language", "authorization", "cookie", "host", "origin", "referer",
               "user-agent")  # fmt: skip
#: Ports that the sites themselves listen on.
SITE_PORTS = (80, 443)
_INCLUDE = re.compile(r"/[A-Za-z0-9._@+/*?-]+")
_GENERATION = re.compile(r"[A-Za-z0-9+-]{1,64}")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?")
_URL = re.compile(r"(?:https?://[A-Za-z0-9.\[\]:-]+|file:/)(?:/[A-Za-z0-9._~/-]*)?")


def normalise_host(values: Values) -> dict[str, t.Any]:
    """Return the part of the structure that no site decides.

    :param values: the role's variables, already of the spec's shape
    :raises Refused: naming the variable
    """
    for name in ("nginx_proxy_tls_dir", "nginx_proxy_acme_webroot"):
        absolute_path(name, values[name])
    connections = integer("nginx_proxy_worker_connections", values["nginx_proxy_worker_connections"], 64, 1_000_000)
    port = integer("nginx_proxy_status_port", values["nginx_proxy_status_port"], 1, 65535)
    if port in SITE_PORTS:
        raise Refused("nginx_proxy_status_port", port, "a port that no site listens on (not 80, not 443)")
    return {
        "tls_dir": values["nginx_proxy_tls_dir"],
        "acme_webroot": values["nginx_proxy_acme_webroot"],
        "cache_dir": CACHE_DIR,
        "maintenance_dir": MAINTENANCE_DIR,
        "worker_processes": _worker_processes(values["nginx_proxy_worker_processes"]),
        "worker_connections": connections,
        # A proxied request holds two connections, each a file; the rest is for logs, caches and libraries.
        "worker_files": connections * 2 + 512,
        "worker_shutdown_timeout": _shutdown_timeout(values["nginx_proxy_worker_shutdown_timeout"]),
        "status_port": port,
        "ipv6": values["nginx_proxy_ipv6"],
        # Two are the least that can be gone back from.
        "generations": integer("nginx_proxy_generations", values["nginx_proxy_generations"], 2, 1000),
        "generation": _generation(values["nginx_proxy_generation"]),
        "includes": _includes(values["nginx_proxy_includes"]),
        "client_address": _client_address(values["nginx_proxy_client_address"]),
        "client_timeouts": {
            key: duration(f"nginx_proxy_client_timeouts.{key}", value)
            for key, value in values["nginx_proxy_client_timeouts"].items()
        },
        "http3": values["nginx_proxy_http3"],
        "gzip": values["nginx_proxy_gzip"],
        "brotli": values["nginx_proxy_brotli"],
        "access_log": _access_log(values["nginx_proxy_access_log"]),
        "packages": list(BROTLI_PACKAGES) if values["nginx_proxy_brotli"] else [],
        "sandbox": values["nginx_proxy_sandbox"],
        "repository": _repository(values),
        "health_checks": normalise_health_checks(values["nginx_proxy_health_checks"]),
    }


def _worker_processes(value: int | None) -> int | None:
    # More than this nginx refuses.
    return None if value is None else integer("nginx_proxy_worker_processes", value, 1, 1024)


def _shutdown_timeout(value: t.Any) -> str | None:
    checked = duration("nginx_proxy_worker_shutdown_timeout", value, unlimited=True)
    return None if checked == UNLIMITED else checked


def _generation(value: str | None) -> str | None:
    if value is not None and not _GENERATION.fullmatch(value):
        raise Refused("nginx_proxy_generation", value, "previous, or the name of a generation on the host")
    return value


def _includes(values: t.Sequence[str]) -> list[str]:
    for index, value in enumerate(values):
        here = f"nginx_proxy_includes[{index}]"
        if not _INCLUDE.fullmatch(value) or {"", ".", ".."} & set(value[1:].split("/")):
            raise Refused(here, value, "an absolute path, * and ? allowed, such as /etc/nginx/conf.d/*.conf")
        if value.startswith("/etc/nginx/deploy/") or fnmatch.fnmatchcase("/etc/nginx/nginx.conf", value):
            raise Refused(here, value, "a file that is not part of the configuration already")
        if value in values[:index]:
            raise Refused(here, value, "each file once")
    return list(values)


def _client_address(given: Values) -> dict[str, t.Any]:
    path = "nginx_proxy_client_address"
    trusted = networks(f"{path}.trusted", given["trusted"], "anybody could then choose the address they come from")
    header = header_name(f"{path}.header", given["header"])
    headers = _trusted_headers(given["headers"], f"{path}.headers")
    if not trusted and (headers or given["proxy_protocol"] or header != _HEADER):
        raise Refused(f"{path}.trusted", [], "the networks of the proxies in front, which the rest is about")
    if header != _HEADER and given["proxy_protocol"]:
        raise Refused(f"{path}.header", header, "no header with proxy_protocol, which carries the address itself")
    if headers and given["proxy_protocol"]:
        # What passes TCP through sets none, and cannot take out a client's.
        raise Refused(f"{path}.headers", headers, "no headers with proxy_protocol: they are then the clients' own")
    return {
        "trusted": trusted,
        "header": "proxy_protocol" if given["proxy_protocol"] else header,
        "proxy_protocol": given["proxy_protocol"],
        "headers": [{"name": name, "variable": variable_of(name)} for name in headers],
    }


def _trusted_headers(given: t.Sequence[str], path: str) -> list[str]:
    names: list[str] = []
    for index, value in enumerate(given):
        name = header_name(f"{path}[{index}]", value)
        if name.lower() in names:
            raise Refused(f"{path}[{index}]", value, "each header once, in whatever case")
        if name.lower() in _OF_CLIENTS:
            raise Refused(f"{path}[{index}]", value, "a header that proxies set; this one passes as the client sent it")
        names.append(name.lower())
    return list(given)


def _access_log(given: Values) -> dict[str, t.Any]:
    path = "nginx_proxy_access_log"
    target, server = given["target"], given["server"]
    if target == "syslog":
        if server is None:
            raise Refused(f"{path}.server", None, "the address of the syslog server; target syslog needs it")
        server_address(f"{path}.server", server)
        if "," in server:
            # What follows it would be nginx's next parameter.
            raise Refused(f"{path}.server", server, "host:port or unix:/path, without a comma")
    elif server is not None:
        raise Refused(f"{path}.server", server, f"no server unless target is syslog (it is {target})")
    if given["per_site"] and target != "file":
        raise Refused(f"{path}.per_site", True, f"this with the target file only (it is {target})")
    size(f"{path}.buffer", given["buffer"], units="km", maximum="64m")
    return {**given, "server": JOURNAL if target == "stdout" else server}


def _repository(values: Values) -> dict[str, t.Any] | None:
    names = ("nginx_proxy_repository_url", "nginx_proxy_repository_key_url")
    for name in names:
        if values[name] is not None and not _URL.fullmatch(values[name]):
            raise Refused(name, values[name], "an https:// URL")
    fingerprints = values["nginx_proxy_repository_fingerprints"]
    for index, value in enumerate(fingerprints):
        if not _FINGERPRINT.fullmatch(value):
            here = f"nginx_proxy_repository_fingerprints[{index}]"
            raise Refused(here, value, "the 40 hexadecimal digits of a key's fingerprint, in capitals, without spaces")
    if values["nginx_proxy_repository"] == "distribution":
        return None
    if not fingerprints:
        raise Refused("nginx_proxy_repository_fingerprints", [], "at least one fingerprint")
    if values["nginx_proxy_brotli"]:
        accepted = "false with nginx_proxy_repository: nginx; the distribution's modules need the distribution's nginx"
        raise Refused("nginx_proxy_brotli", True, accepted)
    url, key_url = (values[name] for name in names)
    return {"url": url, "key_url": key_url, "fingerprints": fingerprints}
