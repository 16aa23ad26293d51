# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx has written of the requests since a moment: how many were lost at which server, and how many saved."""

from __future__ import annotations

import datetime
import json
import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import names_below, read_text

#: nginx writes its lines a second later at most, see the template of the site.
FLUSH = 1.0

#: Whose answer never came: of what an application says itself, 500 and 503 are as usual as 404.
_LOST = ("502", "504")

_LOG = re.compile(r"^[ \t]*access_log[ \t]+([^\s;]+)(?:[ \t]+(\w+))?", re.MULTILINE)

#: Between several servers that were tried, and between those of an internal redirect.
_NEXT = re.compile(r", | : ")

#: A line that has neither is of no interest: reading JSON is what takes long.
_INTERESTING = re.compile(rb'"status":"50[24]"|"upstream":"[^"]*[,] ')

Position = t.Dict[str, t.Any]


def logs_of(folder: str) -> t.Tuple[t.List[str], t.Optional[str]]:
    """Return the files that nginx's configuration below ``folder`` writes in JSON, or why none can be counted."""
    found: t.Dict[str, str] = {}
    for name in names_below(folder):
        if name.endswith(".conf"):
            found.update(_LOG.findall(read_text(os.path.join(folder, name)) or ""))
    found.pop("off", None)
    paths = sorted(path for path, kind in found.items() if kind == "asgi" and path.startswith("/"))
    if paths:
        return paths, None
    if not found:
        return [], "nginx writes no access log"
    if any(path.startswith("syslog:") for path in found):
        return [], "nginx's access log goes to syslog"
    return [], "nginx's access log is not in JSON"


def positions(paths: t.Iterable[str]) -> t.List[Position]:
    """Return where each file ends now."""
    found = []
    for path in paths:
        try:
            state = os.stat(path)
            found.append({"path": path, "inode": state.st_ino, "offset": state.st_size})
        except FileNotFoundError:
            found.append({"path": path, "inode": 0, "offset": 0})
    return found


def lines_since(position: Position) -> t.Iterator[bytes]:
    """Return the lines that have come since, also where the file has been rotated meanwhile.

    :raises ValueError: where some of them are gone
    """
    path = position["path"]
    parts = _parts(path, position)
    for number, part in enumerate(parts):
        with open(part, "rb") as stream:
            if number == 0 and position["inode"]:
                if os.fstat(stream.fileno()).st_size < position["offset"]:
                    raise ValueError("{0} was cut off".format(path))
                stream.seek(position["offset"])
            yield from stream


def _parts(path: str, position: Position) -> t.List[str]:
    """Return the file in which the position is, and those that came after it."""
    candidates = [path]
    while os.path.exists("{0}.{1}".format(path, len(candidates))):
        candidates.append("{0}.{1}".format(path, len(candidates)))
    if not position["inode"]:
        # There was none yet.
        return [path] if os.path.exists(path) else []
    found: t.List[str] = []
    for candidate in candidates:
        if os.path.exists(candidate):
            found.append(candidate)
            if os.stat(candidate).st_ino == position["inode"]:
                return found[::-1]
    raise ValueError("{0} was rotated away".format(path))


class Count:
    """How many requests were lost at each server, and how many were answered at a second try."""

    def __init__(self, servers: t.Mapping[str, int], since: float) -> None:
        """:param servers: by address as nginx writes it, the number of a server; :param since: seconds since 1970"""
        self.servers = servers
        self.since = since
        self.lost: t.Dict[int, int] = {}
        self.retried: t.Dict[int, int] = {}
        #: Lost where all servers were taken for dead.
        self.without_server = 0

    def add(self, line: bytes) -> None:
        if not _INTERESTING.search(line):
            return
        try:
            entry = json.loads(line.decode(errors="replace"))
            ended = datetime.datetime.fromisoformat(entry["time"]).timestamp()
            addresses, status = _NEXT.split(entry["upstream"]), entry["status"]
        except (ValueError, KeyError, TypeError):
            # Half a line, after a full disk.
            return
        # A line is written later than it is told of: one of before is not the release's.
        if ended < int(self.since) or not any(addresses):
            return
        known = [self.servers[address] for address in addresses if address in self.servers]
        if status in _LOST:
            if known:
                self.lost[known[-1]] = self.lost.get(known[-1], 0) + 1
            elif not any(_is_address(address) for address in addresses):
                self.without_server += 1
        else:
            for server in known[:-1]:
                self.retried[server] = self.retried.get(server, 0) + 1


def _is_address(text: str) -> bool:
    # Where no server is left, nginx writes the upstream's name.
    return text.startswith("unix:") or ":" in text
