# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request through nginx that confirms a switch."""

from __future__ import annotations

import http.client
import time
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.smoke import Answer, Smoke

SMOKE = Smoke("/health?x=1", "notes.example.com", https=True, timeout=1)
OURS = b"HTTP/1.1 200 OK\r\nX-Asgi-Deploy-Slot: green\r\nContent-Length: 2\r\n\r\nok"
OTHER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Fixture = t.Any


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OURS, Answer(200, "green", "ok")),
        (OTHER, Answer(200, None, "ok")),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", Answer(502, None, "")),
        (b"garbage\r\n\r\n", Answer(0, None, "garbage\r\n")),
    ],
)
def test_ask(
    serve: Fixture, tcp_server: Fixture, monkeypatch: pytest.MonkeyPatch, answer: bytes, expected: Answer
) -> None:
    server, port = tcp_server
    monkeypatch.setattr(Smoke, "_connection", lambda self: http.client.HTTPConnection("127.0.0.1", port, timeout=1))
    with serve(server, answer) as requests:
        assert SMOKE.ask("secret") == expected
    head = requests[0].decode("ascii").split("\r\n")
    assert head[0] == "GET /health?x=1 HTTP/1.1"
    # Not from a cache, whatever that keeps; and by this site.
    assert {"Host: notes.example.com", "X-Asgi-Deploy-Probe: secret", "Cookie: asgi-deploy=probe"} <= set(head)


def test_a_host_that_only_a_proxy_gets_into_is_asked_behind_its_port(serve: Fixture, unix_server: Fixture) -> None:
    server, path = unix_server
    smoke = SMOKE._replace(https=False, socket=path)
    with serve(server, OURS) as requests:
        assert smoke.ask("secret") == Answer(200, "green", "ok")
    assert b"Host: notes.example.com\r\n" in requests[0]


def test_a_failure_behind_the_port_says_where(serve: Fixture, unix_server: Fixture) -> None:
    server, path = unix_server
    with serve(server, b"HTTP/1.1 500 No\r\nX-Asgi-Deploy-Slot: green\r\nContent-Length: 0\r\n\r\n"):
        said = SMOKE._replace(https=False, socket=path).wait("secret") or ""
    assert said.startswith(f"At {path}: GET /health?x=1 was answered 500 by the new release")


def test_ask_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Smoke, "_connection", lambda self: http.client.HTTPConnection("127.0.0.1", 1, timeout=1))
    answer = SMOKE.ask("secret")
    assert (answer.status, answer.slot) == (0, None)
    assert "refused" in answer.said


@pytest.mark.parametrize(("https", "port"), [(True, 443), (False, 80)])
def test_only_this_host_is_asked(https: bool, port: int) -> None:
    connection = SMOKE._replace(https=https)._connection()
    assert (connection.host, connection.port) == ("127.0.0.1", port)


@pytest.mark.parametrize(
    ("answer", "reaches"),
    [
        (Answer(200, "blue", ""), True),
        (Answer(404, "blue", ""), True),
        (Answer(503, "blue", ""), False),
        (Answer(200, None, ""), False),
        (Answer(0, None, ""), False),
    ],
)
def test_reaches(monkeypatch: pytest.MonkeyPatch, answer: Answer, reaches: bool) -> None:
    monkeypatch.setattr(Smoke, "ask", lambda self, probe: answer)
    assert SMOKE.reaches("secret") is reaches


OLD, NEW, GONE = Answer(200, None, "old"), Answer(200, "green", "new"), Answer(502, None, "")


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([NEW], None),
        # nginx has connections to the slot before, which it uses once more each.
        ([OLD, OLD, GONE, NEW], None),
        ([OLD, Answer(500, "green", "boom")],
         "Through nginx: GET /health?x=1 was answered 500 by the new release: boom"),
    ],
)  # fmt: skip
def test_wait(monkeypatch: pytest.MonkeyPatch, answers: list[Answer], problem: str | None) -> None:
    left = list(answers)
    monkeypatch.setattr(Smoke, "ask", lambda self, probe: left.pop(0))
    assert SMOKE.wait("secret") == problem
    assert left == []


@pytest.mark.parametrize(
    ("answer", "last"), [(GONE, "status 502"), (Answer(0, None, "connection refused"), "connection refused")]
)
def test_wait_ends(monkeypatch: pytest.MonkeyPatch, answer: Answer, last: str) -> None:
    monkeypatch.setattr(Smoke, "ask", lambda self, probe: answer)
    began = time.monotonic()
    problem = SMOKE.wait("secret")
    assert problem == (
        f"Through nginx: GET /health?x=1 did not reach the new release within 1 s; the last answer: {last}"
    )
    assert 1 <= time.monotonic() - began < 3
