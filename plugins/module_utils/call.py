# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module was called, for what does its work elsewhere."""

from __future__ import annotations

import typing as t

Run = t.Callable[..., t.Tuple[int, str, str]]
Result = t.Dict[str, t.Any]


class Call(t.NamedTuple):
    """``run`` executes a command and returns its exit code, output and errors."""

    params: t.Mapping[str, t.Any]
    check_mode: bool
    run: Run
    warn: t.Callable[[str], None]
