# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that answer as an application would, or as it should not."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import typing as t
from pathlib import Path

import pytest

Serve = t.Callable[[socket.socket, bytes | None], contextlib.AbstractContextManager[list[bytes]]]


@contextlib.contextmanager
def _serving(server: socket.socket, answer: bytes | None) -> t.Iterator[list[bytes]]:
    """Give every connection this answer; None keeps it open without one."""
    requests: list[bytes] = []
    stopping = threading.Event()
    server.settimeout(0.05)

    def loop() -> None:
        kept = []
        while not stopping.is_set():
            try:
                connection, _address = server.accept()
            except TimeoutError:
                continue
            kept.append(connection)
            connection.settimeout(2)
            requests.append(connection.recv(65536))
            if answer is not None:
                connection.sendall(answer)
                connection.close()
        for connection in kept:
            connection.close()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield requests
    finally:
        stopping.set()
        thread.join()
        server.close()


@pytest.fixture
def serve() -> Serve:
    return _serving


@pytest.fixture
def socket_path() -> t.Iterator[str]:
    """Return a short path: that of a socket holds 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        yield os.path.join(folder, "app.sock")


@pytest.fixture
def unix_server(socket_path: str) -> tuple[socket.socket, str]:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(socket_path)
    server.listen()
    return server, socket_path


@pytest.fixture
def tcp_server() -> tuple[socket.socket, int]:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server, server.getsockname()[1]


class FakeRun:
    """Stands for AnsibleModule.run_command: answers by the command's first words, and writes down what was run."""

    def __init__(self, answers: dict[str, tuple[int, str, str]] | None = None) -> None:
        self.answers = answers or {}
        self.commands: list[str] = []
        self.environments: list[dict[str, str]] = []
        #: Whether ~ and $VARIABLE in the words of each were replaced, as run_command does unless it is told not to.
        self.expanded: list[bool] = []

    def __call__(
        self,
        command: list[str],
        environ_update: dict[str, str] | None = None,
        expand_user_and_vars: bool = True,
    ) -> tuple[int, str, str]:
        line = " ".join(command)
        self.commands.append(line)
        self.expanded.append(expand_user_and_vars)
        self.environments.append(environ_update or {})
        return next((answer for words, answer in self.answers.items() if line.startswith(words)), (0, "", ""))


@pytest.fixture
def fake_run() -> type[FakeRun]:
    return FakeRun


@pytest.fixture
def write() -> t.Callable[[Path, str], Path]:
    def run(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return run
