# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server processes of an application: Gunicorn or Uvicorn alone, its limits, times and logs."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.timeouts import check_application
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import integer


def normalise_server(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what the files of a slot say of the server, checked and complete.

    :param values: the role's variables, already of the spec's shape
    :raises Refused: naming ``gunicorn_app_…`` with its place
    """
    for key in ("timeout", "stop_timeout", "keepalive"):
        integer(f"gunicorn_app_{key}", values[f"gunicorn_app_{key}"], 1, 86400)
    check_application(
        values["gunicorn_app_timeout"], values["gunicorn_app_stop_timeout"], values["gunicorn_app_keepalive"]
    )
    server = {"server": values["gunicorn_app_server"]}
    return server | {key: values[f"gunicorn_app_{key}"] for key in ("timeout", "stop_timeout", "keepalive")}
