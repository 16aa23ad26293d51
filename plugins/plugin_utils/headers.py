# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The security headers of a site: the defaults, the user's changes, and what nginx may be told."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import field

#: What every site sends unless told otherwise. The policy restricts framing, forms, plug-ins and
#: <base>, but no scripts: one that does breaks FastAPI's /docs, which loads from a CDN.
DEFAULTS = {
    "Content-Security-Policy": "base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}

#: nginx or the application frames messages by these; a second value breaks the connection.
_RESERVED = (
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_VARIABLES = ("host", "remote_addr", "request_id", "scheme", "server_name")
#: What may stand between nginx's double quotes: an open one would let the rest become directives.
_QUOTED = re.compile(r'(?:[^"\\]|\\["\\])*')
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))?", re.ASCII)


def security_headers(changes: Mapping[str, t.Any], hsts_max_age: int | None, path: str) -> list[dict[str, str]]:
    """Return the headers of one site, each as ``name``, ``value`` and ``slug``.

    :param changes: header name to value; "" or None leaves a default one out
    :param hsts_max_age: seconds, or None where the site does not speak TLS
    :param path: the place of ``changes``, for the refusal
    """
    wanted: dict[str, str] = dict(DEFAULTS)
    canonical = {name.lower(): name for name in wanted}
    given: set[str] = set()
    for name, value in changes.items():
        where = field(path, name)
        _check_name(where, name)
        if name.lower() in given:
            raise Refused(where, name, "each header once, in whatever case")
        given.add(name.lower())
        name = canonical.setdefault(name.lower(), name)
        wanted[name] = _check_value(where, value)
    if hsts_max_age is not None:
        wanted["Strict-Transport-Security"] = f"max-age={hsts_max_age}"
    return [
        {"name": name, "value": value, "slug": name.lower().replace("-", "_")}
        for name, value in sorted(wanted.items())
        if value
    ]


def _check_name(path: str, name: t.Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refused(path, name, "a header name of letters, digits and hyphens")
    if name.lower() == "strict-transport-security":
        raise Refused(path, name, "this header through tls.hsts_max_age")
    if name.lower() in _RESERVED:
        raise Refused(path, name, "any header but those that nginx and the application write themselves")


def _check_value(path: str, value: t.Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused(path, value, "a string (quote it), or an empty one to leave the header out")
    if not value.isascii() or any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise Refused(path, value, "printable ASCII on one line")
    if not _QUOTED.fullmatch(value):
        raise Refused(path, value, 'double quotes and backslashes escaped, as \\" and \\\\')
    for match in _VARIABLE.finditer(value):
        if (match[1] or match[2]) not in _VARIABLES:
            known = ", ".join("$" + name for name in _VARIABLES)
            raise Refused(path, value, f"a $ only as one of the variables {known}")
    return value
