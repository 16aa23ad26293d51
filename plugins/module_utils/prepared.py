# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which roles have nothing to prepare on a host: seen once for all of them, their own tasks need not ask again."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.app_prepare import prepare_applications
from ansible_collections.asgi.deploy.plugins.module_utils.call import Call, Result, Run
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_prepare import prepare_certbot
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_prepare import prepare_nginx

_PREPARE: t.Dict[str, t.Callable[[Call], Result]] = {
    "certbot": prepare_certbot,
    "gunicorn_app": prepare_applications,
    "nginx_proxy": prepare_nginx,
}


def already_prepared(
    wanted: t.Mapping[str, t.Mapping[str, t.Any]],
    run: Run,
    prepare: t.Optional[t.Mapping[str, t.Callable[[Call], Result]]] = None,
) -> t.Dict[str, Result]:
    """Return what the roles' preparation would say, of those for which it has nothing to do and nothing to warn of.

    :param wanted: role to the parameters of its preparation
    """
    prepare = prepare or _PREPARE
    found = {}
    for role, params in wanted.items():
        warnings: t.List[str] = []
        try:
            result = prepare[role](Call(params, True, run, warnings.append))
        except (ValueError, OSError):
            # The role's own task says it.
            continue
        if not result["changed"] and not warnings:
            result.pop("diff", None)
            found[role] = result
    return found
