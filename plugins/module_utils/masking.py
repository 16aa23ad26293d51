# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application's own words must not show: the values of its environment that are secrets by their names."""

from __future__ import annotations

import re
import typing as t

_SECRET_NAME = re.compile(r"AUTH|CRED|DSN|KEY|PASS|PRIVATE|PWD|SALT|SECRET|SIGN|TOKEN|URI|URL", re.IGNORECASE)
_LINE = re.compile(r'^([A-Za-z_][A-Za-z0-9_]*)="(.*)"$', re.MULTILINE)
_ESCAPED = re.compile(r'\\([\\"`$])')
#: The part of a URL that is secret; a program often prints the rest of it alone.
_PASSWORD = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")

#: Shorter ones are found in ordinary words.
_SHORTEST = 6

HIDDEN = "***"


def secrets_in(environment: str) -> t.List[str]:
    """Return the values of an environment file that its names call secret, the longest first."""
    found: t.Set[str] = set()
    for name, quoted in _LINE.findall(environment):
        value = _ESCAPED.sub(r"\1", quoted)
        if _SECRET_NAME.search(name):
            found.update((value, quoted))
        found.update(_PASSWORD.findall(value))
    return sorted((value for value in found if len(value) >= _SHORTEST), key=len, reverse=True)


def without_secrets(text: str, secrets: t.Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text
