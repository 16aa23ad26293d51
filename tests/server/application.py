# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application that the servers serve here: plain ASGI, so that nothing stands between test and server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import typing as t
import urllib.parse

Scope = dict[str, t.Any]
Receive = t.Callable[[], t.Awaitable[dict[str, t.Any]]]
Send = t.Callable[[dict[str, t.Any]], t.Awaitable[None]]

if os.environ.get("IMPORT") == "fails":
    raise RuntimeError("the import fails\nin two lines")

IMPORTED_BY = os.getpid()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await {"lifespan": lifespan, "http": http, "websocket": websocket}[scope["type"]](scope, receive, send)


def make() -> t.Callable[[Scope, Receive, Send], t.Awaitable[None]]:
    return app


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await asyncio.sleep(float(os.environ.get("LIFESPAN_SECONDS", "0")))
    if os.path.exists(os.environ.get("LIFESPAN_FAILS_WITH", "/nowhere")):
        await send({"type": "lifespan.startup.failed", "message": "the lifespan fails"})
        return
    scope["state"]["greeting"] = "from the lifespan"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    logging.getLogger("application").warning("the lifespan ends")
    await send({"type": "lifespan.shutdown.complete"})


async def http(scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    query = {
        key: values[0]
        for key, values in urllib.parse.parse_qs(scope["query_string"].decode(), keep_blank_values=True).items()
    }
    path = scope["path"]
    if path == "/sleep":
        await asyncio.sleep(float(query["seconds"]))
    elif path == "/log":
        logging.getLogger("application").warning("said: %s", query["text"], extra={"odd": {1, 2}, "nan": float("nan")})
    elif path == "/own-log":
        own = logging.getLogger(query["logger"] or None)
        own.handlers = [*own.handlers, logging.StreamHandler(sys.stdout)]
        logging.getLogger("own.part").warning("said in its own way")
    elif path == "/wrong-log":
        logging.getLogger("application").error("%d %d", "one")
    elif path == "/raise":
        raise ValueError("first line\nsecond line")
    answer = {
        "pid": os.getpid(),
        "imported_by": IMPORTED_BY,
        "loop": type(asyncio.get_running_loop()).__module__,
        "greeting": scope["state"].get("greeting"),
        "body": len(body),
        "client": scope["client"],
        "scheme": scope["scheme"],
    }
    text = json.dumps(answer).encode()
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(text)).encode())]}
    if path == "/stream":
        await send({**start, "headers": []})
        for _number in range(int(query["parts"])):
            await send({"type": "http.response.body", "body": b"part\n", "more_body": True})
            await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": b"end\n"})
        return
    await send(start)
    await send({"type": "http.response.body", "body": text})
    if path == "/background":
        await asyncio.sleep(1)
        logging.getLogger("application").warning("the background task ends")


async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while scope["path"] == "/push":
        await send({"type": "websocket.send", "text": "news"})
        await asyncio.sleep(0.01)
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": f"{os.getpid()} {message['text']}"})
