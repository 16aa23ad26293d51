# Managed by Ansible (asgi.deploy, role gunicorn_app).
"""The WebSockets of a process, so that their ends can be announced: 1012 (service restart) tells a client to come back.

Uvicorn's own shutdown ends the connection in the same moment. A client that is just sending then sees an error
and not the announcement.
"""

import asyncio
import contextlib

from uvicorn.protocols.utils import ClientDisconnected

#: Seconds that a client is given to answer the announcement.
FAREWELL = 1


class HeldWebSockets:
    def __init__(self):
        self._open = set()
        self._closing = set()

    async def run(self, application, scope, receive, send):
        websocket = _WebSocket(send)
        self._open.add(websocket)
        try:
            await application(scope, receive, websocket.send)
        finally:
            self._open.discard(websocket)

    def close(self):
        """Announce the end on each that is open. The connection ends when the client has answered."""
        for websocket in self._open:
            if websocket.accepted and not websocket.closed:
                websocket.closed = True
                # A client that reads nothing must not hold up the others.
                task = asyncio.ensure_future(websocket.announce())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


class _WebSocket:
    """Speaks for the application until the server has closed."""

    def __init__(self, send):
        self._send = send
        self.accepted = False
        self.closed = False

    async def send(self, message):
        if self.closed:
            # When the application ends, older versions of Uvicorn end the connection.
            await asyncio.sleep(FAREWELL)
            raise ClientDisconnected
        try:
            await self._send(message)
        except RuntimeError:
            if self.closed:
                raise ClientDisconnected from None
            raise
        if message["type"] == "websocket.accept":
            self.accepted = True

    async def announce(self):
        # It may have ended by itself in this moment.
        with contextlib.suppress(OSError, RuntimeError):
            await self._send({"type": "websocket.close", "code": 1012, "reason": ""})
