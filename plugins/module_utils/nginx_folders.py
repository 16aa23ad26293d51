# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that nginx needs before it starts, and log files that it can write."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
import typing as t

LOGS = "/var/log/nginx"

#: Debian's nginx runs its workers as this user, and lets this group read the logs.
USER, LOG_GROUP = "www-data", "adm"


def worker_user() -> pwd.struct_passwd:
    """:raises ValueError: where nginx's workers have no user: a hardened or a minimal host may have removed it"""
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        raise ValueError(
            "this host has no user {0}, which nginx's workers run as; accepted: a host where the package base-passwd "
            "has made it (update-passwd)".format(USER)
        ) from None


def due_folders(folders: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[t.Mapping[str, t.Any]]:
    """Return those that are absent, or that nginx's workers cannot enter: a file in there has no effect then."""
    return [item for item in folders if not os.path.isdir(item["path"]) or _is_locked(item["path"])]


def make_folders(folders: t.Sequence[t.Mapping[str, t.Any]]) -> bool:
    """Make those that are absent, and open the others to nginx's workers. Returns whether there was anything to do.

    One that is there keeps the owner it has.
    """
    due = due_folders(folders)
    for item in due:
        if not os.path.isdir(item["path"]):
            os.makedirs(item["path"], mode=0o755, exist_ok=True)
            user = pwd.getpwnam(item["owner"])
            os.chown(item["path"], user.pw_uid, user.pw_gid)
        os.chmod(item["path"], int(item["mode"], 8))
    return bool(due)


def _is_locked(path: str) -> bool:
    user, status = worker_user(), os.stat(path)
    if status.st_uid == user.pw_uid:
        return not status.st_mode & stat.S_IXUSR
    return not status.st_mode & (stat.S_IXGRP if status.st_gid == user.pw_gid else stat.S_IXOTH)


def heal_logs(folder: str = LOGS, change: bool = True) -> bool:
    """Let the workers reopen their logs after a rotation. Returns whether there was, or would be, anything to do.

    A log file that the master made belongs to root and is for everybody's eyes until its first rotation; a folder
    that the workers cannot enter loses every line after it.
    """
    user, group = worker_user().pw_uid, grp.getgrnam(LOG_GROUP).gr_gid
    due = False
    if not os.path.isdir(folder):
        due = True
        if not change:
            return True
        os.makedirs(folder, mode=0o755)
        os.chown(folder, 0, group)
    status = os.stat(folder)
    if not status.st_mode & stat.S_IXOTH and status.st_uid != user:
        due = True
        if change:
            os.chmod(folder, 0o755)
    for name in os.listdir(folder):
        if name.endswith(".log"):
            due = _heal_log(os.path.join(folder, name), user, group, change) or due
    return due


def _heal_log(path: str, user: int, group: int, change: bool) -> bool:
    try:
        # Whoever may write to the folder could have put a link there, to have a file of root's given away.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOENT, errno.ENXIO):
            return False
        raise
    try:
        status = os.fstat(descriptor)
        right = status.st_uid == user and status.st_mode & stat.S_IWUSR
        if right or not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return False
        if change:
            os.fchown(descriptor, user, group)
            os.fchmod(descriptor, 0o640)
        return True
    finally:
        os.close(descriptor)
