# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proxy's structure needs of its host besides nginx's configuration: packages, folders, files of systemd."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

Structure = t.Mapping[str, t.Any]

MASKED = (
    "nginx.service is masked on this host (/etc/systemd/system/nginx.service is a link to /dev/null), so that nginx "
    "could not be started; accepted: a host on which `systemctl unmask nginx.service` was run"
)


#: What the program asgi-deploy-nginx-rollback imports.
LIBRARY = (
    "atomic",
    "certificate",
    "host_marks",
    "nginx",
    "nginx_caches",
    "nginx_generations",
    "nginx_sandbox",
    "nginx_switch",
    "tls_folder",
)

#: What the program asgi-deploy-health imports besides.
HEALTH_LIBRARY = ("health", "health_counts", "health_marks", "health_probe")

#: The nginx project's repositories of its stable versions.
_PROJECT = {"debian": "https://nginx.org/packages/debian", "ubuntu": "https://nginx.org/packages/ubuntu"}


def packages(proxy: Structure) -> list[str]:
    """Return the packages to install."""
    # openssl makes the self-signed pair that nginx starts with; logrotate reads what nginx's package says of its logs.
    return ["nginx", "openssl", "logrotate", *proxy["packages"]]


def folders(proxy: Structure) -> list[dict[str, str]]:
    """Return the folders that have to be there before nginx starts, each with its owner and mode."""
    paths = [proxy["acme_webroot"], proxy["maintenance_dir"]]
    if any(site["cache"] for site in proxy["sites"]):
        paths.append(proxy["cache_dir"])
    return [{"path": path, "owner": "root", "mode": "0755"} for path in paths]


def repository_of(given: Structure, os_release: str) -> dict[str, t.Any]:
    """Return the nginx project's repository for a host.

    :param given: ``url`` or None, ``key_url`` and ``fingerprints``
    :param os_release: the host's /etc/os-release
    :raises Refused: for a distribution that the project makes no packages for
    """
    words = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', os_release, re.MULTILINE))
    name, codename = words.get("ID", ""), words.get("VERSION_CODENAME", "")
    if name not in _PROJECT or not codename:
        accepted = "distribution: the nginx project's packages are for " + " and ".join(sorted(_PROJECT))
        raise Refused("nginx_proxy_repository", "nginx", f"{accepted}, and this host is {name or 'neither'}")
    return {**given, "url": given["url"] or _PROJECT[name], "codename": codename}
