# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server processes of an application: Gunicorn or Uvicorn alone, its limits, times and logs."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_values import app_integer
from ansible_collections.asgi.deploy.plugins.plugin_utils.gunicorn_settings import normalise_settings
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.timeouts import check_application

_DAY = 86400
_OFTEN = 1_000_000_000

#: Least and most of each limit. nginx itself passes on no line above 8 KB unless it is told to, and adds some
#: header fields of its own.
_LIMITS = {"line": (256, 65536), "fields": (32, 1000), "field_size": (256, 65536)}


def normalise_server(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what the files of a slot say of the server, checked and complete.

    :param values: the role's variables, already of the spec's shape
    :raises Refused: naming ``gunicorn_app_…`` with its place
    """
    server = values["gunicorn_app_server"]
    times = {name: app_integer(values, name, 1, _DAY) for name in ("timeout", "stop_timeout", "keepalive")}
    # 0 closes WebSockets as soon as a worker stops.
    times["drain"] = app_integer(values, "drain", 0, _DAY)
    check_application(**times)
    maximum, jitter = _replacement(values)
    structure = {
        "server": server,
        "loop": values["gunicorn_app_loop"],
        "http": values["gunicorn_app_http"],
        "preload": values["gunicorn_app_preload"],
        "max_requests": maximum,
        "max_requests_jitter": jitter,
        "limits": {name: app_integer(values, f"limit_request_{name}", *bounds) for name, bounds in _LIMITS.items()},
        **times,
        "settings": normalise_settings(values["gunicorn_app_settings"]),
        "log": {
            "level": values["gunicorn_app_log_level"],
            "format": values["gunicorn_app_log_format"],
            "access": values["gunicorn_app_access_log"],
        },
    }
    if server == "uvicorn":
        _check_uvicorn(structure)
    return structure


def _replacement(values: t.Mapping[str, t.Any]) -> tuple[int, int]:
    """Return after how many requests a worker is replaced, and how many more at random."""
    maximum = app_integer(values, "max_requests", 0, _OFTEN)
    if values["gunicorn_app_max_requests_jitter"] is None:
        return maximum, maximum // 10
    jitter = app_integer(values, "max_requests_jitter", 0, _OFTEN)
    if jitter and not maximum:
        raise Refused("gunicorn_app_max_requests_jitter", jitter, "0 or nothing while gunicorn_app_max_requests is 0")
    return maximum, jitter


def _check_uvicorn(structure: t.Mapping[str, t.Any]) -> None:
    """Refuse what only Gunicorn's master does."""
    reasons = {
        "preload": "false: Uvicorn alone forks no workers that could share memory",
        "max_requests": "0: Uvicorn alone has no master that starts the next process before this one ends",
        "settings": "nothing: they are Gunicorn's",
    }
    for name, reason in reasons.items():
        if structure[name]:
            raise Refused(f"gunicorn_app_{name}", structure[name], f"with gunicorn_app_server=uvicorn {reason}")
