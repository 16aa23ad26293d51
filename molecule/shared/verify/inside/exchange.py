"""Send bytes to nginx as they are, over as many connections at a time as are described, and print what came back.

exchange.py '[{"name": "a.example.test", "parts": [[0, "GET / HTTP/1.1\\r\\n..."]]}, ...]'

port     443; another one is spoken to without TLS
name     for the handshake
source   the address to come from
address  the address to go to, 127.0.0.1
parts    pairs: seconds to wait, then the text to send (latin-1)
wait     seconds to listen after the last part, 5; less where nginx closes the connection
window   the size of the receive buffer; with idle: seconds in which nothing is read after the last part

Printed for each: the first 64 KiB of the answer, its size, the seconds until its first byte, and until the connection
ended (null: it did not).
"""

import json
import socket
import ssl
import sys
import threading
import time


def connect(wanted):
    address, port = wanted.get("address", "127.0.0.1"), wanted.get("port", 443)
    source = (wanted["source"], 0) if "source" in wanted else None
    connection = socket.socket()
    if "window" in wanted:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted["window"])
    connection.settimeout(10)
    if source:
        connection.bind(source)
    connection.connect((address, port))
    if port != 443:
        return connection
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    trust.set_alpn_protocols(["http/1.1"])
    return trust.wrap_socket(connection, server_hostname=wanted["name"])


def listen(connection, began, heard, until):
    """Take what comes until then. TLS in Python is not made for one thread that reads and one that writes."""
    while heard["closed"] is None and (left := until - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            part = connection.recv(65536)
        except TimeoutError:
            return
        except OSError:
            part = b""
        now = time.monotonic() - began
        if part:
            heard["first"] = now if heard["first"] is None else heard["first"]
            heard["size"] += len(part)
            heard["answer"] += part.decode("latin-1")[: 65536 - len(heard["answer"])]
        else:
            heard["closed"] = now


def exchange(wanted, results, index):
    connection = connect(wanted)
    heard = results[index] = {"answer": "", "size": 0, "first": None, "closed": None}
    began = time.monotonic()
    for delay, text in wanted["parts"]:
        listen(connection, began, heard, time.monotonic() + delay)
        if heard["closed"] is not None:
            break
        connection.settimeout(10)
        try:
            connection.sendall(text.encode("latin-1"))
        except OSError:
            # nginx may have answered before it hung up: that is still to be read.
            break
    time.sleep(wanted.get("idle", 0))
    listen(connection, began, heard, time.monotonic() + wanted.get("wait", 5))
    connection.close()


if __name__ == "__main__":
    plan = json.loads(sys.argv[1])
    answers = [None] * len(plan)
    threads = [threading.Thread(target=exchange, args=(one, answers, index)) for index, one in enumerate(plan)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(answers))
