# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private keys of certbot's that others than root can read: a backup that was restored without modes leaves them so."""

from __future__ import annotations

import glob
import os
import stat
import typing as t

HOME = "/etc/letsencrypt"

_KEYS = ("archive/*/privkey*.pem", "keys/*.pem", "accounts/**/private_key.json")

#: A group may be somebody's choice, for a service that reads keys itself; certbot keeps it from key to key.
_OTHERS = stat.S_IRWXO


def exposed_keys(home: str = HOME, owner: int = 0) -> t.List[str]:
    """Return the keys that belong to another user, or that anybody may read. :param owner: root's id"""
    found = [path for kind in _KEYS for path in glob.glob(os.path.join(glob.escape(home), kind), recursive=True)]
    return sorted(path for path in found if _is_exposed(path, owner))


def protect(paths: t.Iterable[str], owner: int = 0) -> None:
    for path in paths:
        # The owner first: who owns a file could open it again.
        os.chown(path, owner, -1)
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) & ~_OTHERS)


def _is_exposed(path: str, owner: int) -> bool:
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and (status.st_uid != owner or bool(status.st_mode & _OTHERS))
