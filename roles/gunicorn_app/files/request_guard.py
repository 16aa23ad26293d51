# Managed by Ansible (asgi.deploy, role gunicorn_app).
"""What every request passes on its way to the application: limits, the request's id, the answer's headers."""

import hmac

import slot_settings
from held_websockets import HeldWebSockets
from slot_logging import request_id

_PROBE = b"x-asgi-deploy-probe"
_REQUEST_ID = b"x-request-id"

_TOO_LONG = (414, b"The request's target is too long.\n")
_TOO_MANY = (431, b"The request has too many header fields.\n")
_TOO_LARGE = (431, b"A header field of the request is too large.\n")


class Guard:
    """The application with the guard around it.

    It returns the application's own awaitable instead of awaiting it: no frame more for each message. While
    nothing has to be added to the answers, the application gets Uvicorn's own `send`.
    """

    def __init__(self, application):
        self.application = application
        self.websockets = HeldWebSockets()
        #: Announce the end of the connection in each answer, so that nginx opens its next one elsewhere.
        self.closing = True

    def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return self.application(scope, receive, send)
        identity = probe = None
        headers = scope["headers"]
        largest = slot_settings.LIMIT_FIELD_SIZE
        for name, value in headers:
            if len(name) + len(value) > largest:
                return _refuse(scope, send, _TOO_LARGE)
            if name == _REQUEST_ID:
                identity = value
            elif name == _PROBE:
                probe = value
        if len(headers) > slot_settings.LIMIT_FIELDS:
            return _refuse(scope, send, _TOO_MANY)
        query = scope["query_string"]
        if len(scope["raw_path"]) + (len(query) + 1 if query else 0) > slot_settings.LIMIT_LINE:
            return _refuse(scope, send, _TOO_LONG)
        # Also where there is none: a task may have begun with the context of the request before.
        request_id.set(identity)
        if scope["type"] == "websocket":
            return self.websockets.run(self.application, scope, receive, send)
        if self.closing or probe is not None:
            added = [(b"connection", b"close")] if self.closing else []
            if probe is not None and _is_ours(probe):
                added.append((b"x-asgi-deploy-slot", slot_settings.SLOT.encode()))
            send = _adding(send, added)
        return self.application(scope, receive, send)


def _adding(send, added):
    async def adding(message):
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return adding


def _is_ours(probe):
    """Tell whether the deployment asks, which has left a word for this start that nobody else can read."""
    try:
        with open(slot_settings.PROBE, "rb") as file:
            word = file.read().strip()
    except OSError:
        return False
    return len(word) >= 32 and hmac.compare_digest(word, probe)


async def _refuse(scope, send, answer):
    status, text = answer
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", ()):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        # The rest of such a request is not waited for.
        (b"connection", b"close"),
    ]
    await send({"type": kind + ".start", "status": status, "headers": headers})
    await send({"type": kind + ".body", "body": text})
