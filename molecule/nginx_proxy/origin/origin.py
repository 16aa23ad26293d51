"""An origin that does what the query of a request says, and remembers every request it read.

    origin.py NAME PORT SOCKET

Any path; without a query it answers with what it saw, as JSON. Parts of the query:
  status=404  header=Name:Value (any number)  body=text  size=BYTES  delay=MS before the answer
  status=200,500      the first status for the first request of this target, and so on; the last one repeats
  lines=N&every=MS    a line of JSON at a time         events=N&every=MS   the same as server-sent events
  close=before        hang up instead of an answer     close=middle        hang up in the middle of the body
An upgrade to websocket echoes frames; what is sent back first is what the handshake looked like.
Asked directly, not through nginx:
  /_origin/seen?mark=TEXT    the requests with TEXT in their target or headers, in order
  /_origin/reset             forget them
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import socket
import socketserver
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAME, PORT, SOCKET = sys.argv[1], int(sys.argv[2]), sys.argv[3]
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

connections = itertools.count(1)
lock = threading.Lock()
seen: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "origin", ""
    # Small writes of a stream leave at once.
    wbufsize = 0

    def setup(self) -> None:
        super().setup()
        self.connection_id = next(connections)
        self.request_index = 0
        self.count = 1

    def log_message(self, *_arguments: object) -> None:
        """What was asked is in `seen`."""

    def __getattr__(self, name: str) -> Any:
        # Any method: what gets here is the proxy's business.
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def read_body(self, note: dict[str, Any]) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                note.setdefault("first_byte_at", time.time())
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                pass
            return b"".join(parts)
        left, parts = int(self.headers.get("Content-Length") or 0), []
        while left:
            part = self.rfile.read1(min(left, 65536))
            if not part:
                break
            note.setdefault("first_byte_at", time.time())
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def answer(self) -> None:
        split = urlsplit(self.path)
        query = parse_qs(split.query, keep_blank_values=True)
        if split.path.startswith("/_origin/"):
            return self.tell(split.path, query)
        self.request_index += 1
        note: dict[str, Any] = {
            "origin": NAME,
            "method": self.command,
            "target": self.path,
            "version": self.request_version,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "connection": self.connection_id,
            "request": self.request_index,
            "socket": "unix" if self.connection.family == socket.AF_UNIX else "tcp",
            "at": time.time(),
        }
        with lock:
            seen.append(note)
            note["count"] = sum(other["method"] == self.command and other["target"] == self.path for other in seen)
            self.count = note["count"]
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.websocket(note)
        body = self.read_body(note)
        note.update(body_at=time.time(), body_size=len(body), body_sha256=hashlib.sha256(body).hexdigest())
        note["body"] = body[:4096].decode("latin-1")
        time.sleep(int(query.get("delay", ["0"])[0]) / 1000)
        if query.get("close") == ["before"]:
            return self.hang_up()
        for count, event in (("lines", False), ("events", True)):
            if count in query:
                return self.stream(int(query[count][0]), int(query.get("every", ["0"])[0]), event, query)
        if "size" in query:
            return self.large(int(query["size"][0]), query)
        text = query["body"][0] if "body" in query else json.dumps(note)
        content = text.encode()
        self.head(query, {"Content-Type": "application/json", "Content-Length": str(len(content))})
        if self.command != "HEAD":
            half = len(content) // 2 if query.get("close") == ["middle"] else len(content)
            self.wfile.write(content[:half])
            if half < len(content):
                self.hang_up()
        return None

    def head(self, query: dict[str, list[str]], headers: dict[str, str]) -> None:
        own = [line.partition(":")[::2] for line in query.get("header", [])]
        names = {name.lower() for name, _value in own}
        statuses = query.get("status", ["200"])[0].split(",")
        self.send_response(int(statuses[min(self.count, len(statuses)) - 1]))
        for name, value in [*headers.items(), *own]:
            if (name, value) in own or name.lower() not in names:
                self.send_header(name, value.strip())
        self.end_headers()

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def stream(self, count: int, every: int, event: bool, query: dict[str, list[str]]) -> None:
        kind = "text/event-stream" if event else "application/x-ndjson"
        self.head(query, {"Content-Type": kind, "Transfer-Encoding": "chunked", "Cache-Control": "no-cache"})
        for index in range(count):
            if index:
                time.sleep(every / 1000)
            line = json.dumps({"line": index, "sent": time.time()})
            part = (f"id: {index}\ndata: {line}\n\n" if event else f"{line}\n").encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def large(self, size: int, query: dict[str, list[str]]) -> None:
        self.head(query, {"Content-Type": "application/octet-stream", "Content-Length": str(size)})
        began = time.time()
        for start in range(0, 0 if self.command == "HEAD" else size, 65536):
            self.wfile.write(b"x" * min(65536, size - start))
        with lock:
            # How long the proxy held this origin's attention.
            seen[-1]["write_seconds"] = time.time() - began

    def websocket(self, note: dict[str, Any]) -> None:
        accept = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + GUID).encode()).digest())
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.end_headers()
        self.wfile.write(frame(1, json.dumps(note).encode()))
        while message := read_frame(self.rfile):
            opcode, payload = message
            self.wfile.write(frame(10 if opcode == 9 else opcode, payload))
            if opcode == 8:
                return

    def tell(self, path: str, query: dict[str, list[str]]) -> None:
        mark = query.get("mark", [""])[0]
        with lock:
            if path == "/_origin/reset":
                seen.clear()
            found = [note for note in seen if mark in note["target"] or mark in json.dumps(note["headers"])]
            content = json.dumps(found).encode()
        self.head({}, {"Content-Type": "application/json", "Content-Length": str(len(content))})
        self.wfile.write(content)


def frame(opcode: int, payload: bytes) -> bytes:
    if len(payload) < 126:
        return bytes([0x80 | opcode, len(payload)]) + payload
    if len(payload) < 65536:
        return bytes([0x80 | opcode, 126]) + struct.pack("!H", len(payload)) + payload
    return bytes([0x80 | opcode, 127]) + struct.pack("!Q", len(payload)) + payload


def read_frame(stream: BufferedIOBase) -> tuple[int, bytes] | None:
    """A masked frame, unmasked; None where the connection ends."""
    head = stream.read(2)
    if len(head) < 2:
        return None
    size = head[1] & 0x7F
    if size > 125:
        size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
    mask, payload = stream.read(4), stream.read(size)
    return head[0] & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 1024


class Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 1024

    def get_request(self) -> tuple[socket.socket, Any]:
        # http.server takes the first part of a peer's address for its host.
        return self.socket.accept()[0], ("unix", 0)


if __name__ == "__main__":
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    threading.Thread(target=Unix(SOCKET, Handler).serve_forever, daemon=True).start()
    Tcp(("127.0.0.1", PORT), Handler).serve_forever()
