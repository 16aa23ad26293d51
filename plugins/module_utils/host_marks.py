# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of applications nginx leaves out: the word ``down`` behind their line in a generation's file.

The file is part of the generation and rendered without a mark; what health checks have marked is taken over wherever
another text is put in its place. So there is one truth about the marks: the file that nginx reads.

Runs inside the module nginx_tree and, copied beside it, inside the programs asgi-deploy-health and
asgi-deploy-nginx-rollback: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

#: In a generation. All hosts of all applications are in this one, so that it is replaced in one step.
FILE = "http/applications.conf"

#: What nginx tells at /marks where no host is marked.
NONE = "none"

_BLOCK = re.compile(r"^upstream (\S+) \{\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_SERVER = re.compile(
    r"^(?P<line>    server (?P<address>[^\s;]+)(?: [^;\n]*?)??)(?P<down> down)?; # (?P<host>.+)$", re.MULTILINE
)
_ID = re.compile(r"^(map \$server_port \$health_marks \{ default )(\S+)(; \})$", re.MULTILINE)


class Server(t.NamedTuple):
    """A line of the file. ``host``: its name in the inventory."""

    upstream: str
    address: str
    host: str
    down: bool


def servers_of(text: str) -> t.List[Server]:
    """Return the servers of each upstream block."""
    return [
        Server(block[1], server["address"], server["host"], bool(server["down"]))
        for block in _BLOCK.finditer(text)
        for server in _SERVER.finditer(block[2])
    ]


def marks_of(text: str) -> t.Set[str]:
    """Return the addresses that are marked."""
    return {server.address for server in servers_of(text) if server.down}


def id_of_marks(text: str) -> str:
    """Return what nginx tells at /marks once it has loaded the text."""
    match = _ID.search(text)
    return match[2] if match else NONE


def with_marks(text: str, addresses: t.Container[str]) -> str:
    """Return the text with these addresses marked, and no others.

    Never all servers of a block: nobody would be asked any more, although it may be the health checks that are wrong.
    Then none of its servers is marked, and nginx finds out with each request who answers.
    """
    marked = _BLOCK.sub(lambda block: _marked(block, addresses), text)
    down = sorted("{0} {1}".format(server.upstream, server.address) for server in servers_of(marked) if server.down)
    # Made from the marks: the same ones have the same id, and a reload can be confirmed by it.
    told = hashlib.sha256("\n".join(down).encode()).hexdigest()[:12] if down else NONE
    return _ID.sub(lambda match: match[1] + told + match[3], marked)


def _marked(block: t.Match[str], addresses: t.Container[str]) -> str:
    if all(server["address"] in addresses for server in _SERVER.finditer(block[2])):
        addresses = ()
    return _SERVER.sub(lambda server: _line(server, server["address"] in addresses), block[0])


def _line(server: t.Match[str], down: bool) -> str:
    return "{0}{1}; # {2}".format(server["line"], " down" if down else "", server["host"])


def keep_marks(files: t.Mapping[str, str], live: t.Mapping[str, str]) -> t.Dict[str, str]:
    """Return a generation's files with the marks that the live one has."""
    if FILE not in files:
        return dict(files)
    return {**files, FILE: with_marks(files[FILE], marks_of(live.get(FILE, "")))}
