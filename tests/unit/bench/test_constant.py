# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The constant load: what counts as lost, and that a server which stands still is not spared."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path

import pytest

from tests.bench.inside import constant

SHA = hashlib.sha256(constant.CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("kind", "status", "body", "said"),
    [
        ("GET kept", 200, b'{"version": "1"}', None),
        ("POST new", 200, json.dumps({"size": 1024, "sha256": SHA}).encode(), None),
        ("GET kept", 502, b'{"version": "1"}', "GET kept: 502"),
        ("GET new", 204, b"", "GET new: 204"),
        ("GET new", 200, b"<html>", "GET new: no JSON"),
        ("GET new", 200, b'{"status": "ready"}', "GET new: another answer"),
        ("POST new", 200, b'{"size": 1023, "sha256": "0"}', "POST new: another answer"),
        ("POST new", 200, b'{"version": "1"}', "POST new: another answer"),
    ],
)
def test_what_counts_as_answered(kind: str, status: int, body: bytes, said: str | None) -> None:
    assert constant.problem(kind, status, body) == said


@pytest.mark.parametrize(
    ("header", "kept"), [("Connection: keep-alive\r\n", True), ("", True), ("Connection: close\r\n", False)]
)
def test_an_answer_is_read_to_its_end(header: str, kept: bool) -> None:
    async def read() -> tuple[tuple[int, bytes, bool], bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{header}\r\nokrest".encode())
        reader.feed_eof()
        return await constant.answer(reader), await reader.read()

    assert asyncio.run(read()) == ((200, b"ok", kept), b"rest")


def test_an_answer_that_ends_too_early_is_an_error() -> None:
    async def read() -> object:
        reader = asyncio.StreamReader()
        reader.feed_data(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
        reader.feed_eof()
        return await constant.answer(reader)

    with pytest.raises(EOFError):
        asyncio.run(read())


def test_a_new_connection_is_one_that_ends() -> None:
    assert b"Connection: close\r\n" in constant.request("POST new", "bench.test", kept=False)
    assert b"Connection" not in constant.request("GET kept", "bench.test", kept=True)
    head, _, body = constant.request("POST kept", "bench.test", kept=True).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
    assert constant.CONTENT in body


def test_a_server_that_stands_still_is_not_asked_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All requests are delayed by a second: as many are made, and each shows the second."""
    load = constant.Load("bench.test")
    stop = tmp_path / "stop"

    async def late(kind: str, kept: bool) -> None:
        await asyncio.sleep(1)
        stop.touch()

    monkeypatch.setattr(load, "_ask", late)
    asyncio.run(load.run(50, str(stop)))
    assert 40 <= len(load.found) <= 60
    assert {kind for _due, _ms, kind, _error in load.found} == {kind for kind, _kept in constant.KINDS}
    assert min(ms for _due, ms, _kind, _error in load.found) >= 1000


def test_time_that_the_load_itself_lost_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = constant.Load("bench.test")
    stop = tmp_path / "stop"

    async def blocked(kind: str, kept: bool) -> None:
        if not load.found:
            time.sleep(0.5)
        stop.touch()

    monkeypatch.setattr(load, "_ask", blocked)
    asyncio.run(load.run(20, str(stop)))
    assert max(ms for _due, ms, _kind, _error in load.found) >= 500


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "GET new: ConnectionResetError"),
        (asyncio.IncompleteReadError(b"", 5), "GET new: IncompleteReadError"),
        (KeyError("content-length"), "GET new: KeyError"),
    ],
)
def test_a_connection_that_breaks_is_a_failed_request(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = constant.Load("bench.test")

    async def broken(kind: str, kept: bool) -> None:
        raise error

    monkeypatch.setattr(load, "_ask", broken)
    asyncio.run(load.one(time.time(), "GET new", False))
    assert (load.found[0][3] or "").startswith(said)
