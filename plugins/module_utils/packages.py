# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The distribution's packages on a host."""

from __future__ import annotations

import typing as t

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


def absent_packages(run: Run, names: t.Sequence[str]) -> t.List[str]:
    """Return those of the packages that are not installed. Asked of dpkg: apt takes a second to say it."""
    if not names:
        return []
    _code, output, _errors = run(["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Abbrev}\n", *names])
    installed = {line.split()[0] for line in output.splitlines() if line.split()[1:2] == ["ii"]}
    return [name for name in names if name not in installed]
