# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is asked of its nginx when all of its roles are checked at once."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.nginx_proven import digest_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import host_facts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree


def wanted_nginx(proxy: t.Mapping[str, t.Any], probe: str, render: t.Callable[..., str]) -> dict[str, str] | None:
    """Return what the host is to hold its live configuration against, None where there is nothing to compare.

    :param proxy: the normalised structure of nginx_proxy
    :param probe: what the host told of its nginx
    :raises Refused: for what this nginx does not know
    """
    if proxy["generation"] is not None or "nginx version:" not in probe or "masked" in probe.split():
        return None
    tree = build_tree(render, proxy, nginx_version(probe), host_facts(probe))
    digest = digest_of({**tree.files, **tree.private}, render("nginx.conf.j2"))
    return {"digest": digest, "drop_in": render("host/nginx.service.j2", **proxy)}
