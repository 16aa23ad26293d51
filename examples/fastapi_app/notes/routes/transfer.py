"""The shapes of traffic that a proxy can get wrong: streams, uploads, WebSockets, patience."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, UploadFile, WebSocket
from fastapi.responses import StreamingResponse

router = APIRouter(tags=["transfer"])

CHUNK = 1024 * 1024


@router.get("/stream")
async def stream(
    lines: Annotated[int, Query(ge=1, le=1000)] = 10,
    delay_ms: Annotated[int, Query(ge=0, le=1000)] = 0,
) -> StreamingResponse:
    """Send lines of JSON one by one; each must arrive before the next is made."""

    async def numbered() -> AsyncIterator[str]:
        for line in range(lines):
            if line and delay_ms:
                await asyncio.sleep(delay_ms / 1000)
            yield json.dumps({"line": line}) + "\n"

    # nginx would collect the lines in its buffers otherwise. Only the application knows which
    # of its responses are streams, so it says so itself; nginx removes the header.
    return StreamingResponse(
        numbered(), media_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"}
    )


@router.post("/upload")
def upload(file: UploadFile) -> dict[str, str | int]:
    """Return size and SHA-256 of an uploaded file, and keep nothing.

    The parser writes what exceeds a megabyte to a temporary file, and this reads it in pieces
    (in a thread: plain `def`), so a worker's memory does not grow with the upload. How large it
    may be is nginx's limit (client_max_body_size), which refuses before the bytes get here.
    """
    digest = hashlib.sha256()
    size = 0
    while chunk := file.file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return {"size": size, "sha256": digest.hexdigest()}


@router.get("/slow")
async def slow(seconds: Annotated[float, Query(ge=0, le=30)] = 1) -> dict[str, float]:
    """Answer late, without occupying the worker: others are served meanwhile."""
    await asyncio.sleep(seconds)
    return {"slept": seconds}


@router.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    """Send every message back as it came, text as text and binary as binary.

    When the worker stops, the server closes the connection (1012, "service restart") and
    receive() returns the disconnect: the loop ends and the worker does not wait for clients.
    """
    await websocket.accept()
    while (message := await websocket.receive())["type"] == "websocket.receive":
        # A message has either key, and the other one is absent or None.
        if (text := message.get("text")) is not None:
            await websocket.send_text(text)
        else:
            await websocket.send_bytes(message["bytes"])
