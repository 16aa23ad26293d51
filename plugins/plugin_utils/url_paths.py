# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of URLs, and the folders behind them, as nginx's locations take them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

#: nginx compares locations with the decoded path, so %2F and the like would never match.
_PATH = re.compile(r"/[A-Za-z0-9._~!@:,+=()/-]*")
#: nginx reads no word longer than its buffer of 4096 bytes, and in an expression each character may take two.
_LONGEST = 1000
#: Hidden files and folders, but for the place that standards give to public ones (RFC 8615).
HIDDEN_FILES = r"/\.(?!well-known(?:/|$))"
#: Of a path in a name: files have 255 characters at most, and their names have other parts.
_SLUG = 40
#: What the site's own rules are named by.
SITE = "site"

#: Keys, password files, processes and logs: nginx can read most of it, and no site shows it on purpose.
_NEVER_SERVED = ("/boot/", "/dev/", "/etc/", "/proc/", "/root/", "/run/", "/sys/", "/var/log/")

#: Where the pages of errors are: our own, and no client's.
ERROR_PAGES = "/_error_pages/"
_ACME = "/.well-known/acme-challenge/"


def url_path(path: str, value: t.Any, hidden: bool = False) -> str:
    """Return ``value`` where it is a path that a location can have.

    :param hidden: whether it may be that of a hidden file, which is never sent
    :raises Refused: for a relative one, ``..``, ``//``, a query, white space or a percent sign
    """
    accepted = "a path such as /api/, not encoded, of letters, digits and . _ ~ ! @ : , + = ( ) / -"
    if isinstance(value, str) and "*" in value:
        # As itself it is in nobody's path, and a rule that guards /admin/* literally guards nothing.
        raise Refused(path, value, "a path without *, such as /admin/ for all that is below it")
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise Refused(path, value, accepted)
    if "//" in value or {"..", "."} & set(value.split("/")):
        raise Refused(path, value, "a path without '..', '.' and '//': nginx has resolved them before it compares")
    if len(value) > _LONGEST:
        raise Refused(path, value, f"a path of {_LONGEST} characters at most, this one has {len(value)}")
    if not hidden and re.search(HIDDEN_FILES, value):
        raise Refused(path, value, "a path that is not hidden (/.…): those get 404 but for /.well-known/")
    if value.startswith((ERROR_PAGES, _ACME)):
        raise Refused(path, value, "a path that is not the proxy's own")
    return value


def folder(path: str, value: t.Any) -> str:
    """Return the absolute path of a folder, with the slash at its end that nginx's ``alias`` needs."""
    accepted = "the absolute path of a folder, with a slash at its end, of letters, digits and . _ @ + -, without '..'"
    # /static/ with /srv/static lets /static/../ reach /srv: a slash on one side only is a hole.
    if not isinstance(value, str) or not value.endswith("/"):
        raise Refused(path, value, accepted)
    try:
        absolute_path(path, value[:-1])
    except Refused:
        # Without the words of a path that has no slash at its end.
        raise Refused(path, value, accepted) from None
    if value.startswith(_NEVER_SERVED):
        raise Refused(path, value, f"a folder that is not the system's ({', '.join(_NEVER_SERVED)})")
    return value


def slugs(paths: t.Iterable[str]) -> list[str]:
    """Return a name for each path that files, zones and variables can have, each another one.

    None is that of the site's rules: a password file of a path /site would be that of the whole site.
    """
    found = [SITE]
    for path in paths:
        base = re.sub(r"[^a-z0-9]+", "_", path.lower())[:_SLUG].strip("_") or "root"
        slug, number = base, 2
        while slug in found:
            slug, number = f"{base}_{number}", number + 1
        found.append(slug)
    return found[1:]


def literally(text: str) -> str:
    """Return a regular expression that matches ``text`` and nothing else, for an unquoted word of nginx."""
    return re.sub(r"([^A-Za-z0-9_/~!@:,=-])", r"\\\1", text)
