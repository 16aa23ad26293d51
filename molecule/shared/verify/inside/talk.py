"""Talk over a WebSocket written by hand: say a message, wait for its echo, pause, and again.

talk.py '{"name": "streams.example.test", "path": "/", "messages": 5, "pause": 1}'

headers   more of them, or other values of the handshake's own

Printed: the status of the handshake and what the origin tells of it, when the echoes came, and what ended it before
its time.
"""

import base64
import json
import os
import socket
import ssl
import struct
import sys
import time

wanted = json.loads(sys.argv[1])
trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
trust.check_hostname = False
trust.verify_mode = ssl.CERT_NONE
connection = trust.wrap_socket(socket.create_connection(("127.0.0.1", 443), 10), server_hostname=wanted["name"])
connection.settimeout(60)
stream = connection.makefile("rb")


def say(text):
    """Send one masked frame: a text of at most 125 bytes."""
    mask = os.urandom(4)
    payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text.encode()))
    connection.sendall(struct.pack("!BB", 0x81, 0x80 | len(payload)) + mask + payload)


def hear():
    """The text of the next frame, or None when the other side is gone or says goodbye."""
    head = stream.read(2)
    if len(head) < 2 or head[0] & 0x0F == 8:
        return None
    size = head[1] & 0x7F
    return stream.read(size if size < 126 else int.from_bytes(stream.read(2), "big")).decode()


headers = {
    "Host": wanted["name"],
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    **wanted.get("headers", {}),
}
lines = [f"GET {wanted['path']} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
status = int(stream.readline().split()[1])
while stream.readline().strip():
    pass
began, echoes, ended, told = time.monotonic(), [], None, None
if status == 101:
    told = json.loads(hear())
    for number in range(wanted.get("messages", 1)):
        try:
            say(f"message {number}")
            if hear() != f"message {number}":
                ended = "goodbye"
                break
        except OSError as error:
            ended = repr(error)
            break
        echoes.append(round(time.monotonic() - began, 3))
        time.sleep(wanted.get("pause", 0))
seconds = time.monotonic() - began
print(json.dumps({"status": status, "told": told, "echoes": echoes, "ended": ended, "seconds": seconds}))
