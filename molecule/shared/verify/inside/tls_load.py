"""Ask a site over TLS until the file STOP is there, at most for 90 s, in the four ways in which a reload of nginx can
be noticed. Tells for each how often it was asked, and what failed.

tls_load.py STOP REPORT NAME LARGE

LARGE   path of a file of the site that takes a second or two to read as slowly as it is read here

new     a new connection for each request
live    requests in flight: LARGE is read piece by piece, and the connection never idles while nginx may close it
reused  one connection for one request after the other. Between two of them it idles for a moment: nginx closes idle
        ones at a reload, and one that is closed while the next request is on its way is told in `resets`. The request
        is repeated on a new connection, where it has to succeed.
idle    connections that have been used and lie idle; at the end each is used again, and those that nginx has closed
        meanwhile are told in `closed`

Also told: the fingerprints of the certificates that new connections were served, in the order in which they came.
"""

import hashlib
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time

stop, report, NAME, LARGE = sys.argv[1:]
SECONDS = 90
IDLE = 20
trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
deadline = time.monotonic() + SECONDS
lock = threading.Lock()
told = {
    "counts": {"new": 0, "live": 0, "reused": 0, "idle": 0},
    "failures": [],
    "resets": 0,
    "closed": 0,
    "served": [],
}
#: What a client meets where the server has closed a connection that lay idle: no byte of an answer came.
CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)


def goes_on():
    return not os.path.exists(stop) and time.monotonic() < deadline


def connect():
    connection = http.client.HTTPSConnection(NAME, timeout=15, context=trust)
    connection.connect()
    return connection


def ask(connection):
    connection.request("GET", "/")
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise http.client.HTTPException(f"{answer.status} {text[:100]!r}")


def count(kind):
    with lock:
        told["counts"][kind] += 1


def failed(kind, error):
    with lock:
        told["failures"].append("{} {} {!r}".format(time.strftime("%H:%M:%S"), kind, error))


def new():
    while goes_on():
        try:
            connection = connect()
            print_of = hashlib.sha256(connection.sock.getpeercert(binary_form=True)).hexdigest()
            with lock:
                if print_of not in told["served"]:
                    told["served"].append(print_of)
            ask(connection)
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            failed("new", error)
        count("new")
        time.sleep(0.03)


def live():
    while goes_on():
        try:
            connection = http.client.HTTPSConnection(NAME, timeout=15, context=trust)
            connection.connect()
            # Else the kernel holds the whole file, and nginx is done at once.
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.request("GET", LARGE)
            answer = connection.getresponse()
            length, size = int(answer.getheader("content-length")), 0
            while piece := answer.read(262144):
                size += len(piece)
                time.sleep(0.01)
            if (answer.status, size) != (200, length):
                raise http.client.HTTPException(f"{answer.status}, {size} of {length} bytes")
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            failed("live", error)
        count("live")


def reused():
    connection = connect()
    while goes_on():
        try:
            ask(connection)
        except CLOSED:
            with lock:
                told["resets"] += 1
            try:
                connection = connect()
                ask(connection)
            except (OSError, http.client.HTTPException) as error:
                failed("reused, repeated", error)
                connection = connect()
        except (OSError, http.client.HTTPException) as error:
            failed("reused", error)
            connection = connect()
        count("reused")
        time.sleep(0.01)
    connection.close()


def idle():
    connections = [connect() for _ in range(IDLE)]
    for connection in connections:
        ask(connection)
    while goes_on():
        time.sleep(0.05)
    for connection in connections:
        count("idle")
        try:
            ask(connection)
        except CLOSED:
            with lock:
                told["closed"] += 1
        except (OSError, http.client.HTTPException) as error:
            failed("idle", error)


threads = [threading.Thread(target=what) for what in (new, live, reused, reused, idle)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open(report + ".new", "w") as stream:
    json.dump(told, stream)
os.rename(report + ".new", report)
