# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nginx configuration depends on in its host: the version of nginx, its modules, IPv6, the CPUs."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import lookup, resolved
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

#: Ubuntu 22.04's. Older ones lack directives that the templates use.
OLDEST = (1, 18, 0)

#: One trip for all that the templates depend on. Before the package is there (check mode on a new
#: host), the version that would be installed answers.
PROBE = (
    "export PATH=$PATH:/usr/sbin; test -e /proc/net/if_inet6 && echo ipv6; echo cpus=$(nproc); "
    "test /etc/systemd/system/nginx.service -ef /dev/null && echo masked; "
    "ls /etc/nginx/modules-enabled 2>/dev/null; "
    "nginx -V 2>&1 || LC_ALL=C apt-cache policy nginx | grep Candidate"
)


class NginxVersion(t.NamedTuple):
    """What the templates have to know of the nginx that will read them."""

    version: tuple[int, ...]
    openssl: str
    http3: bool = False
    brotli: bool = False

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


class HostFacts(t.NamedTuple):
    """What the templates have to know of the host.

    ``cpus``: those that a process may use, 0 for not known. ``addresses``: those of each name that was looked up.
    """

    ipv6: bool
    cpus: int = 0
    addresses: t.Mapping[str, t.Sequence[str]] = {}


def probe_for(names: t.Iterable[str]) -> str:
    """Return the one command that a host is asked by. :param names: to be resolved there"""
    found = lookup(names)
    # At the end: before it, an address might be taken for a version.
    return f"{PROBE}; {found}" if found else PROBE


def host_facts(probe: str) -> HostFacts:
    """Read what :func:`probe_for` printed."""
    cpus = re.search(r"^cpus=(\d+)\r?$", probe, re.MULTILINE)
    return HostFacts("ipv6" in probe.split(), int(cpus[1]) if cpus else 0, resolved(probe))


def nginx_version(text: str) -> NginxVersion:
    """Read what ``nginx -V`` printed, or a package's version such as ``1.22.1-9+deb12u2``.

    :param text: with the names of the enabled modules in it, where they are known

    :raises Refused: where there is no version in it, or one that is too old
    """
    match = re.search(r"nginx/(\d+(?:\.\d+)+)", text) or re.search(r"(\d+(?:\.\d+)+)", text)
    if match is None:
        raise Refused("nginx", text.strip(), "an nginx that tells its version")
    version = tuple(map(int, match[1].split(".")))
    if version < OLDEST:
        raise Refused("nginx", match[1], f"nginx {'.'.join(map(str, OLDEST))} or later")
    openssl = re.search(r"running with OpenSSL (\S+?)[\s,)]", text) or re.search(r"built with OpenSSL (\S+)", text)
    http3 = "--with-http_v3_module" in text and version >= (1, 25, 1)
    return NginxVersion(version, openssl[1] if openssl else "unknown", http3, "mod-http-brotli" in text)
