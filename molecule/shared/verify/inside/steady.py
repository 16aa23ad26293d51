"""Ask the site over TLS at an even pace until the file STOP is there; at most for 120 s. GET and POST in turn.

steady.py STOP REPORT PACE

PACE    requests a second, at most 200. None waits for another: forty connections are kept for them

Tells how many were asked, which of them failed, how many took longer than half a second, and on how many connections a
request met the end of it. Those are asked once more, as browsers do: a reload of nginx closes what is idle.
"""

import http.client
import json
import os
import ssl
import sys
import threading
import time

NAME = "notes.example.com"
SECONDS = 120
LANES = 40
SLOW = 0.5
CLOSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)

stop, report = sys.argv[1:3]
pace = min(float(sys.argv[3]), 200)
trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
lock = threading.Lock()
told = {"sent": 0, "failed": [], "slow": 0, "closed": 0, "slowest": 0.0}
began = time.monotonic()


def connect():
    return http.client.HTTPSConnection(NAME, timeout=30, context=trust)


def turn():
    """The time of the next request, None at the end."""
    with lock:
        at = began + told["sent"] / pace
        if os.path.exists(stop) or at > began + SECONDS:
            return None
        told["sent"] += 1
        return at


def ask(connection, method):
    if method == "GET":
        connection.request("GET", "/version")
    else:
        connection.request("POST", "/notes", "x" * 500)
    answer = connection.getresponse()
    answer.read()
    return None if answer.status < 400 else str(answer.status)


def client(number):
    connection, method = connect(), ("GET", "POST")[number % 2]
    while (at := turn()) is not None:
        time.sleep(max(0.0, at - time.monotonic()))
        sent, closed = time.monotonic(), False
        try:
            try:
                problem = ask(connection, method)
            except CLOSED:
                closed = True
                connection.close()
                problem = ask(connection, method)
        except (OSError, http.client.HTTPException) as error:
            problem = repr(error)
            connection.close()
        took = time.monotonic() - sent
        with lock:
            told["closed"] += closed
            told["slow"] += took > SLOW
            told["slowest"] = max(told["slowest"], round(took, 2))
            if problem:
                told["failed"].append(f"{method} {problem}")
    connection.close()


threads = [threading.Thread(target=client, args=(number,)) for number in range(LANES)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
told["seconds"] = round(time.monotonic() - began, 1)
with open(report + ".new", "w") as stream:
    json.dump(told, stream)
os.rename(report + ".new", report)
