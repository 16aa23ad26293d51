"""Keep a WebSocket open, and read answers that take six seconds, one after the other, until the file STOP is there, at
most for 300 s. Run by a release's own Python, which has `websockets`.

hold_open.py STOP REPORT

The WebSocket is asyncio's: the other client of `websockets` reads and writes one TLS connection in two threads, which
OpenSSL does not allow. A handshake in some hundreds then hangs, or nginx logs "bad record mac".

Told: of each WebSocket when it was opened and closed (seconds since 1970), with which code, and the error where there
was one; of each answer when it began and ended, its release, its lines and the error.
"""

import asyncio
import http.client
import json
import os
import ssl
import sys
import threading
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

NAME = "notes.example.com"
LINES = 24

stop, report = sys.argv[1:]
trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
deadline = time.monotonic() + 300
sockets, answers = [], []


def goes_on():
    return not os.path.exists(stop) and time.monotonic() < deadline


async def hold_socket():
    told = {"opened": time.time(), "closed": None, "code": None, "error": None}
    sockets.append(told)
    try:
        async with connect(
            f"wss://{NAME}/echo", ssl=trust, open_timeout=15, close_timeout=5, ping_interval=None
        ) as connection:
            while goes_on():
                text = str(time.time())
                await connection.send(text)
                if await asyncio.wait_for(connection.recv(), 10) != text:
                    told["error"] = "another text came back"
                await asyncio.sleep(0.1)
    except ConnectionClosed as closed:
        told.update(closed=time.time(), code=closed.rcvd.code if closed.rcvd else None)
        if closed.rcvd is None:
            told["error"] = "cut off without a closing frame"
    except (OSError, WebSocketException) as error:
        told.update(closed=time.time(), error=repr(error))


def read_answer():
    told = {"began": time.time(), "ended": None, "release": None, "lines": 0, "error": None}
    answers.append(told)
    connection = http.client.HTTPSConnection(NAME, timeout=30, context=trust)
    try:
        connection.request("GET", f"/stream?lines={LINES}&delay_ms=250")
        answer = connection.getresponse()
        told["release"] = answer.getheader("x-release")
        while answer.readline():
            told["lines"] += 1
        if (answer.status, told["lines"]) != (200, LINES):
            told["error"] = f"{answer.status}, {told['lines']} of {LINES} lines"
    except (OSError, http.client.HTTPException) as error:
        told["error"] = repr(error)
    finally:
        told["ended"] = time.time()
        connection.close()


def again(what):
    while goes_on():
        what()
        # Where it fails at once.
        time.sleep(0.1)


threads = [threading.Thread(target=again, args=(what,)) for what in (lambda: asyncio.run(hold_socket()), read_answer)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open(report + ".new", "w", encoding="utf-8") as stream:
    json.dump({"sockets": sockets, "answers": answers}, stream)
os.rename(report + ".new", report)
