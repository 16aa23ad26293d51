# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients on a unix socket: single requests, constant load as from nginx, and a WebSocket, byte by byte."""

from __future__ import annotations

import base64
import http.client
import json
import os
import select
import socket
import struct
import threading
import time
import typing as t
from pathlib import Path


class Connection(http.client.HTTPConnection):
    """Opens the path anew for each connection, as nginx does with a symlink."""

    def __init__(self, path: Path, timeout: float = 20) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def ask(self, target: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.request(method, target, body, named)
        response = self.getresponse()
        return Answer(response.status, response.headers, response.read())


class Answer(t.NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def said(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self.body))

    @property
    def closes(self) -> bool:
        return self.headers.get("Connection", "").lower() == "close"


def ask(path: Path, target: str = "/", **options: t.Any) -> Answer:
    connection = Connection(path)
    try:
        return connection.ask(target, **options)
    finally:
        connection.close()


class Load:
    """Requests at a bounded rate, on kept and on new connections; what is no 200 is an error."""

    def __init__(self, path: Path, kept: int = 4, new: int = 2, pause: float = 0.004) -> None:
        self.errors: list[str] = []
        self.pids: dict[int, int] = {}
        self.slowest = 0.0
        self.count = 0
        self._path = path
        self._pause = pause
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number < kept, number % 2 == 0)) for number in range(kept + new)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kept: bool, posts: bool) -> None:
        connection = Connection(self._path)
        while not self._end.is_set():
            began = time.monotonic()
            try:
                answer = connection.ask("/", method="POST", body=b"x" * 100) if posts else connection.ask("/")
                problem = "" if answer.status == 200 else str(answer.status)
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            with self._lock:
                self.count += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
                if problem:
                    self.errors.append(f"{'kept' if kept else 'new'} {'POST' if posts else 'GET'}: {problem}")
                else:
                    pid = answer.said["pid"]
                    self.pids[pid] = self.pids.get(pid, 0) + 1
            if problem or not kept:
                connection.close()
            time.sleep(self._pause)
        connection.close()


class WebSocket:
    """Speaks text frames below 126 bytes."""

    def __init__(self, path: Path, target: str = "/ws", **headers: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._stream = self._socket.makefile("rb")
        self.status = int(self._stream.readline().split()[1])
        self.headers = http.client.parse_headers(self._stream)

    def echo(self, text: str) -> str:
        self._send(1, text.encode())
        opcode, payload = self._frame()
        assert opcode == 1
        return payload.decode()

    def closed_with(self) -> int:
        """Wait for the end that the server announces, and return its code."""
        opcode, payload = self._frame()
        while opcode == 1:
            opcode, payload = self._frame()
        assert opcode == 8
        code: int = struct.unpack("!H", payload[:2])[0]
        return code

    def is_open(self) -> bool:
        return not select.select([self._socket], [], [], 0.3)[0]

    def agree(self) -> None:
        """Answer the announcement, upon which the server ends the connection."""
        self._send(8, struct.pack("!H", 1012))
        assert self._stream.read() == b""

    def _send(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._socket.sendall(bytes([0x80 | opcode, 0x80 | len(data)]) + mask + data)

    def _frame(self) -> tuple[int, bytes]:
        first, length = self._stream.read(2)
        return first & 15, self._stream.read(length)

    def close(self) -> None:
        self._stream.close()
        self._socket.close()
