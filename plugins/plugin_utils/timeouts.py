# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain of timeouts: nginx gives up first, then the application, then systemd."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import duration_ms

#: Seconds for which an upstream block keeps idle connections, see upstream.py.
UPSTREAM_KEEPALIVE = 60


class Application(t.NamedTuple):
    """What the proxy has to know of an application. Times in seconds."""

    name: str
    timeout: int
    health_path: str | None = None
    #: Whether a host of it is another one than the proxy.
    remote: bool = False


def check_chain(path: str, read: str, application: Application) -> None:
    """Refuse a read timeout that the application cannot reach.

    Otherwise a drain cuts a request short that nginx would have waited for, and the client sees a 502.
    """
    if duration_ms(read) >= application.timeout * 1000:
        raise Refused(path, read, f"less than gunicorn_app_timeout of {application.name}, {application.timeout}s")


def check_application(timeout: int, stop_timeout: int, keepalive: int, drain: int) -> None:
    """Refuse an application whose own times contradict each other. All in seconds."""
    if stop_timeout <= timeout:
        raise Refused(
            "gunicorn_app_stop_timeout",
            stop_timeout,
            f"more than gunicorn_app_timeout ({timeout}), or systemd kills what is still draining",
        )
    if drain >= timeout:
        raise Refused(
            "gunicorn_app_drain",
            drain,
            f"less than gunicorn_app_timeout ({timeout}), after which everything that is still open is cut off",
        )
    if keepalive <= UPSTREAM_KEEPALIVE:
        raise Refused(
            "gunicorn_app_keepalive",
            keepalive,
            f"more than the keep-alive of nginx's upstream ({UPSTREAM_KEEPALIVE}), or POSTs meet closing connections",
        )
