# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nginx configuration as files: which there are, and what the host's nginx understands."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.challenge_peers import peers_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.headers import API_DOCS_POLICY
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import HostFacts, NginxVersion
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_host import LOG_DIR
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.site_upstreams import with_addresses
from ansible_collections.asgi.deploy.plugins.plugin_utils.tls_policy import CIPHERS, POST_QUANTUM
from ansible_collections.asgi.deploy.plugins.plugin_utils.upstream import Upstream, render_fleet, render_upstream
from ansible_collections.asgi.deploy.plugins.plugin_utils.url_paths import ERROR_PAGES

#: The TLS folder of the default server, where nginx cannot turn unknown names away without a certificate.
DEFAULT_PAIR = "_default"

#: What is smaller when compressed; images, fonts of the web and archives are compressed already.
_COMPRESSED_TYPES = (
    "application/atom+xml",
    "application/geo+json",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/problem+json",
    "application/rss+xml",
    "application/vnd.api+json",
    "application/wasm",
    "application/x-ndjson",
    "application/xml",
    "image/bmp",
    "image/svg+xml",
    "image/x-icon",
    "text/css",
    "text/csv",
    "text/javascript",
    "text/markdown",
    "text/plain",
    "text/xml",
)

POLICY = "content_security_policy"

#: Where the pages of a site are, in its folder.
_PAGES = "pages"
#: Their security headers. No location has a file of this name.
_PAGE_HEADERS = "page_headers"

#: What nginx shows to application hosts, and what they are known by.
APP_PAIR = "app_tls/pair.pem"
APP_CA = "app_tls/ca.pem"

_SHARED_FILES = ("snippets/acme_challenge", "snippets/proxy_headers", "snippets/websocket")


class Tree(t.NamedTuple):
    """A generation: relative path to text. ``private`` are password files and keys, which are never shown."""

    files: dict[str, str]
    private: dict[str, str]
    generation: str


def build_tree(
    render: t.Callable[..., str], proxy: t.Mapping[str, t.Any], nginx: NginxVersion, host: HostFacts
) -> Tree:
    """Return the generation of a normalised structure.

    Its id is made from all other texts, so that the same configuration has the same id.
    """
    structure = _structure(proxy, nginx, host)
    files = {f"http/{name}.conf": render(f"http/{name}.conf.j2", **structure) for name in structure["http_files"][:-1]}
    files |= {f"{name}.conf": render(f"{name}.conf.j2", **structure) for name in ("main", *_SHARED_FILES)}
    private: dict[str, str] = {}
    if proxy["identity"]:
        files["snippets/app_tls.conf"] = render("snippets/app_tls.conf.j2", **structure)
        private |= {APP_PAIR: proxy["identity"].pair, APP_CA: proxy["identity"].ca}
    for site in proxy["sites"]:
        for name, text in _site_files(render, structure, site).items():
            files[f"sites/{site['name']}/{name}"] = text
        for location in site["locations"] + site["static"]:
            if location["access"]["users_file"]:
                private[location["access"]["users_file"]] = location["access"]["users"]
    digest = hashlib.sha256()
    for name, text in sorted({**files, **private}.items()):
        digest.update(f"{name}\0{text}\0".encode())
    digest.update(str(proxy["status_port"]).encode())
    generation = digest.hexdigest()[:12]
    files["http/status.conf"] = render("http/status.conf.j2", **{**structure, "generation": generation})
    return Tree(files, private, generation)


def _structure(proxy: t.Mapping[str, t.Any], nginx: NginxVersion, host: HostFacts) -> dict[str, t.Any]:
    """Return what the templates see: the normalised structure, and what the host's nginx makes of it."""
    locations = [location for site in proxy["sites"] for location in site["locations"]]
    peers = list(peers_of(proxy["other_proxies"], host.addresses).values())
    in_front = proxy["client_address"]
    # By the PROXY protocol TCP is passed through: X-Forwarded-Proto is the client's own word.
    told = bool(in_front["trusted"]) and not in_front["proxy_protocol"]
    return {
        **proxy,
        "nginx": nginx,
        "addresses": host.addresses,
        "ipv6": host.ipv6 if proxy["ipv6"] is None else proxy["ipv6"],
        "worker_processes": proxy["worker_processes"] or _worker_processes(proxy, host),
        "http3": proxy["http3"] and nginx.http3 and "TLSv1.3" in proxy["tls_policy"]["protocols"],
        "brotli": proxy["brotli"] and nginx.brotli,
        "curves": _curves(proxy["tls_policy"]["curves"], nginx),
        "http_files": _http_files(proxy, nginx, peers),
        "challenge_peers": peers,
        "scheme": "$client_scheme" if told else "$scheme",
        "port": "$client_port" if told else "$server_port",
        "header_values": _header_values(proxy["sites"]),
        "compressed_types": _COMPRESSED_TYPES,
        "default_pair": DEFAULT_PAIR,
        "app_pair": APP_PAIR,
        "app_ca": APP_CA,
        "app_ciphers": CIPHERS,
        "default_log": access_log(proxy["access_log"], "access.log"),
        "error_pages_path": ERROR_PAGES,
        "page_paths": sorted({ERROR_PAGES + page["file"] for site in proxy["sites"] for page in _pages(site)}),
        "api_docs_policy": API_DOCS_POLICY,
        "fleet_upstreams": [
            render_fleet(with_addresses(block, host.addresses))
            for site in proxy["sites"]
            for block in _checked_blocks(proxy, site)
        ],
        "uses_certificates": any(site["tls"]["client_ca"] for site in proxy["sites"]),
        "uses_limits": any(location["limits"] for location in locations),
        "uses_methods": any(location["methods"] for location in locations)
        or any(site["static"] for site in proxy["sites"]),
    }


def _worker_processes(proxy: t.Mapping[str, t.Any], host: HostFacts) -> int | str:
    """Return one worker a CPU, or one for two CPUs where an application shares them.

    The application needs many times what nginx does. With as many workers of nginx as CPUs each of them sleeps and
    is woken for nearly every request; half as many find several to do (docs/benchmarks.md).
    """
    served_here = any(site["served_here"] for site in proxy["sites"])
    return (host.cpus + 1) // 2 if served_here and host.cpus else "auto"


def _http_files(proxy: t.Mapping[str, t.Any], nginx: NginxVersion, peers: t.Sequence[str]) -> list[str]:
    """Return the concerns of the http block that this host has, in the order of their reading; status is the last."""
    wanted = {
        "client_address": bool(proxy["client_address"]["trusted"]),
        "log": True,
        "compression": proxy["gzip"] or (proxy["brotli"] and nginx.brotli),
        "proxy": True,
        "applications": proxy["health_checks"] is not None,
        "limits": True,
        "security_headers": bool(proxy["sites"]),
        "answers": bool(proxy["sites"]),
        "tls": True,
        "challenges": bool(peers),
        "default_servers": True,
        "status": True,
    }
    return [name for name, needed in wanted.items() if needed]


def _checked_blocks(proxy: t.Mapping[str, t.Any], site: t.Mapping[str, t.Any]) -> list[Upstream]:
    """Return a site's upstreams that health checks write marks into: they are in a file of their own."""
    return [block for block in site["upstreams"] if proxy["health_checks"] is not None and "fleet" in block]


def _curves(wanted: t.Sequence[str], nginx: NginxVersion) -> list[str]:
    if nginx.post_quantum:
        return [f"?{name}" if name == POST_QUANTUM else name for name in wanted]
    known = [name for name in wanted if name != POST_QUANTUM]
    if not known:
        accepted = f"a second group: this host's OpenSSL ({nginx.openssl}) does not have {POST_QUANTUM}"
        raise Refused("nginx_proxy_tls_curves", list(wanted), accepted)
    return known


def _site_files(
    render: t.Callable[..., str], structure: t.Mapping[str, t.Any], site: t.Mapping[str, t.Any]
) -> dict[str, str]:
    """Return the files of a site's folder: those of the http block, those of the server block, its pages."""
    checked = _checked_blocks(structure, site)
    blocks = [block for block in site["upstreams"] if block not in checked]
    for_http = {
        "upstream": bool(blocks),
        "api_docs": bool(site["docs"]),
        "access": bool(site["addresses"]),
        "limits": bool(site["zones"]),
        "cache": bool(site["cache"]),
        "maintenance": bool(site["maintenance"]["allow"]),
        "log": bool(site["quiet_paths"]) and structure["access_log"]["target"] != "off",
        "redirects": site["tls"]["source"] != "none" or bool(site["redirected_names"]),
    }
    names = [name for name, needed in for_http.items() if needed]
    sets = _header_sets(site, structure["header_values"])
    pages = _pages(site)
    known = {
        **structure,
        "site": site,
        "site_files": names,
        "csp": _policy(site),
        "pages": pages,
        "site_log": _site_log(structure["access_log"], site),
        "tls_names": {block["name"]: block.get("tls") for block in site["upstreams"]},
        "upstreams": [render_upstream(with_addresses(block, structure["addresses"])) for block in blocks],
    }
    rules = ["cache_rules"] if site["cache"] else []
    files = {
        f"{name}.conf": render(f"site/{name}.conf.j2", **known)
        for name in ["site", *names, "guards", "locations", *rules]
    }
    for header_set in sets:
        files[f"{header_set['file']}.conf"] = render("site/security_headers.conf.j2", **known, group=header_set)
    plain = render("pages/maintenance.html.j2")
    return files | {f"{_PAGES}/{page['file']}": page["content"] or plain for page in pages}


def _header_sets(site: t.Mapping[str, t.Any], values: t.Mapping[tuple[str, str], str]) -> list[dict[str, t.Any]]:
    """Return the files of a site's security headers: its own, its pages', and those of locations that have others."""
    site_wide = _with_docs(site, site["headers"])
    own = [
        {
            "file": f"security_headers_{location['slug']}",
            "headers": _variables(_with_docs(site, location["headers"]), values),
        }
        for location in site["locations"] + site["static"]
        if location["headers"]
    ]
    # Not the variables: these are empty where the answer that a page replaces had the header, and it is gone with it.
    of_pages = [{"name": item["name"], "value": f'"{item["value"]}"'} for item in site_wide]
    return [
        {"file": "security_headers", "headers": _variables(site_wide, values)},
        {"file": _PAGE_HEADERS, "headers": of_pages},
        *own,
    ]


def _variables(
    headers: t.Sequence[t.Mapping[str, str]], values: t.Mapping[tuple[str, str], str]
) -> list[dict[str, str]]:
    return [{"name": item["name"], "value": values[item["slug"], item["value"]]} for item in headers]


def _header_values(sites: t.Sequence[t.Mapping[str, t.Any]]) -> dict[tuple[str, str], str]:
    """Return a variable for each header and value that any site sends.

    One for all sites that send the same: nginx takes a millisecond for each map, at each test and each reload.
    """
    found: dict[tuple[str, str], str] = {}
    for site in sites:
        own = [item["headers"] for item in site["locations"] + site["static"] if item["headers"]]
        for header in [header for headers in (site["headers"], *own) for header in _with_docs(site, headers)]:
            key = (header["slug"], header["value"])
            number = sum(slug == header["slug"] for slug, _value in found) + 1
            # The number stands where no header's name can have one: of X and X--2 the variables would be one.
            found.setdefault(key, f"$header{number if number > 1 else ''}__{header['slug']}")
    return found


def _with_docs(site: t.Mapping[str, t.Any], headers: t.Sequence[t.Mapping[str, str]]) -> list[t.Mapping[str, str]]:
    """Return the headers with the site's policy as one of two, where the application has documentation pages."""
    if not site["docs"]:
        return list(headers)
    general = (POLICY, _policy(site))
    either = f"$csp__{site['slug']}"
    return [
        {**header, "value": either} if (header["slug"], header["value"]) == general else header for header in headers
    ]


def _policy(site: t.Mapping[str, t.Any]) -> str:
    return next((str(item["value"]) for item in site["headers"] if item["slug"] == POLICY), "")


def _pages(site: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the pages of a site, that of the maintenance among them unless 503 has a page of the user's."""
    pages = [dict(page) for page in site["error_pages"]]
    content = site["maintenance"]["content"]
    if content is not None:
        for page in pages:
            page["statuses"] = [status for status in page["statuses"] if status != 503]
    if not any(503 in page["statuses"] for page in pages):
        # Without content: the plain page of the templates.
        pages.append({"statuses": [503], "file": "maintenance.html", "content": content})
    return [page for page in pages if page["statuses"]]


def _site_log(log: t.Mapping[str, t.Any], site: t.Mapping[str, t.Any]) -> str | None:
    """Return the arguments of the site's own ``access_log``, None where the host's is the same."""
    if log["target"] == "off" or not (log["per_site"] or site["quiet_paths"]):
        return None
    name = f"{site['name']}.access.log" if log["per_site"] else "access.log"
    condition = f" if=$logged__{site['slug']}" if site["quiet_paths"] else ""
    return access_log(log, name) + condition


def access_log(log: t.Mapping[str, t.Any], name: str) -> str:
    """Return the arguments of nginx's ``access_log`` for the log file ``name``."""
    if log["target"] == "off":
        return "off"
    log_format = "asgi" if log["format"] == "json" else "combined"
    if log["target"] == "file":
        return f"{LOG_DIR}/{name} {log_format} buffer={log['buffer']} flush=1s"
    return f"syslog:server={log['server']},tag=nginx,nohostname {log_format}"


def tls_pairs(proxy: t.Mapping[str, t.Any], nginx: NginxVersion) -> list[dict[str, t.Any]]:
    """Return the TLS folders that the sites need, for the module nginx_tree."""
    default = {"name": DEFAULT_PAIR, "domains": ["unknown.invalid"], "source": "self_signed", "lineage": None}
    return ([] if nginx.rejects_handshakes else [default]) + [
        {
            "name": site["name"],
            "domains": site["names"],
            "source": site["tls"]["source"],
            "lineage": site["tls"]["lineage"],
        }
        for site in proxy["sites"]
        if site["tls"]["source"] in ("certbot", "self_signed")
    ]


def served_certificates(proxy: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    """Return what nginx has to serve as it is on disk. certbot's certificates are its own program's business."""
    return [
        {"domain": site["domains"][0], "certificate": site["tls"]["certificate"]}
        for site in proxy["sites"]
        if site["tls"]["source"] in ("files", "self_signed")
    ]
