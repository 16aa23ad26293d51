# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release has to publish, what lies published, and the steps on the disk between the two."""

from __future__ import annotations

import ctypes
import os
import stat
import typing as t

_FILE = stat.S_IFREG | 0o644
_FOLDER = stat.S_IFDIR | 0o755

#: Bytes to read at a time.
_PART = 2**18


class Tree(t.NamedTuple):
    """``files``: the name to publish by, to where the content is. ``folders``: those above them.

    ``trouble``: a link in it that must not be published.
    """

    files: t.Dict[str, str]
    folders: t.Set[str]
    trouble: t.Optional[str] = None


def files_of(app: str, folder: str, name: str) -> Tree:
    """Return what ``folder`` in ``app`` has to publish as ``name``, links followed.

    Hidden files are left out (``.git``, ``.env``): the role's nginx refuses them, so that nobody would see them there
    but other users of the host. ``.well-known`` is none.
    """
    source = os.path.realpath(app)
    top = os.path.realpath(os.path.join(app, folder))
    files: t.Dict[str, str] = {}
    trouble = None if _is_inside(top, source) else "{0} leads out of the source".format(_shown(folder))
    # Each with the real folders that it was reached through: a link to one of them has no end.
    rest: t.List[t.Tuple[str, str, t.Tuple[str, ...]]] = []
    if not trouble and os.path.isdir(top):
        rest.append((name, top, (top,)))
    while rest:
        prefix, path, trail = rest.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") and entry.name != ".well-known":
                    continue
                published = prefix + "/" + entry.name
                # The entry's own is_dir() fails for a link to itself; os.path.isdir() costs a call to the system.
                linked = entry.is_symlink()
                real = os.path.realpath(entry.path) if linked else entry.path
                wrong = None if _is_inside(real, source) else "out of the source"
                if os.path.isdir(real) if linked else entry.is_dir():
                    wrong = wrong or ("back to a folder that it is in" if real in trail else None)
                    if not wrong:
                        rest.append((published, real, (*trail, real)))
                elif not wrong and (os.path.isfile(real) if linked else entry.is_file()):
                    files[published] = real
                if wrong and not trouble:
                    trouble = "{0} leads {1}".format(_shown(os.path.relpath(entry.path, source)), wrong)
    return merged([Tree(files, set())])._replace(trouble=trouble)


def tree_of(folder: str, name: str) -> Tree:
    """Return all that lies in the published ``folder``, hidden and empty as well. No link is followed."""
    tree = Tree({}, set())
    rest = [(name, folder)] if os.path.isdir(folder) and not os.path.islink(folder) else []
    while rest:
        prefix, path = rest.pop()
        tree.folders.add(prefix)
        with os.scandir(path) as entries:
            for entry in entries:
                published = prefix + "/" + entry.name
                if entry.is_dir(follow_symlinks=False):
                    rest.append((published, entry.path))
                else:
                    tree.files[published] = entry.path
    return tree


def merged(trees: t.Iterable[Tree]) -> Tree:
    """Return the files of all ``trees``; of those with one name, or with one's name for its folder, the first."""
    found = Tree({}, set())
    above: t.Dict[str, t.List[str]] = {}
    for tree in trees:
        for name, path in tree.files.items():
            folder = os.path.dirname(name)
            if folder not in above:
                above[folder] = parents_of(name)
            if name in found.files or name in found.folders or any(each in found.files for each in above[folder]):
                continue
            found.files[name] = path
            found.folders.update(above[folder])
    return found


def parents_of(name: str) -> t.List[str]:
    """Return the folders above ``name``, the highest first."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def same_file(source: str, published: str) -> bool:
    """Return whether ``published`` is as :func:`copy_file` would make it of ``source``."""
    try:
        found = os.lstat(published)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if found.st_mode != _FILE or found.st_uid != os.geteuid() or found.st_size != os.stat(source).st_size:
        return False
    with open(source, "rb") as one, open(published, "rb") as other:
        while True:
            part = one.read(_PART)
            if part != other.read(_PART):
                return False
            if not part:
                return True


def untouched(path: str, since: int) -> bool:
    """Return whether a file was not changed after ``since``, in nanoseconds, or a folder is as it is made."""
    found = os.lstat(path)
    return found.st_mode == _FOLDER or (found.st_mode == _FILE and found.st_ctime_ns <= since)


def copy_file(source: str, target: str) -> None:
    """Copy a file, readable by everybody.

    Its time is that of the copy. Those of a release say nothing (an archive has none), and nginx makes a file's ETag
    of time and size: a browser would keep the old content under the new name.
    """
    # Python's own streams take three times as long, which shows where there are ten thousand files.
    reader = os.open(source, os.O_RDONLY)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            part = os.read(reader, _PART)
            while part:
                part = part[os.write(writer, part) :] or os.read(reader, _PART)
            # Whatever the umask said.
            os.fchmod(writer, 0o644)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def is_open(folder: str) -> bool:
    return os.lstat(folder).st_mode == _FOLDER


def open_folder(folder: str) -> None:
    """Let nginx enter the folder, whatever the umask, and the bits of the folder above, said."""
    os.chown(folder, os.geteuid(), os.getegid())
    os.chmod(folder, 0o755)


def make_folder(path: str) -> None:
    """Make a folder that nginx can enter, and those above. One that is there is somebody's, and stays as it is."""
    if not os.path.isdir(path):
        make_folder(os.path.dirname(path))
        os.mkdir(path)
        open_folder(path)


def sync_disk(folder: str) -> None:
    """Make everything on the disk of ``folder`` durable: much faster than file by file, and no other disk's business.

    :raises OSError: also for what was written before and did not reach the disk
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Python has os.sync() alone, which waits for every disk, a lost network share among them.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), folder)
    finally:
        os.close(descriptor)


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
