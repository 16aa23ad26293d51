# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The security headers of a site: the defaults, the user's changes, and what nginx may be told."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import field, integer

#: What every site sends unless told otherwise: everything from the site itself, nothing inline, no frames of
#: others, no plug-ins. data: images are what style sheets and browsers' own controls are made of.
DEFAULTS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; "
        "img-src 'self' data:; object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}

#: What FastAPI's /docs (Swagger UI) and /redoc load: scripts, styles and fonts from these hosts, one inline script.
API_DOCS_POLICY = (
    "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'; "
    "script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; "
    "font-src 'self' https://fonts.gstatic.com; "
    "img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly"
)

#: nginx or the application frames messages by these, or another variable is about them; a second value would
#: break the connection or contradict the first.
_RESERVED = (
    "allow",
    "alt-svc",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "location",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-accel-buffering",
    "x-accel-redirect",
    "x-cache",
    "x-request-id",
)

#: What the lists of the browsers ask for: a year.
_PRELOAD_AGE = 31_536_000
#: nginx reads no word longer than its buffer of 4096 bytes.
_LONGEST = 4000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_VARIABLES = ("host", "remote_addr", "request_id", "scheme", "server_name")
#: What may stand between nginx's double quotes: an open one would let the rest become directives.
_QUOTED = re.compile(r'(?:[^"\\]|\\["\\])*')
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))?", re.ASCII)


def security_headers(
    changes: Mapping[str, t.Any], hsts: str | None, path: str, inherited: Mapping[str, t.Any] | None = None
) -> list[dict[str, str]]:
    """Return the headers of a site or a location, each as ``name``, ``value`` and ``slug``.

    :param changes: header name to value; "" leaves a default one out
    :param hsts: the value of Strict-Transport-Security, or None where the site does not speak TLS
    :param path: the place of ``changes``, for the refusal
    :param inherited: for a location, the changes of its site, checked already
    """
    wanted: dict[str, str] = dict(DEFAULTS)
    canonical = {name.lower(): name for name in wanted}
    for name, value in (inherited or {}).items():
        wanted[canonical.setdefault(name.lower(), name)] = value or ""
    given: set[str] = set()
    for name, value in changes.items():
        where = field(path, name)
        _check_name(where, name)
        if name.lower() in given:
            raise Refused(where, name, "each header once, in whatever case")
        given.add(name.lower())
        name = canonical.setdefault(name.lower(), name)
        wanted[name] = _check_value(where, value)
    if hsts is not None:
        wanted["Strict-Transport-Security"] = hsts
    # What a location leaves out of its site's headers stays as one that is always empty: it is no oversight.
    kept = {name.lower() for name in canonical.values()} if inherited is not None else set()
    return [
        {"name": name, "value": value, "slug": variable_of(name)}
        for name, value in sorted(wanted.items())
        if value or name.lower() in kept
    ]


def strict_transport_security(tls: Mapping[str, t.Any], path: str) -> str | None:
    """Return the value of the header of this name for a site's ``tls``, None for one without TLS."""
    age, subdomains, preload = (tls[f"hsts_{key}"] for key in ("max_age", "include_subdomains", "preload"))
    # Browsers read it as an unsigned number; a negative one would be ignored in silence.
    integer(f"{path}.hsts_max_age", age, 0)
    if preload and not (subdomains and age >= _PRELOAD_AGE):
        accepted = f"preload with hsts_include_subdomains and an hsts_max_age of {_PRELOAD_AGE} or more"
        raise Refused(f"{path}.hsts_preload", True, accepted)
    if tls["source"] == "none":
        return None
    return f"max-age={age}" + ("; includeSubDomains" if subdomains else "") + ("; preload" if preload else "")


def variable_of(name: str) -> str:
    """Return a header's name as nginx has it in ``$http_…`` and ``$upstream_http_…``."""
    return name.lower().replace("-", "_")


def header_name(path: str, name: t.Any) -> str:
    """Return ``name`` where it is a header's name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refused(path, name, "a header name of letters, digits and hyphens")
    return name


def _check_name(path: str, name: t.Any) -> None:
    header_name(path, name)
    if name.lower() == "strict-transport-security":
        raise Refused(path, name, "this header through tls.hsts_max_age")
    if name.lower() in _RESERVED:
        raise Refused(path, name, "any header but those that nginx and the application write themselves")


def _check_value(path: str, value: t.Any) -> str:
    if not isinstance(value, str):
        raise Refused(path, value, "a string (quote it), or an empty one to leave the header out")
    if not value.isascii() or any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise Refused(path, value, "printable ASCII on one line")
    if len(value) > _LONGEST:
        raise Refused(path, value, f"a value of {_LONGEST} characters at most, this one has {len(value)}")
    if not _QUOTED.fullmatch(value):
        raise Refused(path, value, 'double quotes and backslashes escaped, as \\" and \\\\')
    for match in _VARIABLE.finditer(value):
        if (match[1] or match[2]) not in _VARIABLES:
            known = ", ".join("$" + name for name in _VARIABLES)
            raise Refused(path, value, f"a $ only as one of the variables {known}")
    return value
