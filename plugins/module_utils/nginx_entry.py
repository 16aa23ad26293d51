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

#: Files of packages that no administrator edits, such as those that load modules.
_SHARED = "/usr/share/"

_INCLUDE = re.compile(r"(?:^|[\s;{}])include\s+[\"']?([^;\"']+?)[\"']?\s*;")
_LISTED = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
_NAMES = re.compile(r"""(?:^|[\s;{])server_name\s+((?:"[^"]*"|'[^']*'|[^;"'])+);""")
_NAME = re.compile(r"""\"([^"]*)"|'([^']*)'|(\S+)""")
_COMMENT = re.compile(r"(?:^|\s)#.*")


class Entry:
    """:param text: what the file has to say :param home: a folder on the same file system, for what it said before"""

    def __init__(self, text: str, home: str, path: str = ENTRY) -> None:
        self.text = text
        self.path = path
        self.home = home
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
            sync_folder(self.home)
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

    def kept_as(self) -> str:
        """Return where a hand-made file is copied to for its owner: never over one that is kept already."""
        first = kept = os.path.join(self.home, "nginx.conf.before")
        number = 1
        while os.path.exists(kept) and read_text(kept) != self.live:
            number += 1
            kept = "{0}.{1}".format(first, number)
        return kept

    def _keep(self) -> None:
        kept = self.kept_as()
        if not os.path.exists(kept):
            shutil.copy2(self.path, kept + ".new")
            os.replace(kept + ".new", kept)


class Found(t.NamedTuple):
    """A file that nginx reads now and will not any more, and the names it serves."""

    path: str
    names: t.List[str]


def find_served(run: Run, listing: t.Optional[str], files: t.Mapping[str, str], entry: Entry) -> t.List[Found]:
    """Return the files of a hand-made configuration that ``files`` no longer include: nothing of an untouched package.

    Also those without a server: another one may need what they define.

    :param listing: all that nginx reads now, None where it cannot
    :param files: the new tree
    """
    if listing is not None:
        listed = _LISTED.findall(listing)
    else:
        listed = [entry.path, *(name for pattern in _USUAL for name in sorted(glob.glob(pattern)))]
    texts = {name: _COMMENT.sub("", read_text(name) or "") for name in listed}
    goes_on = _still_included(entry.path, files, texts)
    packaged = _packaged(run)
    found = []
    for name, text in texts.items():
        real = os.path.realpath(name)
        # A file of ours whose first line a hand removed still is ours in all the others.
        ours = name.startswith(entry.home + "/")
        untouched = real.startswith(_SHARED) or packaged.get(real) == _digest(real)
        if not text.strip() or name in goes_on or ours or untouched:
            continue
        names = ["".join(parts) for group in _NAMES.findall(text) for parts in _NAME.findall(group)]
        found.append(Found(name, list(dict.fromkeys(names))))
    return found


def _still_included(entry: str, files: t.Mapping[str, str], texts: t.Mapping[str, str]) -> t.Set[str]:
    """Return those of the files ``texts`` that the new tree ``files`` includes, or a file that it includes."""
    found: t.Set[str] = set()
    new = list(files.values())
    while new:
        # nginx takes a relative name from the folder of its entry.
        patterns = [os.path.join(os.path.dirname(entry), pattern) for text in new for pattern in _INCLUDE.findall(text)]
        names = {
            name
            for name in texts
            if name not in found and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        }
        found |= names
        new = [texts[name] for name in names]
    return found


def adoption_notice(host: str, found: t.Sequence[Found], entry: Entry) -> t.Optional[str]:
    """Say in one line what the first run found, or None where there was nothing of anybody's."""
    if not found:
        return None
    path = entry.path
    places = [
        "{0} ({1})".format(one.path, ", ".join(map(_quoted, one.names)) if one.names else "no server_name")
        for one in found
        if one.path != path or one.names
    ]
    parts = ["{0}: nginx has a configuration that this collection did not make.".format(host)]
    if any(one.path == path for one in found):
        parts.append("Its {0} is kept as {1}.".format(path, entry.kept_as()))
    if places:
        parts.append("Left as they are, and not part of what this run puts live: {0}.".format("; ".join(places)))
        others = [one for one in found if one.path != path]
        example = next((one.path for one in [one for one in others if one.names] + others), "/etc/nginx/conf.d/*.conf")
        parts.append('To go on including a file: nginx_proxy_includes: ["{0}"].'.format(example))
    return " ".join(parts)


def _quoted(name: str) -> str:
    return '"{0}"'.format(name) if re.search(r"[\s,]", name) else name


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
