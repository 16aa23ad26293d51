# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owners and modes below a folder, also while somebody else could still be writing there."""

from __future__ import annotations

import os
import stat

_WRITABLE_FOR_OTHERS = 0o022


def give(folder: str, owner: int, group: int, folders_only: bool = False) -> None:
    """Give ``folder`` and what is in it to ``owner``, writable for nobody else.

    Each folder is held open, and is the new owner's before what is in it is looked at: a link that is put there
    meanwhile leads nowhere else.

    :param folders_only: leave the files as they are
    """
    for _path, folders, files, descriptor in os.fwalk(folder):
        os.fchown(descriptor, owner, group)
        _close(descriptor, ".")
        for name in [*folders, *([] if folders_only else files)]:
            os.chown(name, owner, group, dir_fd=descriptor, follow_symlinks=False)
            _close(descriptor, name)


def _close(descriptor: int, name: str) -> None:
    mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
    if mode & _WRITABLE_FOR_OTHERS and not stat.S_ISLNK(mode):
        os.chmod(name, stat.S_IMODE(mode) & ~_WRITABLE_FOR_OTHERS, dir_fd=descriptor)
