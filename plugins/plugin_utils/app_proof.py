# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a release is proven and confirmed: health, smoke request, hooks; and what goes back."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_values import app_integer
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import integer, unfit

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_RELEASE = re.compile(r"previous|[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
_FOLDER = re.compile(r"[A-Za-z0-9._@+-]+(?:/[A-Za-z0-9._@+-]+)*")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

#: Where nothing else is said; migrations that two hosts run at once meet each other.
_ONCE = {"before": True, "after": False, "rollback": False}

_DAY = 86400


class Served(t.NamedTuple):
    """How an application is served.

    ``whole``: a site's every path, as far as no location says otherwise; else single locations alone. ``port``: where
    its own host passes on to it what comes from proxies on other hosts, ``socket``: what its own host has behind that
    port; both None where nginx is on the same host.
    """

    domain: str
    https: bool
    whole: bool
    port: int | None = None
    socket: str | None = None


def normalise_proof(values: t.Mapping[str, t.Any], served: Served | None) -> dict[str, t.Any]:
    """Return ``health``, ``smoke``, ``hooks``, ``static``, ``release`` and ``warm``, checked and complete.

    :param values: the role's variables, already of the spec's shape
    :param served: how nginx serves the application on this host, None where it does not
    :raises Refused: naming ``gunicorn_app_…`` with its place
    """
    path = app_path(values, "health_path")
    return {
        "health": {
            "path": path,
            # Applications refuse names they do not know.
            "host": served.domain if served else "localhost",
            "timeout": app_integer(values, "health_timeout", 1, _DAY),
            "status": app_integer(values, "health_status", 200, 599),
            "body": _text("gunicorn_app_health_body", values["gunicorn_app_health_body"]),
            "successes": app_integer(values, "health_successes", 1, 100),
        },
        "smoke": _smoke(values, path, served),
        "hooks": {
            when: [
                _hook(hook, f"gunicorn_app_hooks.{when}[{index}]", once)
                for index, hook in enumerate(values["gunicorn_app_hooks"][when])
            ]
            for when, once in _ONCE.items()
        },
        "static": _static(values["gunicorn_app_static"]),
        "release": _release(values["gunicorn_app_release"]),
        "warm": app_integer(values, "warm", 0, _DAY),
    }


def app_path(values: t.Mapping[str, t.Any], name: str) -> str:
    """Return a path of the application's that is asked for as it stands."""
    value = values[f"gunicorn_app_{name}"]
    if not _PATH.fullmatch(value):
        raise Refused(f"gunicorn_app_{name}", value, "a path that begins with /")
    return str(value)


def _smoke(values: t.Mapping[str, t.Any], health_path: str, served: Served | None) -> dict[str, t.Any] | None:
    """Return the request through nginx, None where nobody can tell one that reaches the application."""
    stated = values["gunicorn_app_smoke_path"]
    path = health_path if stated is None else app_path(values, "smoke_path")
    timeout = app_integer(values, "smoke_timeout", 1, 60)
    if served is None or (stated is None and not served.whole):
        return None
    return {
        "path": path,
        "domain": served.domain,
        "https": served.https,
        "timeout": timeout,
        "port": served.port,
        "socket": served.socket,
    }


def _text(path: str, value: str | None) -> str | None:
    if value is not None and not value:
        raise Refused(path, value, "some text; leave it out where the body does not matter")
    return value


def _release(value: str | None) -> str | None:
    if value is not None and not _RELEASE.fullmatch(value):
        raise Refused("gunicorn_app_release", value, "previous, or the name of a release on the host")
    return value


def _hook(hook: t.Mapping[str, t.Any], path: str, once: bool) -> dict[str, t.Any]:
    command = hook["command"]
    if not command or not command[0]:
        raise Refused(f"{path}.command", command, "a program and its arguments, each an item of the list")
    for index, word in enumerate(command):
        if _CONTROL.search(word) or unfit(word):
            raise Refused(f"{path}.command[{index}]", word, "text on one line, without control characters")
    return {
        "command": list(command),
        "timeout": integer(f"{path}.timeout", hook["timeout"], 1, _DAY),
        "once": once if hook["once"] is None else hook["once"],
    }


def _static(given: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for index, item in enumerate(given):
        path = f"gunicorn_app_static[{index}]"
        folder = item["folder"].rstrip("/")
        if not _FOLDER.fullmatch(folder) or {".", ".."} & set(folder.split("/")):
            raise Refused(f"{path}.folder", item["folder"], "a folder inside the source, without '..'")
        name = folder.rpartition("/")[2] if item["as"] is None else item["as"]
        if not _NAME.fullmatch(name):
            raise Refused(f"{path}.as", name, "letters, digits, dots, hyphens and underscores, no dot in front")
        if name in [other["as"] for other in found]:
            raise Refused(f"{path}.as", name, "each name once")
        found.append({"folder": folder, "as": name})
    return found
