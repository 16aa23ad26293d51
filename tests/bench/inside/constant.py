"""A constant load, made inside the container: so many requests a second, however long the answers take.

    constant.py DOMAIN RATE STOP

Until the file STOP is there: GET and POST in turn, over TLS, on connections that are kept and on new ones. Each
request has a time at which it is due, and its milliseconds count from there: a host that stands still is not asked
less often for it. Prints one JSON object, `requests`: [seconds since 1970 when it was due, milliseconds, kind, error
or null] of each. Runs with the container's own Python, and imports nothing of this checkout.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import ssl
import sys
import time
from typing import Any

#: (kind, on a kept connection)
KINDS = [("GET kept", True), ("POST kept", True), ("GET new", False), ("POST new", False)]
SECONDS = 15.0

CONTENT = b"x" * 1024
_BODY = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + CONTENT + b"\r\n--b--\r\n"

#: Seconds after which a client no longer trusts an idle connection: nginx ends it after a longer time.
IDLE = 20.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def request(kind: str, domain: str, kept: bool) -> bytes:
    ending = f"Host: {domain}\r\n" + ("" if kept else "Connection: close\r\n")
    if kind.startswith("GET"):
        return f"GET /version HTTP/1.1\r\n{ending}\r\n".encode()
    head = f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(_BODY)}\r\n"
    return f"POST /upload HTTP/1.1\r\n{ending}{head}\r\n".encode() + _BODY


def problem(kind: str, status: int, body: bytes) -> str | None:
    """Return what is wrong with an answer, or None. A 200 of something else is none of ours."""
    if status != 200:
        return f"{kind}: {status}"
    try:
        told: dict[str, Any] = json.loads(body)
    except ValueError:
        return f"{kind}: no JSON"
    wanted = {"sha256": hashlib.sha256(CONTENT).hexdigest()} if kind.startswith("POST") else {}
    right = all(told.get(key) == value for key, value in wanted.items()) and (wanted or "version" in told)
    return None if right else f"{kind}: another answer"


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Return status, body, and whether the connection is kept."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
    body = await reader.readexactly(int(fields["content-length"]))
    return int(head[0].split()[1]), body, fields.get("connection") != "close"


class Load:
    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.found: list[tuple[float, float, str, str | None]] = []
        self._idle: list[tuple[float, Connection]] = []
        self._tls = ssl.create_default_context()
        # The certificate is self-signed; whose it is is not measured here.
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    async def one(self, due: float, kind: str, kept: bool) -> None:
        error: str | None = None
        try:
            error = await asyncio.wait_for(self._ask(kind, kept), SECONDS)
        except (OSError, EOFError, ValueError, KeyError) as failed:
            error = f"{kind}: {type(failed).__name__} {failed}"
        self.found.append((due, (time.time() - due) * 1000, kind, error))

    async def _ask(self, kind: str, kept: bool) -> str | None:
        reader, writer = (self._kept() if kept else None) or await asyncio.open_connection(
            self.domain, 443, ssl=self._tls
        )
        again = False
        try:
            writer.write(request(kind, self.domain, kept))
            status, body, again = await answer(reader)
        finally:
            if kept and again:
                self._idle.append((time.monotonic(), (reader, writer)))
            else:
                writer.close()
        return problem(kind, status, body)

    def _kept(self) -> Connection | None:
        """Return the connection that was used last. Those that have been idle for long are closed."""
        while self._idle and time.monotonic() - self._idle[0][0] > IDLE:
            self._idle.pop(0)[1][1].close()
        return self._idle.pop()[1] if self._idle else None

    async def run(self, rate: float, stop: str) -> None:
        began, number = time.time(), 0
        running = set()
        while not os.path.exists(stop):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.time()))
            task = asyncio.create_task(self.one(due, *KINDS[number % len(KINDS)]))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
        await asyncio.gather(*running)


def main() -> None:
    domain, rate, stop = sys.argv[1:]
    load = Load(domain)
    asyncio.run(load.run(float(rate), stop))
    print(json.dumps({"requests": load.found}))


if __name__ == "__main__":
    main()
