# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question that a release has to answer."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import health as module
from ansible_collections.asgi.deploy.plugins.module_utils.health import Health

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEALTH = Health("/health?x=1", "notes.example.com", 1)

Fixture = t.Any


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (OK, None),
        (b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope\n", "answered 404 instead of 200: nope"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "answered 503 instead of 200: "),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "answered 301 instead of 200: "),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 900\r\n\r\n" + b"\xff" * 900,
         "answered 500 instead of 200: " + "\ufffd" * 200),
        (b"garbage\r\n\r\n", "had no answer: "),
        (b"HTTP/1.1 abc OK\r\n\r\n", "had no answer: "),
        (b"", "had no answer: Remote end closed connection without response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", None),
    ],
)  # fmt: skip
def test_ask(serve: Fixture, unix_server: Fixture, answer: bytes, problem: str | None) -> None:
    server, path = unix_server
    with serve(server, answer) as requests:
        said = HEALTH.ask(path)
    if problem is None:
        assert said is None
    else:
        assert said is not None
        assert said.startswith("GET /health?x=1 " + problem)
    head = requests[0].decode("ascii").split("\r\n")
    assert head[0] == "GET /health?x=1 HTTP/1.1"
    assert "Host: notes.example.com" in head
    assert "X-Forwarded-Proto: https" in head


def test_ask_one_that_hangs(serve: Fixture, unix_server: Fixture) -> None:
    server, path = unix_server
    began = time.monotonic()
    with serve(server, None):
        assert HEALTH.ask(path) == "GET /health?x=1 had no answer: timed out"
    assert 0.9 < time.monotonic() - began < 5


def test_ask_nobody(socket_path: str) -> None:
    assert HEALTH.ask(socket_path) == "GET /health?x=1 had no answer: [Errno 2] No such file or directory"


def test_wait_until_it_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([(0, "not yet"), (503, "not yet"), (200, None)])
    monkeypatch.setattr(Health, "_ask", lambda self, address: next(said))
    assert HEALTH.wait("/x") is None


def test_a_wrong_path_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([(404, "not found"), (200, None)])
    monkeypatch.setattr(Health, "_ask", lambda self, address: next(said))
    assert HEALTH.wait("/x") == "not found"


def test_wait_ends(socket_path: str) -> None:
    began = time.monotonic()
    problem = HEALTH.wait(socket_path)
    assert problem is not None
    assert "No such file" in problem
    assert 1 <= time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("health", "answer", "problem"),
    [
        (HEALTH._replace(status=204), b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (HEALTH._replace(status=404), b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", None),
        (HEALTH._replace(status=204), OK, "GET /health?x=1 answered 200 instead of 204: ok"),
        (HEALTH._replace(body="ok"), OK, None),
        (HEALTH._replace(body="fine"), OK, "GET /health?x=1 answered 200 without the text fine: ok"),
    ],
)
def test_what_is_healthy(
    serve: Fixture, unix_server: Fixture, health: Health, answer: bytes, problem: str | None
) -> None:
    server, path = unix_server
    with serve(server, answer):
        assert health.ask(path) == problem


BAD = (503, "busy")


@pytest.mark.parametrize(
    ("answers", "asked"),
    [([None, None, None], 3), ([None, None, BAD, None, None, None], 6), ([BAD, BAD, None, None, None], 5)],
)
def test_so_many_times_in_a_row(monkeypatch: pytest.MonkeyPatch, answers: list[t.Any], asked: int) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0)
    left = list(answers)
    monkeypatch.setattr(Health, "_ask", lambda self, address: left.pop(0) or (200, None))
    assert HEALTH._replace(successes=3, timeout=5).wait("/x") is None
    assert len(answers) - len(left) == asked


def test_one_that_changes_its_mind_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it says at the end of its time."""
    said = [(200, None), (503, "busy")] * 1000
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    monkeypatch.setattr(Health, "_ask", lambda self, address: said.pop())
    problem = HEALTH._replace(successes=3).wait("/x")
    assert problem in ("busy", "GET /health?x=1 was healthy 1 times in a row instead of 3 within 1 s")
