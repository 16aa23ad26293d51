# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How this collection says no: the field, the offending value, and what would be accepted."""

from __future__ import annotations

import json
import re
import typing as t

#: Stands for a value that must never be printed.
HIDDEN: t.Final = "(hidden)"

_LONGEST = 80
#: The user and password of a URL: `https://user:token@host` keeps only the host.
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"]+@")
#: The hash of a password as /etc/shadow and htpasswd have it, wherever somebody wrote it.
_PASSWORD_HASH = re.compile(r"\$(?:apr1|1|5|6|y|2[abxy]?)\$[A-Za-z0-9./$=,]+|\{S?SHA\}[A-Za-z0-9+/=]+")


def show(value: t.Any) -> str:
    """Return ``value`` as one short printable line, control characters escaped."""
    if value is HIDDEN:
        return HIDDEN
    text = _PASSWORD_HASH.sub("***", _CREDENTIALS.sub("***@", _json(value)))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _json(value: t.Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=True, default=str)
    except (TypeError, ValueError, RecursionError):
        # A key that is no string, a structure inside itself, a number of thousands of digits: the text of
        # Python's own error must not reach a user in place of ours.
        kinds = {dict: "a dictionary", list: "a list", int: "a number"}
        return f"({next((name for kind, name in kinds.items() if isinstance(value, kind)), 'a value')})"


class Refused(ValueError):
    """A value from the inventory that must not reach a host.

    :param path: the field with its place, ``nginx_proxy_sites[2].limits[0].rate``
    :param value: what stood there; pass :data:`HIDDEN` for a secret
    :param accepted: what would be accepted, a phrase that follows "accepted:"
    """

    def __init__(self, path: str, value: t.Any, accepted: str) -> None:
        self.path = path
        self.value = value
        self.accepted = accepted
        super().__init__(f"{path}: {show(value)} is refused; accepted: {accepted}")
