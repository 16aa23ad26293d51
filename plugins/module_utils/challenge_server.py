# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that answers one path, in place of certbot's own, to try whether the CA would reach it."""

from __future__ import annotations

import contextlib
import errno
import glob
import http.server
import os
import socket
import socketserver
import threading
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text

_LISTENING = "0A"


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    path = ""
    text = ""


class _Server6(_Server):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        # IPv4 has a server of its own.
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        server = t.cast(_Server, self.server)
        is_ours = self.path == server.path
        body = server.text.encode("ascii") if is_ours else b""
        self.send_response(200 if is_ours else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: t.Any) -> None:
        # A module's output is JSON.
        pass


@contextlib.contextmanager
def answering(port: int, path: str, text: str) -> t.Iterator[None]:
    """Answer ``path`` with ``text`` on ``port``, over IPv4 and IPv6, as long as the context lasts.

    :raises OSError: where the port is taken, saying by what
    """
    with contextlib.ExitStack() as stack:
        for server in _servers(port):
            server.path, server.text = path, text
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            # In this order from the end: no new request, then the port is free for certbot.
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        yield


def _servers(port: int) -> t.List[_Server]:
    try:
        servers: t.List[_Server] = [_Server(("0.0.0.0", port), _Handler)]
    except OSError as error:
        raise _explained(error, port) from None
    try:
        servers.append(_Server6(("::", port), _Handler))
    except OSError as error:
        # A host without IPv6 has no such address to be asked at.
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            servers[0].server_close()
            raise _explained(error, port) from None
    return servers


def _explained(error: OSError, port: int) -> OSError:
    if error.errno != errno.EADDRINUSE:
        return error
    return OSError(
        "port {0} is taken by {1}, and certbot has to listen there: stop that, or let it answer by "
        "certbot_challenge: webroot".format(port, holder_of(port) or "another process")
    )


def holder_of(port: int) -> t.Optional[str]:
    """Return the name and number of the process that listens on ``port``, or None where it cannot be seen."""
    links = {"socket:[{0}]".format(inode) for inode in _inodes(port)}
    for path in glob.iglob("/proc/[0-9]*/fd/*"):
        # Processes and files come and go.
        with contextlib.suppress(OSError):
            if os.readlink(path) in links:
                number = path.split("/")[2]
                name = (read_text("/proc/{0}/comm".format(number)) or "").strip()
                return "{0} (process {1})".format(name, number)
    return None


def _inodes(port: int) -> t.List[str]:
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (read_text(table) or "").splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == _LISTENING:
                found.append(fields[9])
    return found
