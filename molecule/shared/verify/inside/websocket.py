"""Echo text and bytes over wss; run by the release's own Python, which has `websockets`."""

import json
import ssl

from websockets.sync.client import connect

trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
with connect("wss://notes.example.com/echo", ssl=trust, open_timeout=10, close_timeout=5) as connection:
    echoes = []
    for message in ("grüße", "x" * 70000, b"\x00\xff"):
        connection.send(message)
        echoes.append(connection.recv(timeout=10) == message)
print(json.dumps(echoes))
