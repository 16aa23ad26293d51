# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of an application, whose values are secrets until somebody says otherwise."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import field

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Set by systemd or by the slot; another value would break the service.
_RESERVED_ENVIRONMENT = (
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "STATE_DIRECTORY",
    "GUNICORN_CMD_ARGS",
)


def normalise_environment(given: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the environment as text. Only names are ever shown: a value may be a secret."""
    environment = {}
    for name, value in given.items():
        path = field("gunicorn_app_env", name)
        if not isinstance(name, str) or not _ENVIRONMENT_NAME.fullmatch(name):
            raise Refused(path, HIDDEN, "a name of letters, digits and underscores that begins with no digit")
        if name in _RESERVED_ENVIRONMENT:
            raise Refused(path, HIDDEN, "a name that systemd and the slot do not set themselves")
        # YAML has already turned 1.10 into 1.1 and yes into true.
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise Refused(path, HIDDEN, "a string or a whole number (quote everything else)")
        text = str(value)
        if any(character in text for character in "\0\n\r"):
            raise Refused(path, HIDDEN, "a value on one line: the environment file cannot hold NUL or a newline")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise Refused(path, HIDDEN, "text that UTF-8 can hold")
        environment[name] = text
    return environment
