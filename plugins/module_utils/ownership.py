# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owners and modes below a folder, also while somebody else could still be writing there."""

from __future__ import annotations

import errno
import os
import stat

_WRITABLE_FOR_OTHERS = 0o022


class NotOurs(OSError):
    """A file below the folder is one of the host's, under a second name."""


def give(folder: str, owner: int, group: int, maker: int, folders_only: bool = False) -> None:
    """Give ``folder`` and what is in it to ``owner``, writable for nobody else.

    Each folder is held open, and is the new owner's before what is in it is looked at: a link that is put there
    meanwhile leads nowhere else.

    :param maker: user that all of it was made by. A file with several names that is another's may be one of the host's:
        whether users can make such hard links is up to the kernel's settings (fs.protected_hardlinks).
    :param folders_only: leave the files as they are
    :raises NotOurs: before that file is touched
    """
    for path, folders, files, descriptor in os.fwalk(folder):
        os.fchown(descriptor, owner, group)
        _close(descriptor, ".")
        for name in [*folders, *([] if folders_only else files)]:
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            # What releases share has several names as well, and is as it shall be.
            kept = found.st_uid == maker or (found.st_uid, found.st_gid) == (owner, group)
            if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode) and not kept:
                raise NotOurs(errno.EPERM, "it has a second name and another owner", os.path.join(path, name))
            os.chown(name, owner, group, dir_fd=descriptor, follow_symlinks=False)
            _close(descriptor, name)


def _close(descriptor: int, name: str) -> None:
    mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
    if mode & _WRITABLE_FOR_OTHERS and not stat.S_ISLNK(mode):
        os.chmod(name, stat.S_IMODE(mode) & ~_WRITABLE_FOR_OTHERS, dir_fd=descriptor)
