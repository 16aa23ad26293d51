# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a module keeps on its host: absolute path to ``text``, ``mode`` and, of a secret, the ``group`` for it."""

from __future__ import annotations

import grp
import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, write_file

HIDDEN = "(hidden)\n"
HIDDEN_CHANGED = "(hidden, and other than before)\n"

Files = t.Mapping[str, t.Mapping[str, str]]


def stale_files(files: Files) -> Files:
    """Return those that are not on the host as they should be."""
    return {
        path: wanted
        for path, wanted in files.items()
        if read_text(path) != wanted["text"] or _mode_of(path) != int(wanted["mode"], 8) or _is_others(path, wanted)
    }


def write_files(files: Files) -> None:
    for path, wanted in files.items():
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        group = grp.getgrnam(wanted["group"]).gr_gid if "group" in wanted else -1
        write_file(path, wanted["text"], int(wanted["mode"], 8), group)


def shown(files: Files) -> t.Dict[str, str]:
    """Return the texts for ``--diff``; of a secret one is shown whether it differs, and nothing else."""
    return {
        path: (HIDDEN if read_text(path) == wanted["text"] else HIDDEN_CHANGED) if "group" in wanted else wanted["text"]
        for path, wanted in files.items()
    }


def shown_before(files: Files) -> t.Dict[str, t.Optional[str]]:
    """Return what the host has of these files, for ``--diff``."""
    found = {path: read_text(path) for path in files}
    return {path: HIDDEN if text and "group" in files[path] else text for path, text in found.items()}


def of_systemd(files: t.Iterable[str]) -> bool:
    """Return whether one of the files is systemd's, which has to be told of it."""
    return any(path.startswith("/etc/systemd/") for path in files)


def _is_others(path: str, wanted: t.Mapping[str, str]) -> bool:
    """Return whether a secret's file belongs to another group, or that is not there yet."""
    try:
        return "group" in wanted and os.stat(path).st_gid != grp.getgrnam(wanted["group"]).gr_gid
    except (KeyError, FileNotFoundError):
        return True


def _mode_of(path: str) -> int:
    return os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0
