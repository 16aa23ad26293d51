# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which texts are host names that a site may answer to (RFC 1123, wildcards as in RFC 9525)."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")

_ACCEPTED = "a host name such as app.example.com or *.example.com"


def hostname(path: str, value: t.Any, wildcard: bool = True) -> str:
    """Return ``value`` in lower case where it is a host name.

    nginx takes nearly any text for a server name, and then never matches it, or matches too much.

    :param path: the field's place, for the refusal
    :param wildcard: whether ``*`` may stand as the first label
    :raises Refused: naming what exactly is wrong
    """
    if not isinstance(value, str) or not value:
        raise Refused(path, value, _ACCEPTED)
    if not value.isascii():
        raise Refused(path, value, _punycode(path, value))
    name = value.lower()
    if "://" in name:
        raise Refused(path, value, f"{_ACCEPTED}, without a scheme")
    if "/" in name:
        raise Refused(path, value, f"{_ACCEPTED}, without a path")
    if ":" in name:
        raise Refused(path, value, f"{_ACCEPTED}, without a port")
    if name.endswith("."):
        raise Refused(path, value, f"{_ACCEPTED}, without the trailing dot")
    if len(name) > 253:
        raise Refused(path, value, f"a host name of 253 characters at most, this one has {len(name)}")
    labels = name.split(".")
    if labels[0] == "*":
        if not wildcard:
            raise Refused(path, value, "a host name without a wildcard")
        labels = labels[1:]
        if len(labels) < 2:
            raise Refused(path, value, "a wildcard under a domain, such as *.example.com")
    for label in labels:
        _check_label(path, value, label)
    if labels[-1].isdigit():
        raise Refused(path, value, f"{_ACCEPTED}; an address or a number is not a host name")
    return name


def _check_label(path: str, value: str, label: str) -> None:
    if "*" in label:
        raise Refused(path, value, "a wildcard only as the whole first label, such as *.example.com")
    if len(label) > 63:
        raise Refused(path, value, f"labels of 63 characters at most, one has {len(label)}")
    if not _LABEL.fullmatch(label):
        raise Refused(path, value, f"{_ACCEPTED}: letters, digits and hyphens between dots")


def _punycode(path: str, value: str) -> str:
    """Say the ASCII form, where there is exactly one and it is a host name."""
    try:
        ascii_form = hostname(path, value.encode("idna").decode("ascii"))
        # Python knows IDNA of 2003, where some letters became others: straße was strasse, another's name.
        if ascii_form.encode("ascii").decode("idna") == value.lower():
            return f"the name's ASCII form, {ascii_form}"
    except ValueError:
        pass
    return f"{_ACCEPTED}, in ASCII (an international name in punycode)"
