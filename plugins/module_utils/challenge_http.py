# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask for a challenge's answer as a CA does: plain HTTP to one address, and redirects followed to any certificate."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import typing as t
import urllib.parse

#: The only ones that CAs use, for redirects too.
PORTS = {"http": 80, "https": 443}
#: Seconds for an address to accept the connection, and for each part of its answer.
TIMEOUT = 5
MOST_REDIRECTS = 10

_REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST = 1000
_HOST = re.compile(r"[A-Za-z0-9._:-]+")


class Unanswered(Exception):
    """No answer came, and why."""


class Astray(Unanswered):
    """It redirects to where no CA goes, or nobody answers."""


class Answer(t.NamedTuple):
    """The last answer, and where it came from when redirects led there."""

    status: int
    body: str
    location: str
    server: str
    url: str

    @property
    def words(self) -> str:
        """What answered, for people."""
        status = "200 with something else" if self.status == 200 else str(self.status)
        server = " ({0})".format(_printable(self.server)) if self.server else ""
        return status + server + (", redirected to " + _printable(self.url) if self.url else "")


class _Connection(http.client.HTTPConnection):
    """:param balanced: whether it begins as a load balancer's does. :param tls_name: the name for a TLS handshake"""

    def __init__(self, address: str, port: int, balanced: bool = False, tls_name: t.Optional[str] = None) -> None:
        super().__init__(address, port, timeout=TIMEOUT)
        self.balanced = balanced
        self.tls_name = tls_name

    def connect(self) -> None:
        super().connect()
        if self.balanced:
            line = "PROXY TCP4 127.0.0.1 127.0.0.1 {0} {1}\r\n".format(self.sock.getsockname()[1], self.port)
            self.sock.sendall(line.encode("ascii"))
        if self.tls_name:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            # As CAs do: the certificate may be the one that is to be replaced.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock, server_hostname=self.tls_name)


def ask(name: str, address: str, path: str) -> Answer:
    """Return the first answer of the server at ``address`` for the host ``name``.

    :raises Unanswered: where none came
    """
    return _fetch(_Connection(address, PORTS["http"]), name, path)


def ask_behind_balancer(name: str, path: str) -> Answer:
    """Return this host's answer to what a load balancer with the PROXY protocol sends."""
    return _fetch(_Connection("127.0.0.1", PORTS["http"], balanced=True), name, path)


def ask_following(name: str, address: str, path: str) -> Answer:
    """Return the answer of the server at ``address`` after its redirects.

    :raises Unanswered: where none came
    :raises Astray: where a redirect led nowhere
    """
    answer = ask(name, address, path)
    url = "http://{0}{1}".format(name, path)
    for _index in range(MOST_REDIRECTS):
        if answer.status not in _REDIRECTS or not answer.location:
            return answer
        url, answer = _redirected(name, address, url, answer.location)
    raise Astray("redirects more than {0} times".format(MOST_REDIRECTS))


def _redirected(name: str, address: str, before: str, location: str) -> t.Tuple[str, Answer]:
    try:
        url = urllib.parse.urljoin(before, location)
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme)
    except ValueError:
        raise Astray("redirects to {0}, which is no URL".format(_printable(location))) from None
    if not _HOST.fullmatch(host) or parts.scheme not in PORTS or port is None or port not in PORTS.values():
        raise Astray("redirects to {0}, and CAs follow only to port 80 and 443".format(_printable(url)))
    # Back to the name: to the same address, so that each of them is proven.
    connection = _Connection(
        address if host == name else host, port, tls_name=host if parts.scheme == "https" else None
    )
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    try:
        return url, _fetch(connection, host, target)._replace(url=url)
    except Unanswered as error:
        raise Astray("redirects to {0}, where no answer comes: {1}".format(_printable(url), error)) from None


def _fetch(connection: http.client.HTTPConnection, host: str, target: str) -> Answer:
    try:
        connection.request("GET", target, headers={"Host": host, "User-Agent": "asgi-deploy probe"})
        answer = connection.getresponse()
        body = answer.read(_LONGEST).decode("ascii", "replace")
        return Answer(answer.status, body, answer.getheader("Location", ""), answer.getheader("Server", ""), "")
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise Unanswered(reason_of(error)) from None
    finally:
        connection.close()


def reason_of(error: Exception) -> str:
    # Python 3.9 does not know it as TimeoutError.
    if isinstance(error, socket.timeout):
        return "timed out after {0} seconds".format(TIMEOUT)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _printable(str(error)) or type(error).__name__


def _printable(text: str) -> str:
    """Return what a stranger sent as one short line."""
    return "".join(character if " " <= character <= "~" else "?" for character in text)[:200]
