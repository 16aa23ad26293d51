# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question that a release has to answer on its own socket."""

from __future__ import annotations

import http.client
import socket
import time
import typing as t

#: Answers that waiting does not change: the path is wrong, or closed to us.
_FINAL = (400, 401, 403, 404, 405, 410)

#: Of a body so much is looked at, in bytes.
READ = 65536
_SHOWN = 200

#: Seconds between two questions: to one that is not healthy yet, and to one that has to prove it once more.
_PAUSE = 0.2
_AGAIN = 0.05


def verdict(path: str, status: int, body: str, wanted: int, text: t.Optional[str]) -> t.Optional[str]:
    """Return why an answer is not healthy, or None. :param wanted: its status :param text: what it contains, or None"""
    shown = body[:_SHOWN].strip()
    if status != wanted:
        return "GET {0} answered {1} instead of {2}: {3}".format(path, status, wanted, shown)
    if text is not None and text not in body:
        return "GET {0} answered {1} without the text {2}: {3}".format(path, status, text, shown)
    return None


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Health(t.NamedTuple):
    """:param host: the Host header; :param timeout: seconds; :param body: text that the answer contains, or None
    :param successes: healthy answers in a row that prove a release
    """

    path: str
    host: str
    timeout: int
    status: int = 200
    body: t.Optional[str] = None
    successes: int = 1

    def ask(self, address: str) -> t.Optional[str]:
        """Return why the socket at ``address`` is not healthy, or None."""
        return self._ask(address)[1]

    def _ask(self, address: str) -> t.Tuple[int, t.Optional[str]]:
        """Return the status, 0 without one, and why it is not healthy, or None."""
        connection = UnixConnection(address, timeout=min(5, self.timeout))
        try:
            connection.request("GET", self.path, headers={"Host": self.host, "X-Forwarded-Proto": "https"})
            answer = connection.getresponse()
            body = answer.read(READ).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, "GET {0} had no answer: {1}".format(self.path, error)
        finally:
            connection.close()
        return answer.status, verdict(self.path, answer.status, body, self.status, self.body)

    def wait(self, address: str) -> t.Optional[str]:
        """Ask until it is healthy so many times in a row, or until the time is over."""
        deadline = time.monotonic() + self.timeout
        successes = 0
        while True:
            status, problem = self._ask(address)
            successes = 0 if problem else successes + 1
            if successes == self.successes:
                return None
            late = time.monotonic() > deadline
            # A worker has started when this is asked.
            if problem is not None and (late or (status in _FINAL and status != self.status)):
                return problem
            if late:
                return "GET {0} was healthy {1} times in a row instead of {2} within {3} s".format(
                    self.path, successes, self.successes, self.timeout
                )
            time.sleep(_PAUSE if problem else _AGAIN)
