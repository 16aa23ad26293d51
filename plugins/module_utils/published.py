# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static files of an application's releases, where nginx can read them: releases are closed to it.

The files of all kept releases lie in one folder, so that a page that is already in a browser finds its assets after a
switch. A file comes into its place by a rename, whole; nginx goes on sending one that it has open.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import naming, read_text, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.published_files import (
    Tree,
    copy_file,
    files_of,
    is_open,
    make_folder,
    merged,
    open_folder,
    parents_of,
    same_file,
    sync_disk,
    tree_of,
    untouched,
)


class Published:
    """The folders below ``root``/``name`` that hold the ``static`` of the application ``name``.

    An ``app`` is the folder of a release with its source. What is in these folders and in no release that a method is
    told of goes with :meth:`settle`: they are the role's own.

    :param static: ``folder`` in the source and ``as``, the name that it is published by
    """

    def __init__(self, name: str, static: t.Sequence[t.Mapping[str, str]], root: str = "/var/www") -> None:
        self.folder = os.path.join(root, name)
        self._static = [(item["folder"], item["as"]) for item in static]
        # Closed to nginx, and on the disk that the files are renamed to.
        self._own = os.path.join(self.folder, ".asgi-deploy")
        self._new = os.path.join(self._own, "new")

    def problem(self, app: str) -> t.Optional[str]:
        """Return why ``app`` cannot be published, or None."""
        for index, (folder, name) in enumerate(self._static):
            path = "gunicorn_app_static[{0}]".format(index)
            if not os.path.isdir(os.path.join(app, folder)):
                return "{0}.folder: the release has no folder {1}".format(path, folder)
            trouble = files_of(app, folder, name).trouble
            if trouble:
                return "{0}.folder: {1}".format(path, trouble)
            if self._is_foreign(name):
                return "{0}.as: {1} is there already and is not of this role; move it, or choose another name".format(
                    path, os.path.join(self.folder, name)
                )
        return None

    def add(self, app: str) -> None:
        """Add those files of ``app`` whose names are still free. What is there stays as it is, so this can be early.

        :raises OSError: and nothing was added
        """
        if not self._static:
            return
        before = self._there()
        try:
            self._begin()
            both = merged([before, self._files(app)])
            new = {
                name: path
                for name, path in both.files.items()
                if name not in before.files and name not in before.folders
            }
            self._place(self._staged(new))
            sync_disk(self.folder)
        except BaseException:
            self._drop(set(self._there().files) - set(before.files))
            self._remove_empty(before.folders)
            self._forget_absent()
            raise
        finally:
            shutil.rmtree(self._new, ignore_errors=True)

    def settle(self, app: str, others: t.Sequence[str]) -> bool:
        """Make the files those of ``app``, then those that only ``others`` have, and no more.

        :param others: of the other kept releases, newest first
        :returns: whether anything that nginx can see was changed
        :raises OSError: and what was there is still there, or a part of it is replaced and the next call goes on
        """
        if not self._static:
            return self.remove()
        self._begin()
        wanted, there = self._wanted(app, others), self._there()
        due = {name: path for name, path in wanted.files.items() if not same_file(path, self._path(name))}
        surplus = set(there.files) - set(wanted.files)
        gone = set(self._folders()) - {name for _folder, name in self._static}
        try:
            self._place(self._staged(due))
            self._drop(surplus)
            for name in gone:
                self._move_aside(self._path(name))
            self._remove_empty(wanted.folders)
            mended = self._mend_folders()
            sync_disk(self.folder)
        finally:
            shutil.rmtree(self._new, ignore_errors=True)
        self._write("folders.json", [name for _folder, name in self._static])
        # Last: whatever is changed from now on is younger than this file.
        self._write("settled.json", self._state(app, others))
        return bool(due or surplus or gone or mended)

    def is_settled(self, app: str, others: t.Sequence[str]) -> bool:
        """Return whether :meth:`settle` with the same arguments would change nothing. Reads no file's content."""
        if not self._static:
            return not os.path.lexists(self._own)
        if self._read("settled.json") != self._state(app, others):
            return False
        wanted, there = self._wanted(app, others), self._there()
        since = os.stat(os.path.join(self._own, "settled.json")).st_mtime_ns
        return set(wanted.files) == set(there.files) and all(
            untouched(os.path.join(self.folder, name), since) for name in [*there.files, *there.folders]
        )

    def withdraw(self, app: str, others: t.Sequence[str]) -> None:
        """Undo :meth:`add` for a release that did not become live.

        :param others: of all releases that stay, the live one first
        """
        if not self._static or not os.path.isdir(self._own):
            return
        kept = [self._files(other) for other in others]
        self._drop(name for name in self._files(app).files if not any(name in tree.files for tree in kept))
        self._remove_empty({folder for tree in kept for folder in tree.folders} | set(self._names_of(others)))
        self._forget_absent()

    def remove(self) -> bool:
        """Remove all that was published. Somebody else's files beside it stay."""
        if not os.path.lexists(self._own):
            return False
        for name in self._folders():
            path = self._path(name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
        # Last: without it nobody knows that the rest is ours.
        shutil.rmtree(self._own)
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)
        return True

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _files(self, app: str) -> Tree:
        return merged(files_of(app, folder, name) for folder, name in self._static)

    def _wanted(self, app: str, others: t.Sequence[str]) -> Tree:
        wanted = merged(self._files(each) for each in [app, *others])
        # Also where it is empty: nginx would log an error for each request below a folder that is not there.
        wanted.folders.update(name for _folder, name in self._static)
        return wanted

    def _there(self) -> Tree:
        trees = [tree_of(self._path(name), name) for _folder, name in self._static]
        files = {name: path for tree in trees for name, path in tree.files.items()}
        return Tree(files, {folder for tree in trees for folder in tree.folders})

    def _names_of(self, apps: t.Sequence[str]) -> t.List[str]:
        return [name for folder, name in self._static if any(os.path.isdir(os.path.join(app, folder)) for app in apps)]

    def _state(self, app: str, others: t.Sequence[str]) -> t.Dict[str, t.Any]:
        static = [list(item) for item in self._static]
        return {"app": app, "others": [each for each in others if self._names_of([each])], "static": static}

    def _is_foreign(self, name: str) -> bool:
        path = self._path(name)
        if os.path.islink(path) or not os.path.isdir(path):
            return os.path.lexists(path)
        return name not in self._folders() and bool(os.listdir(path))

    def _folders(self) -> t.List[str]:
        return self._read("folders.json") or []

    def _read(self, name: str) -> t.Any:
        text = read_text(os.path.join(self._own, name))
        return None if text is None else json.loads(text)

    def _write(self, name: str, content: t.Any) -> None:
        write_file(os.path.join(self._own, name), json.dumps(content) + "\n")

    def _begin(self) -> None:
        """Make the folders, and say that they are ours before they are there. Removes what a killed run has staged."""
        for _folder, name in self._static:
            if self._is_foreign(name):
                raise FileExistsError(errno.EEXIST, "This is not of this role", self._path(name))
        make_folder(self.folder)
        if not os.path.isdir(self._own):
            os.mkdir(self._own, 0o700)
        if os.path.isdir(self._new):
            shutil.rmtree(self._new)
        os.mkdir(self._new, 0o700)
        known = self._folders()
        names = [name for _folder, name in self._static if name not in known]
        if names:
            self._write("folders.json", known + names)
        for _folder, name in self._static:
            make_folder(self._path(name))

    def _staged(self, files: t.Mapping[str, str]) -> t.Dict[str, str]:
        """Copy ``files`` to where nginx does not see them, durably. Returns where each is."""
        staged = {name: os.path.join(self._new, str(number)) for number, name in enumerate(files)}
        for name, path in staged.items():
            with naming(self._path(name)):
                copy_file(files[name], path)
        if staged:
            sync_disk(self.folder)
        return staged

    def _place(self, staged: t.Mapping[str, str]) -> None:
        """Rename the files to their places, also where there was a folder, or a file in place of one."""
        for folder in sorted({folder for name in staged for folder in parents_of(name)}):
            path = self._path(folder)
            if os.path.islink(path) or not os.path.isdir(path):
                if os.path.lexists(path):
                    os.unlink(path)
                make_folder(path)
        for name, path in staged.items():
            try:
                os.replace(path, self._path(name))
            except IsADirectoryError:
                self._move_aside(self._path(name))
                os.replace(path, self._path(name))

    def _move_aside(self, path: str) -> None:
        """Take a folder out of nginx's sight at once; it goes with what is staged."""
        if os.path.isdir(path) and not os.path.islink(path):
            os.replace(path, tempfile.mkdtemp(dir=self._new))

    def _drop(self, names: t.Iterable[str]) -> None:
        for name in names:
            # One above may have become a file, or the file itself a folder.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                os.unlink(self._path(name))

    def _forget_absent(self) -> None:
        """What somebody else makes by the name of a folder that is gone is not ours."""
        left = [name for name in self._folders() if os.path.isdir(self._path(name))]
        if not left:
            self.remove()
        elif left != self._folders():
            self._write("folders.json", left)

    def _remove_empty(self, keep: t.Collection[str]) -> None:
        for name in sorted(self._there().folders - set(keep), reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(self._path(name))

    def _mend_folders(self) -> bool:
        closed = [path for path in map(self._path, self._there().folders) if not is_open(path)]
        for path in closed:
            open_folder(path)
        return bool(closed)
