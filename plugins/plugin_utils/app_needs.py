# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What applications need of their host before a release can be built."""

from __future__ import annotations

import typing as t


def packages(applications: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the distribution's packages that the releases of these applications are built with."""
    sources = [application["source"] for application in applications]
    wanted = {
        "python3-venv": bool(applications),
        "git": any(source["type"] == "git" for source in sources),
        "gpg": any(source.get("signed_by") for source in sources),
    }
    return [name for name, needed in wanted.items() if needed]
