# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd allows an application: the sandbox's openings, memory, CPU, processes, files, networks."""

from __future__ import annotations

import typing as t


def normalise_systemd(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what the unit of a slot says, checked and complete.

    :param values: the role's variables, already of the spec's shape
    :raises Refused: naming ``gunicorn_app_…`` with its place
    """
    return {"memory_max": values["gunicorn_app_memory_max"], "cpu_quota": values["gunicorn_app_cpu_quota"]}
