# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file /etc/nginx/nginx.conf, which is somebody else's before the first run, and what it had nginx serve."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import re
import shutil
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, sync_folder, write_file

ENTRY = "/etc/nginx/nginx.conf"

#: Stands in each file of ours.
MARK = "asgi.deploy"

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]

#: Where Debian's nginx.conf looks for sites; asked for where nginx cannot tell, since its configuration is broken.
_USUAL = ("/etc/nginx/conf.d/*.conf", "/etc/nginx/sites-enabled/*")

_INCLUDE = re.compile(r"^\s*include\s+(/[^;]+);", re.MULTILINE)
_LISTED = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
_NAMES = re.compile(r"(?:^|[\s;{])server_name\s+([^;]+);")
_SERVER = re.compile(r"(?:^|[\s;}])server\s*\{")
_COMMENT = re.compile(r"(?:^|\s)#.*")


class Entry:
    """:param text: what the file has to say :param home: a folder on the same file system, for what it said before"""

    def __init__(self, text: str, home: str, path: str = ENTRY) -> None:
        self.text = text
        self.path = path
        self._home = home
        self._aside = os.path.join(home, ".nginx.conf.aside")
        self.live = read_text(path)

    def differs(self) -> bool:
        return self.live != self.text

    def is_foreign(self) -> bool:
        return self.live is not None and MARK not in self.live

    def put(self) -> None:
        """Write our text. Until :meth:`settle`, :meth:`put_back` brings the very file back that was there."""
        if not self.differs():
            return
        if self.is_foreign():
            self._keep()
        if self.live is not None:
            if os.path.lexists(self._aside):
                os.unlink(self._aside)
            # A second name of the same file: owner, mode and all, and of a link the link itself.
            os.link(self.path, self._aside, follow_symlinks=False)
            sync_folder(self._home)
        write_file(self.path, self.text)

    def is_aside(self) -> bool:
        """Return whether there is a file that nginx was started with, and ours was never confirmed."""
        return os.path.lexists(self._aside)

    def put_back(self) -> None:
        if self.is_aside():
            os.replace(self._aside, self.path)
            sync_folder(os.path.dirname(self.path))

    def settle(self) -> None:
        if self.is_aside():
            os.unlink(self._aside)

    def _keep(self) -> None:
        """Copy a hand-made file to where its owner finds it, and never over one that is kept already."""
        kept = os.path.join(self._home, "nginx.conf.before")
        number = 1
        while os.path.exists(kept) and read_text(kept) != self.live:
            number += 1
            kept = os.path.join(self._home, "nginx.conf.before.{0}".format(number))
        if not os.path.exists(kept):
            shutil.copy2(self.path, kept + ".new")
            os.replace(kept + ".new", kept)


class Found(t.NamedTuple):
    """A file that nginx reads now and will not any more, and the names it serves."""

    path: str
    names: t.List[str]


def find_served(run: Run, listing: t.Optional[str], files: t.Mapping[str, str], path: str = ENTRY) -> t.List[Found]:
    """Return what a hand-made configuration serves that ``files`` no longer include: nothing of an untouched package.

    :param listing: all that nginx reads now, None where it cannot
    :param files: the new tree
    """
    if listing is not None:
        listed = _LISTED.findall(listing)
    else:
        listed = [path, *(name for pattern in _USUAL for name in sorted(glob.glob(pattern)))]
    included = [pattern.strip() for text in files.values() for pattern in _INCLUDE.findall(text)]
    packaged = _packaged(run)
    found = []
    for name in dict.fromkeys(listed):
        text = _COMMENT.sub("", read_text(name) or "")
        if not text or any(fnmatch.fnmatch(name, pattern) for pattern in included):
            continue
        if packaged.get(os.path.realpath(name)) == _digest(os.path.realpath(name)):
            continue
        names = [one for group in _NAMES.findall(text) for one in group.split()]
        if names or _SERVER.search(text) or name == path:
            found.append(Found(name, list(dict.fromkeys(names))))
    return found


def adoption_notice(host: str, found: t.Sequence[Found], home: str, path: str = ENTRY) -> t.Optional[str]:
    """Say in one line what the first run found, or None where there was nothing of anybody's."""
    if not found:
        return None
    places = [
        "{0} ({1})".format(one.path, ", ".join(one.names) if one.names else "no server_name")
        for one in found
        if one.path != path or one.names
    ]
    parts = ["{0}: nginx has a configuration that this collection did not make.".format(host)]
    if any(one.path == path for one in found):
        parts.append("Its {0} is kept as {1}/nginx.conf.before.".format(path, home))
    if places:
        parts.append("Left as they are, and not part of what this run puts live: {0}.".format("; ".join(places)))
        example = next((one.path for one in found if one.path != path), "/etc/nginx/conf.d/*.conf")
        parts.append('To go on including a file: nginx_proxy_includes: ["{0}"].'.format(example))
    return " ".join(parts)


def _packaged(run: Run) -> t.Dict[str, str]:
    """Return the files of nginx's packages that may be edited, path to the digest of the packages' own text."""
    _code, output, _errors = run(["dpkg-query", "--show", "--showformat=${Conffiles}\n", "nginx*", "libnginx-mod-*"])
    words = [line.split() for line in output.splitlines()]
    return {word[0]: word[1] for word in words if len(word) >= 2}


def _digest(path: str) -> t.Optional[str]:
    try:
        with open(path, "rb") as stream:
            # What dpkg writes down; nothing is protected by it.
            return hashlib.new("md5", stream.read(), usedforsecurity=False).hexdigest()
    except OSError:
        return None
