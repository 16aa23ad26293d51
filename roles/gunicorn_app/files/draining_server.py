# Managed by Ansible (asgi.deploy, role gunicorn_app).
"""Uvicorn's server, which loses no request when it stops and is honest about its start.

Stopping: the stock server closes connections that nginx is about to use. This one stops accepting, announces
"Connection: close" and waits until nginx has taken note. WebSockets stay as long as they are given.

Starting: systemd hears READY when the lifespan of the application has started, and not before.

In between it follows the symlink by which nginx finds the live slot: while that leads elsewhere, each answer
announces the end of its connection, so that the connections nginx keeps move with the link.
"""

import asyncio
import contextlib
import os
import select
import signal

import slot_settings
from held_websockets import FAREWELL
from request_guard import Guard
from systemd_notify import say_alive
from uvicorn.server import Server

#: Seconds in which connections that the kernel has accepted for us come in, when no more are accepted.
SETTLE = 0.2

#: Seconds that nginx is given to use an idle connection and see the announcement, before it is closed.
LINGER = 3

#: Seconds that the application's lifespan has for its end, beyond the time of the last request.
SPARE = 5


def options():
    """Return what Uvicorn is told in both kinds of service."""
    fields = slot_settings.LIMIT_FIELDS * (slot_settings.LIMIT_FIELD_SIZE + 4)
    return {
        "loop": slot_settings.LOOP,
        "http": slot_settings.HTTP,
        # h11 would answer 400 at 16 K for all fields together, before the guard has seen them.
        "h11_max_incomplete_event_size": slot_settings.LIMIT_LINE + fields + 1024,
    }


class DrainingServer(Server):
    """:param serving: called when the lifespan has started; :param spent: called after so many `requests`, once"""

    def __init__(self, config, serving, spent=None, requests=None):
        super().__init__(config)
        self._serving = serving
        self._spent = spent
        self._requests = requests

    async def serve(self, sockets=None):
        if not self.config.loaded:
            self.config.load()
        self._guard = self.config.loaded_app = Guard(self.config.loaded_app)
        await super().serve(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self):
        # Not before the start: what does not serve yet ends at once. And the process does not die by a signal
        # that it has obeyed, as Uvicorn's would.
        yield

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        if self.started:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)
            self._follow_link()
            self._serving()

    async def on_tick(self, counter):
        # Uvicorn ticks ten times a second.
        if counter % 2 == 0:
            self._follow_link()
        if counter % 10 == 0:
            say_alive()
        if self._requests is not None and self.server_state.total_requests >= self._requests:
            self._requests = None
            self._spent()
        return await super().on_tick(counter)

    def _follow_link(self):
        try:
            self._guard.closing = os.readlink(slot_settings.LINK) != slot_settings.SOCKET
        except OSError:
            # Before the first release is live.
            self._guard.closing = True

    async def shutdown(self, sockets=None):
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._guard.closing = True
        heart = asyncio.ensure_future(self._beat())
        try:
            await self._drain()
            await super().shutdown(sockets=sockets)
        finally:
            heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heart

    async def _drain(self):
        """Wait for the connections, each as long as it is due."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(SETTLE)
        age = SETTLE
        while self.server_state.connections and age < slot_settings.TIMEOUT and not self.force_exit:
            if age >= slot_settings.DRAIN:
                self._guard.websockets.close()
            for connection in list(self.server_state.connections):
                if _has_ended(connection, age):
                    connection.shutdown()
            await asyncio.sleep(0.05)
            age = loop.time() - began
        # What the stock server does from here on: cancel what still runs, and end the lifespan.
        self.config.timeout_graceful_shutdown = max(0.1, slot_settings.TIMEOUT - age)

    async def _beat(self):
        """Go on telling Gunicorn that the loop is alive: it kills a worker that is silent for `timeout`."""
        loop = asyncio.get_running_loop()
        # Not for ever: nobody else would end a lifespan that hangs.
        end = loop.time() + slot_settings.TIMEOUT + SPARE
        while self.config.callback_notify is not None and loop.time() < end:
            await self.config.callback_notify()
            await asyncio.sleep(1)


def _has_ended(connection, age):
    if not hasattr(connection, "cycle"):
        # A WebSocket.
        return age >= slot_settings.DRAIN + FAREWELL
    if connection.cycle is not None and not connection.cycle.response_complete:
        # Uvicorn closes it after the answer, and announces that where the answer has not begun.
        return True
    return age >= LINGER and not _has_sent(connection.transport)


def _has_sent(transport):
    """Tell whether a request lies in the socket that the loop has not read yet: closing now would lose it."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return any(event & select.POLLIN and not event & select.POLLHUP for _fd, event in poll.poll(0))
