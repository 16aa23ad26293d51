# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that the parts of an application's normaliser share."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.values import integer


def app_integer(values: t.Mapping[str, t.Any], name: str, least: int, most: int) -> int:
    """Return the variable ``gunicorn_app_<name>`` where it is a whole number between the two.

    :raises Refused: naming it
    """
    return integer(f"gunicorn_app_{name}", values[f"gunicorn_app_{name}"], least, most)
