# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths on a host: which texts are safe ones, and where the roles meet."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

_ABSOLUTE = re.compile(r"(?:/[A-Za-z0-9._@+-]+)+")


def app_root(name: str) -> str:
    """Return the folder of an application: its releases, its slots and its live socket."""
    return f"/opt/{name}"


def app_socket(name: str) -> str:
    """Return the socket by which nginx reaches an application: a symlink to that of the live slot."""
    return f"{app_root(name)}/current.sock"


def absolute_path(path: str, value: t.Any) -> str:
    """Return ``value`` where it is an absolute path that any configuration file can hold unquoted.

    :param path: the field's place, for the refusal
    :raises Refused: for a relative path, ``..``, a trailing slash, white space or a character with a meaning
    """
    if not isinstance(value, str) or not _ABSOLUTE.fullmatch(value):
        raise Refused(path, value, "an absolute path of letters, digits and . _ @ + -, no slash at its end")
    if ".." in value.split("/"):
        raise Refused(path, value, "an absolute path without '..'")
    return value
