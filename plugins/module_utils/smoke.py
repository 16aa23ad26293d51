# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request through nginx, or as from a proxy, that confirms a switch: the new release has to answer it."""

from __future__ import annotations

import http.client
import ssl
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.health import UnixConnection

#: Asked with the text in a slot's file of this name, that slot and no other says its name in the answer.
PROBE_HEADER = "X-Asgi-Deploy-Probe"
SLOT_HEADER = "X-Asgi-Deploy-Slot"

#: Seconds between two requests: nginx's kept connections to the slot before have to be used up, one by each.
_PAUSE = 0.02

#: Of so many requests one at least comes to each host of a fleet as a rule.
_TRIES = 10


class Answer(t.NamedTuple):
    """``slot`` is the one that the probe was for, or None where another one or nginx itself answered."""

    status: int
    slot: t.Optional[str]
    said: str


class Smoke(t.NamedTuple):
    """:param domain: the site's; :param https: whether it speaks TLS; :param timeout: seconds
    :param port: where a host without nginx is reached by the proxies
    :param socket: what is behind that port, where only a proxy's certificate opens it
    """

    path: str
    domain: str
    https: bool
    timeout: int
    port: t.Optional[int] = None
    socket: t.Optional[str] = None

    def ask(self, probe: str) -> Answer:
        """Ask this host's nginx once. Status 0 where there is no answer."""
        connection = self._connection()
        # A cache of nginx answers no request with a cookie, nor keeps what one was answered with.
        headers = {"Host": self.domain, PROBE_HEADER: probe, "Cookie": "asgi-deploy=probe", "Connection": "close"}
        try:
            connection.request("GET", self.path, headers=headers)
            answer = connection.getresponse()
            said = answer.read(200).decode("utf-8", "replace").strip()
            return Answer(answer.status, answer.headers.get(SLOT_HEADER), said)
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, None, str(error))
        finally:
            connection.close()

    def reaches(self, probe: str) -> bool:
        """Return whether requests through nginx reach the slot of the probe, and are answered well.

        Where not, because of a maintenance page or an access rule, they tell nothing of a release either. Several are
        made: other hosts may have the application as well, and nginx asks them in turn.
        """
        return any(answer.slot is not None and answer.status < 500 for answer in map(self.ask, [probe] * _TRIES))

    def wait(self, probe: str) -> t.Optional[str]:
        """Return why the slot of the probe is not confirmed through nginx, or None."""
        deadline = time.monotonic() + self.timeout
        while True:
            answer = self.ask(probe)
            if answer.slot is not None and answer.status < 500:
                return None
            if answer.slot is not None:
                return "{0}: GET {1} was answered {2} by the new release: {3}".format(
                    self._way, self.path, answer.status, answer.said
                )
            if time.monotonic() > deadline:
                last = "status {0}".format(answer.status) if answer.status else answer.said
                return "{0}: GET {1} did not reach the new release within {2} s; the last answer: {3}".format(
                    self._way, self.path, self.timeout, last
                )
            time.sleep(_PAUSE)

    @property
    def _way(self) -> str:
        if self.socket:
            return "At {0}".format(self.socket)
        return "At port {0}".format(self.port) if self.port else "Through nginx"

    def _connection(self) -> http.client.HTTPConnection:
        if self.socket:
            return UnixConnection(self.socket, timeout=self.timeout)
        if not self.https:
            return http.client.HTTPConnection("127.0.0.1", self.port or 80, timeout=self.timeout)
        # What is proven is the release: the certificate may be the bootstrap pair, and has its own proof.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", 443, timeout=self.timeout, context=context)
        connection.connect = lambda: _connect_as(connection, context, self.domain)  # type: ignore[method-assign]
        return connection


def _connect_as(connection: http.client.HTTPSConnection, context: ssl.SSLContext, name: str) -> None:
    """Connect to 127.0.0.1, and ask for the site by its name."""
    http.client.HTTPConnection.connect(connection)
    connection.sock = context.wrap_socket(connection.sock, server_hostname=name)
