"""Speak HTTP/2 by hand, to say what no library would: header lists as they are, in one HEADERS frame each.

frames.py '[{"name": "a.example.test", "requests": [{"headers": [[":method", "GET"], ...], "data": "text"}]}, ...]'

Each entry is a connection, each request a stream of its own, all sent before anything is read. `data` is sent in one
DATA frame. Names and values are sent as they are (latin-1), uncompressed.

Printed for each connection: by stream (1, 3, 5 …) the status, the body, and the error that reset it; and the error
code of GOAWAY, or "closed", where the connection ended.
"""

import json
import socket
import ssl
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
#: Of HPACK's static table.
STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def frame(kind, flags, stream, payload):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def text(value):
    """A string of HPACK without Huffman coding; its length is an integer with a prefix of seven bits."""
    raw = value.encode("latin-1")
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    length, rest = bytearray([127]), len(raw) - 127
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    return bytes(length) + bytes([rest]) + raw


def status(block):
    """nginx sends :status first, from the static table or as three digits, after a change of the table's size."""
    while block[0] & 0xE0 == 0x20:
        more = block[0] & 0x1F == 0x1F
        block = block[1:]
        while more:
            more, block = block[0] >= 128, block[1:]
    return STATUSES[block[0] & 0x7F] if block[0] & 0x80 else int(block[2:5])


def speak(wanted):
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    trust.set_alpn_protocols(["h2"])
    raw = socket.create_connection(("127.0.0.1", 443), 10)
    connection = trust.wrap_socket(raw, server_hostname=wanted["name"])
    assert connection.selected_alpn_protocol() == "h2"
    connection.settimeout(3)
    out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"")
    for index, request in enumerate(wanted["requests"]):
        stream = index * 2 + 1
        block = b"".join(b"\0" + text(name) + text(value) for name, value in request["headers"])
        ends = 0 if "data" in request else END_STREAM
        out += frame(HEADERS, END_HEADERS | ends, stream, block)
        if "data" in request:
            out += frame(DATA, END_STREAM, stream, request["data"].encode("latin-1"))
    connection.sendall(out)
    told = {"streams": {}, "ended": None}
    left = {index * 2 + 1 for index in range(len(wanted["requests"]))}
    incoming = connection.makefile("rb")
    while left:
        try:
            head = incoming.read(9)
        except TimeoutError:
            break
        except OSError:
            head = b""
        if len(head) < 9:
            told["ended"] = told["ended"] or "closed"
            break
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream, payload = struct.unpack("!I", head[5:])[0], incoming.read(size)
        seen = told["streams"].setdefault(stream, {"status": None, "body": "", "reset": None}) if stream else None
        if kind == HEADERS and seen["status"] is None:
            seen["status"] = status(payload)
        elif kind == DATA:
            seen["body"] += payload.decode("latin-1")
        elif kind == RST_STREAM:
            seen["reset"] = struct.unpack("!I", payload)[0]
        elif kind == SETTINGS and not flags & ACK:
            connection.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == GOAWAY:
            told["ended"] = struct.unpack("!I", payload[4:8])[0]
        if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
            left.discard(stream)
    connection.close()
    return told


# Side by side: where nothing comes back each waits for its time.
with ThreadPoolExecutor(20) as pool:
    print(json.dumps(list(pool.map(speak, json.loads(sys.argv[1])))))
