"""What surrounds every request, as plain ASGI.

Starlette's BaseHTTPMiddleware is avoided on purpose: it puts a queue between the application
and the server, which breaks back-pressure on streams, and it does not see WebSockets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notes import logs

HEALTH_PATHS = frozenset({"/health/live", "/health/ready"})

logger = logging.getLogger("notes.access")


class RequestLog:
    """Keeps the request's id for every log line about it, and writes the access log."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; log it when it ended, however it ended."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        headers = Headers(scope=scope)
        status: int | None = None
        started = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close" and status is None:
                # Closed before it was accepted: the server answers the handshake with 403.
                status = 403
            await send(message)

        # Never reset: each request is a task with a context of its own, and the server logs an
        # unhandled exception after this frame is gone. That line needs the id most of all.
        request_id = logs.accept_request_id(headers.get("x-request-id"))
        logs.request_id.set(request_id)
        # Other layers (GET /whoami) ask the scope. The id is not put on the response: nginx
        # does that for every answer, its own error pages included, and it would be there twice.
        scope.setdefault("state", {})["request_id"] = request_id
        try:
            await self.app(scope, receive, watch)
        except Exception:
            # The traceback is the server's to log.
            status = status or 500
            raise
        finally:
            client = scope.get("client")
            # A probe every few seconds from every proxy would drown the requests that matter.
            level = logging.DEBUG if scope["path"] in HEALTH_PATHS else logging.INFO
            logger.log(
                level,
                "request",
                extra={
                    "fields": {
                        "method": scope.get("method", "WEBSOCKET"),
                        # Without the query string: that is where tokens and e-mails end up.
                        "path": logs.clip(scope["path"]),
                        # None: the client left before there was an answer.
                        "status": status,
                        "duration_ms": round((time.perf_counter() - started) * 1000, 1),
                        "client": client[0] if client else None,
                        "user_agent": logs.clip(headers.get("user-agent", "")),
                    }
                },
            )


class TrustedHostExceptHealth:
    """Refuses requests for foreign host names, but never the health checks.

    A probe comes over the unix socket, before the release has any public name, with whatever
    Host its client sends. Refusing it would make a good release look dead. Answering is safe:
    neither path uses the Host header for anything.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str]) -> None:
        """Wrap the application; `allowed_hosts` as TrustedHostMiddleware takes them."""
        self.app = app
        # No redirect to www: which name is canonical is nginx's decision, and two that
        # disagree make a loop.
        self.checked = TrustedHostMiddleware(app, allowed_hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose the way in."""
        probe = scope["type"] == "http" and scope["path"] in HEALTH_PATHS
        await (self.app if probe else self.checked)(scope, receive, send)
