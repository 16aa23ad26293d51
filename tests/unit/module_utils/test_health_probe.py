# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host is asked for its health, and what counts as an answer."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
import time
import typing as t
from pathlib import Path

import hop_pki
import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import health_probe
from ansible_collections.asgi.deploy.plugins.module_utils.health_probe import Target, ask, ask_all, connect

Serve = t.Callable[[socket.socket, bytes | None], contextlib.AbstractContextManager[list[bytes]]]
Server = tuple[socket.socket, int]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"


def target(port: int, **changes: t.Any) -> Target:
    known = Target(
        f"127.0.0.1:{port}", "app1", "notes", ["site__notes"], "/health?full", "notes.example.com", True, 200, None
    )
    return known._replace(**changes)


@pytest.mark.parametrize(
    ("answer", "changes", "problem"),
    [
        (OK, {}, None),
        (OK, {"body": "ready"}, None),
        (OK, {"body": "steady"}, "GET /health?full answered 200 without the text steady: ready"),
        (OK, {"status": 204}, "GET /health?full answered 200 instead of 204: ready"),
        (OK.replace(b"200 OK", b"503 No"), {}, "GET /health?full answered 503 instead of 200: ready"),
        # A redirect is no healthy answer, and is not followed.
        (OK.replace(b"200 OK", b"301 No"), {}, "GET /health?full answered 301 instead of 200: ready"),
        (b"", {}, "GET /health?full had no answer: Remote end closed connection without response"),
        (b"SSH-2.0-OpenSSH\r\n", {}, "GET /health?full had no answer: SSH-2.0-OpenSSH\r\n"),
    ],
)
def test_answers(
    serve: Serve, tcp_server: Server, answer: bytes, changes: dict[str, t.Any], problem: str | None
) -> None:
    server, port = tcp_server
    with serve(server, answer) as requests:
        assert ask(target(port, **changes), 2) == problem
    assert requests[0].startswith(b"GET /health?full HTTP/1.1\r\n")


@pytest.mark.parametrize(("https", "scheme"), [(True, b"https"), (False, b"http")])
def test_it_asks_as_nginx_does(serve: Serve, tcp_server: Server, https: bool, scheme: bytes) -> None:
    server, port = tcp_server
    with serve(server, OK) as requests:
        ask(target(port, https=https), 2)
    lines = requests[0].split(b"\r\n")
    assert lines.count(b"Host: notes.example.com") == 1
    assert b"X-Forwarded-Proto: " + scheme in lines


def test_nobody_there(tcp_server: Server) -> None:
    server, port = tcp_server
    server.close()
    problem = ask(target(port), 2)
    assert problem is not None
    assert "Connection refused" in problem


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("10.0.0.1:8000", "10.0.0.1", 8000), ("[2001:db8::1]:80", "2001:db8::1", 80), ("app1:8000", "app1", 8000)],
)
def test_addresses(address: str, host: str, port: int) -> None:
    connection = connect(target(1, address=address), 1)
    assert (connection.host, connection.port) == (host, port)


def test_all_are_asked_at_once_and_none_for_longer(serve: Serve, tcp_server: Server) -> None:
    server, port = tcp_server
    other = socket.socket()
    other.bind(("127.0.0.1", 0))
    other.listen()
    silent = [target(port, address=f"127.0.0.1:{port}"), target(port, address=f"localhost:{port}")]
    healthy = target(other.getsockname()[1])
    began = time.monotonic()
    with serve(server, None), serve(other, OK):
        answers = ask_all([*silent, healthy], 0.6)
        took = time.monotonic() - began
    assert answers[healthy.address] is None
    assert {answers[one.address] for one in silent} == {"GET /health?full had no answer within 0.6 s"}
    assert took < 1.2


def test_nobody_to_ask() -> None:
    assert ask_all([], 1) == {}


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: t.Any) -> None:
        """Not into the tests' output."""


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    return hop_pki.make(tmp_path)


@pytest.fixture
def behind_tls(pki: Path) -> t.Iterator[int]:
    """The port of a host that lets nobody in without a certificate of the CA."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Healthy)
    server.handle_error = lambda *_words: None  # type: ignore[method-assign]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "notes.pem", pki / "notes.key")
    context.load_verify_locations(pki / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def shows(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make these the certificates of the proxy."""
    pair = folder / "pair.pem"
    pair.write_text((folder / "proxies.key").read_text() + (folder / "proxies.pem").read_text(), encoding="ascii")
    monkeypatch.setattr(health_probe, "PAIR", str(pair))
    monkeypatch.setattr(health_probe, "CA", str(folder / "ca.pem"))


def test_a_host_behind_mutual_tls_is_asked_with_the_certificate_of_nginx(
    monkeypatch: pytest.MonkeyPatch, pki: Path, behind_tls: int
) -> None:
    shows(monkeypatch, pki)
    assert ask(target(behind_tls, tls_name="notes"), 5) is None
    assert "had no answer" in str(ask(target(behind_tls), 5)), "by plain HTTP"
    assert "CERTIFICATE_VERIFY_FAILED" in str(ask(target(behind_tls, tls_name="shop"), 5)), "as another application"


def test_a_host_of_another_authority_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, behind_tls: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shows(monkeypatch, hop_pki.make(tmp_path_factory.mktemp("other")))
    assert "CERTIFICATE_VERIFY_FAILED" in str(ask(target(behind_tls, tls_name="notes"), 5))
