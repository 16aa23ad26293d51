"""The pages of the application; see __init__.py for what can be wrong with it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from trial import BEHAVIOUR, NAME

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

log = logging.getLogger("trial.pages")

BEHAVES, _, NUMBER = os.environ.get("TRIAL_BEHAVIOUR", BEHAVIOUR).partition(":")
#: Shown by what goes wrong, as far as it lies with us.
SECRET = os.environ.get("TRIAL_SECRET", "nobody")
#: Before the fork with gunicorn_app_preload, after it without.
IMPORTED_BY = os.getpid()
#: One byte for each healthy answer, of all workers of the slot: its /tmp is its own, and goes with it.
ANSWERS = "/tmp/answers"

#: Files by which a test makes a running host sick: in its health alone, or in every page.
UNHEALTHY, BROKEN = "/var/lib/notes/unhealthy", "/var/lib/notes/broken"

if BEHAVES == "import":
    import module_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401

memory: list[bytes] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await echo(receive, send)
    else:
        await page(scope, receive, send)


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    if BEHAVES == "slow":
        await asyncio.sleep(float(NUMBER))
    if BEHAVES == "lifespan":
        log.error("The database said no to %s.", SECRET)
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def echo(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.receive":
            known = {key: message[key] for key in ("text", "bytes") if message.get(key) is not None}
            await send({"type": "websocket.send", **known})
        else:
            return


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    asked = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    path = scope["path"]
    if os.path.exists(BROKEN):
        await answer(send, 503, {"reason": "the disk is full"})
    elif path == "/health":
        await answer(send, *health())
    elif path == "/smoke":
        await answer(send, 500 if BEHAVES == "smoke" else 200, {"version": NAME})
    elif path == "/notes":
        await answer(send, 201, {"version": NAME, "bytes": await length(receive)})
    elif path == "/version":
        told = {"greeting": os.environ.get("TRIAL_GREETING"), "secret": hashlib.sha256(SECRET.encode()).hexdigest()}
        await answer(send, 200, {"version": NAME, "pid": os.getpid(), **told})
    elif path == "/slow":
        await asyncio.sleep(float(asked["seconds"]))
        await answer(send, 200, {"version": NAME})
    elif path == "/block":
        time.sleep(float(asked["seconds"]))
        await answer(send, 200, {"version": NAME})
    elif path == "/eat":
        memory.append(os.urandom(2**20) * int(asked["mb"]))
        await answer(send, 200, {"mb": sum(map(len, memory)) // 2**20})
    elif path == "/stream":
        await stream(send, int(asked["lines"]), int(asked["delay_ms"]) / 1000)
    elif path == "/process":
        await answer(send, 200, process(scope))
    elif path == "/log":
        log.warning("%s", asked["text"])
        await answer(send, 200, {})
    else:
        await answer(send, 404, {})


def health() -> tuple[int, dict[str, str]]:
    if os.path.exists(UNHEALTHY):
        return 503, {"reason": "no database"}
    if BEHAVES == "unhealthy":
        return 500, {"reason": "the queue is full"}
    if BEHAVES == "liar":
        with open(ANSWERS, "ab") as stream:
            stream.write(b".")
        if os.path.getsize(ANSWERS) > int(NUMBER):
            log.error("The queue is full after %s answers.", NUMBER)
            return 500, {"reason": "the queue is full"}
    return 200, {"status": "ready"}


def process(scope: Scope) -> dict[str, Any]:
    """What the settings have made of this process."""
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "imported_by": IMPORTED_BY,
        "loop": type(asyncio.get_running_loop()).__module__,
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "threads": int(open("/proc/self/stat").read().rpartition(")")[2].split()[17]),
        "cwd": os.getcwd(),
        "path": sys.path,
        "headers": {name.decode(): value.decode() for name, value in scope["headers"]},
        "client": scope["client"],
        "scheme": scope["scheme"],
    }


async def length(receive: Receive) -> int:
    found, more = 0, True
    while more:
        message = await receive()
        found += len(message.get("body", b""))
        more = message.get("more_body", False)
    return found


async def stream(send: Send, lines: int, pause: float) -> None:
    await begin(send, 200, b"application/x-ndjson")
    for line in range(lines):
        await send({"type": "http.response.body", "body": b'{"line": %d}\n' % line, "more_body": True})
        await asyncio.sleep(pause)
    await send({"type": "http.response.body", "body": b""})


async def begin(send: Send, status: int, kind: bytes) -> None:
    # X-Accel-Buffering: nginx hands each line on as it comes.
    headers = [(b"content-type", kind), (b"x-accel-buffering", b"no"), (b"x-release", NAME.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def answer(send: Send, status: int, content: dict[str, Any]) -> None:
    await begin(send, status, b"application/json")
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
