# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nginx configuration as files: which there are, and what the host's nginx understands."""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

#: Ubuntu 22.04's. Older ones lack directives that the templates use.
OLDEST = (1, 18, 0)

#: The TLS folder of the default server, where nginx cannot turn unknown names away without a certificate.
DEFAULT_PAIR = "_default"

_SITE_FILES = ("site", "upstream", "security_header_values", "security_headers", "locations")
_SHARED_FILES = (
    "main",
    "http/log",
    "http/proxy",
    "http/tls",
    "http/default_servers",
    "snippets/acme_challenge",
    "snippets/proxy_headers",
)


class NginxVersion(t.NamedTuple):
    """What the templates have to know of the nginx that will read them."""

    version: tuple[int, ...]
    openssl: str

    @property
    def http2_directive(self) -> bool:
        """Since 1.25.1 `http2 on;` is a directive, and the parameter of `listen` warns."""
        return self.version >= (1, 25, 1)

    @property
    def http2_parameter(self) -> str:
        return "" if self.http2_directive else " http2"

    @property
    def rejects_handshakes(self) -> bool:
        """Since 1.19.4 a server may turn a name away before it shows a certificate."""
        return self.version >= (1, 19, 4)

    @property
    def post_quantum(self) -> bool:
        """OpenSSL 3.5 brought ML-KEM; an older one stops nginx when it is asked for it."""
        return tuple(map(int, re.findall(r"\d+", self.openssl)[:2])) >= (3, 5)


def nginx_version(text: str) -> NginxVersion:
    """Read what ``nginx -V`` printed, or a package's version such as ``1.22.1-9+deb12u2``.

    :raises Refused: where there is no version in it, or one that is too old
    """
    match = re.search(r"nginx/(\d+(?:\.\d+)+)", text) or re.search(r"(\d+(?:\.\d+)+)", text)
    if match is None:
        raise Refused("nginx", text.strip(), "an nginx that tells its version")
    version = tuple(map(int, match[1].split(".")))
    if version < OLDEST:
        raise Refused("nginx", match[1], f"nginx {'.'.join(map(str, OLDEST))} or later")
    openssl = re.search(r"running with OpenSSL (\S+?)[\s,)]", text) or re.search(r"built with OpenSSL (\S+)", text)
    return NginxVersion(version, openssl[1] if openssl else "unknown")


def build_tree(
    render: t.Callable[..., str], proxy: t.Mapping[str, t.Any], nginx: NginxVersion, ipv6: bool
) -> tuple[dict[str, str], str]:
    """Return the files of a generation, relative path to text, and the generation's id.

    The id is made from the text of all other files, so that the same configuration has the same id.
    """
    listens = ipv6 if proxy["ipv6"] is None else proxy["ipv6"]
    structure = {**proxy, "nginx": nginx, "default_pair": DEFAULT_PAIR, "ipv6": listens}
    files = {f"{name}.conf": render(f"{name}.conf.j2", **structure) for name in _SHARED_FILES}
    for site in proxy["sites"]:
        for name in _SITE_FILES:
            text = render(f"site/{name}.conf.j2", **structure, site=site)
            files[f"sites/{site['name']}/{name}.conf"] = text
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{files[name]}\0".encode())
    digest.update(str(proxy["status_port"]).encode())
    generation = digest.hexdigest()[:12]
    files["http/status.conf"] = render("http/status.conf.j2", **structure, generation=generation)
    return files, generation


def tls_pairs(proxy: t.Mapping[str, t.Any], nginx: NginxVersion) -> list[dict[str, t.Any]]:
    """Return the TLS folders that the sites need, for the module nginx_tree."""
    default = {"name": DEFAULT_PAIR, "domains": ["unknown.invalid"], "source": "self_signed"}
    return ([] if nginx.rejects_handshakes else [default]) + [
        {"name": site["name"], "domains": site["domains"], "source": site["tls"]["source"]}
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
