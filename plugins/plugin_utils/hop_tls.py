# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutual TLS between proxies and application hosts: what the inventory gives for it, as texts of PEM blocks.

A value is the absolute path of a file on the controller, or its text: by a lookup, which reads files of Vault too.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused

#: Which blocks of a file are taken; a key beside a CA's certificate goes to nobody.
_KINDS = {"ca": "CERTIFICATE", "certificate": "CERTIFICATE", "key": "PRIVATE KEY"}
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")

_VAULT = "$ANSIBLE_VAULT"


class Identity(t.NamedTuple):
    """One end of the hop. ``ca``: who signs the other end's certificates."""

    ca: str
    certificate: str
    key: str

    @property
    def pair(self) -> str:
        """Key and certificates as one file: its halves always belong together."""
        return self.key + self.certificate


def read_identity(path: str, given: t.Mapping[str, t.Any]) -> Identity:
    """Return the texts of ``ca``, ``certificate`` and ``key``.

    :raises Refused: for a file that cannot be read, or that holds nothing of the kind
    """
    return Identity(*(read_part(path, given, key) for key in _KINDS))


def read_part(path: str, given: t.Mapping[str, t.Any], key: str) -> str:
    """Return one of the three texts; see :func:`read_identity`."""
    return _blocks(f"{path}.{key}", given[key], _KINDS[key])


def server_name(path: str, given: t.Mapping[str, t.Any], application: str) -> str:
    """Return the name that the certificates of all hosts of an application have."""
    name = given["name"]
    if name is None:
        return application
    if not _NAME.fullmatch(name):
        raise Refused(f"{path}.name", name, "a host name in lower case, as it is in the certificates")
    return str(name)


def _blocks(path: str, value: str, kind: str) -> str:
    text = value if "-----BEGIN " in value else _read(path, value)
    found = re.findall(rf"-----BEGIN ((?:\w+ )*{kind})-----\n([A-Za-z0-9+/=\s:,-]*?)-----END \1-----", _lines(text))
    if not found:
        what = "a private key" if kind == "PRIVATE KEY" else "certificates"
        raise Refused(path, _shown(value), f"{what} in PEM form, as a file of the controller or as text")
    return "".join(f"-----BEGIN {label}-----\n{body}-----END {label}-----\n" for label, body in found)


def _read(path: str, value: str) -> str:
    if not os.path.isabs(value):
        # May be a key that somebody has put there in another form.
        raise Refused(path, HIDDEN, "the absolute path of a PEM file on the controller, or its text")
    try:
        with open(value, encoding="ascii", errors="replace") as stream:
            text = stream.read()
    except OSError as error:
        raise Refused(path, value, f"a file that the controller can read ({error.strerror})") from None
    if text.startswith(_VAULT):
        raise Refused(path, value, "its text by lookup('ansible.builtin.file', …), which asks Vault; not the path")
    return text


def _lines(text: str) -> str:
    return "".join(f"{line.strip()}\n" for line in text.splitlines())


def _shown(value: str) -> str:
    return value if os.path.isabs(value) else HIDDEN
