# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question that health checks ask a host of an application, as the proxy in front of it would.

Runs inside the program asgi-deploy-health: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.health import READ, verdict

#: What nginx shows to application hosts that it reaches by mutual TLS, and whom it believes: see app_tls.conf.
PAIR, CA = "/etc/nginx/deploy/current/app_tls/pair.pem", "/etc/nginx/deploy/current/app_tls/ca.pem"


class Target(t.NamedTuple):
    """Whom to ask, and what a healthy answer is.

    ``upstreams``: the blocks that have the address. ``domain``: the Host header. ``body``: text that the answer
    contains, or None. ``tls_name``: the name in the host's certificate, None for plain HTTP.
    """

    address: str
    host: str
    application: str
    upstreams: t.Sequence[str]
    path: str
    domain: str
    https: bool
    status: int
    body: t.Optional[str]
    tls_name: t.Optional[str] = None


def connect(target: Target, timeout: float) -> http.client.HTTPConnection:
    """Return the connection to ask by. The one place that knows how a host is reached."""
    host, _colon, port = target.address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)
    if target.tls_name is not None:
        # Not the default context, which in Python 3.13 is stricter than nginx with authorities that people make.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(CA)
        context.load_cert_chain(PAIR)
        connection.connect()
        try:
            connection.sock = context.wrap_socket(connection.sock, server_hostname=target.tls_name)
        except OSError:
            connection.close()
            raise
    return connection


def ask(target: Target, timeout: float) -> t.Optional[str]:
    """Return why a host is not healthy, or None."""
    # As nginx asks: some applications send everybody else to https, or refuse names that they do not know.
    headers = {
        "Host": target.domain,
        "X-Forwarded-Proto": "https" if target.https else "http",
        "User-Agent": "asgi-deploy-health",
        "Connection": "close",
    }
    try:
        with contextlib.closing(connect(target, timeout)) as connection:
            connection.request("GET", target.path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(READ).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return "GET {0} had no answer: {1}".format(target.path, str(error) or type(error).__name__)
    return verdict(target.path, answer.status, body, target.status, target.body)


def ask_all(targets: t.Sequence[Target], timeout: float) -> t.Dict[str, t.Optional[str]]:
    """Ask all at once, and return by the address why a host is not healthy, or None.

    :param timeout: seconds for the whole answer of each, however it comes
    """
    answers: t.Dict[str, t.Optional[str]] = {
        target.address: "GET {0} had no answer within {1:g} s".format(target.path, timeout) for target in targets
    }

    def note(target: Target) -> None:
        problem = ask(target, timeout)
        if time.monotonic() < deadline:
            answers[target.address] = problem

    # Daemons: one that is sent a byte a second is not waited for.
    threads = [threading.Thread(target=note, args=(target,), daemon=True) for target in targets]
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(answers)
