# Managed by Ansible (asgi.deploy, role gunicorn_app).
"""Uvicorn's worker for Gunicorn, which loses no request when it stops and is honest about its start.

Stopping: the stock worker closes connections that nginx is about to use. This one first stops
accepting and announces "Connection: close", waits until nginx has taken note, and then goes the
usual way.

Starting: Gunicorn tells systemd that it is ready before any worker has loaded the application, so
that a release with a broken import counts as started. Here a worker says so, after its lifespan.
"""

import asyncio
import contextlib
import os
import socket

from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

#: Seconds for which answers announce the end of their connection before connections are closed.
LINGER = 0.5

#: Seconds that Gunicorn leaves a worker beyond uvicorn's own limit, before it kills it.
SPARE = 5

_notify_socket = None


def take_notify_socket():
    """Take systemd's socket out of the environment, so that Gunicorn cannot say READY too early."""
    global _notify_socket
    _notify_socket = os.environ.pop("NOTIFY_SOCKET", None)


def _ready():
    if _notify_socket is None:
        return
    address = "\0" + _notify_socket[1:] if _notify_socket.startswith("@") else _notify_socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.connect(address)
        connection.sendall(b"READY=1\nSTATUS=A worker serves.")


class DrainingServer(Server):
    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        if self.started:
            _ready()

    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        heart = asyncio.ensure_future(self._beat())
        try:
            await asyncio.sleep(LINGER)
            await super().shutdown(sockets=sockets)
        finally:
            heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heart

    async def _beat(self):
        """Go on telling Gunicorn that the loop is alive: it kills a worker that is silent for `timeout`."""
        while self.config.callback_notify is not None:
            await self.config.callback_notify()
            await asyncio.sleep(1)


class DrainingWorker(UvicornWorker):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - SPARE)

    async def _serve(self):
        self.config.app = self.wsgi
        server = DrainingServer(config=self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            # Tells the master that no other worker will do better.
            raise SystemExit(3)
