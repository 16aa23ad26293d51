# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a module keeps on its host: absolute path to ``text`` and ``mode``."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, write_file

Files = t.Mapping[str, t.Mapping[str, str]]


def stale_files(files: Files) -> Files:
    """Return those that are not on the host as they should be."""
    return {
        path: wanted
        for path, wanted in files.items()
        if read_text(path) != wanted["text"] or _mode_of(path) != int(wanted["mode"], 8)
    }


def write_files(files: Files) -> None:
    for path, wanted in files.items():
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        write_file(path, wanted["text"], int(wanted["mode"], 8))


def of_systemd(files: t.Iterable[str]) -> bool:
    """Return whether one of the files is systemd's, which has to be told of it."""
    return any(path.startswith("/etc/systemd/") for path in files)


def _mode_of(path: str) -> int:
    return os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0
