# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot's lineages, the order, and the CA's own words."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import certbot
from ansible_collections.asgi.deploy.plugins.module_utils.certbot import Lineage, challenge_problem

Fixture = t.Any

SERVER = "https://ca.example.com/dir"
RENEWAL = "version = 2.1.0\n[renewalparams]\nserver = https://ca.example.com/dir\nkey_type = ecdsa\n"
NAMES = ["notes.example.com", "www.example.com"]
WANTED = {"name": "notes", "domains": NAMES, "key_type": "ecdsa"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "letsencrypt"
    monkeypatch.setattr(certbot, "HOME", str(folder))
    monkeypatch.setattr(certbot, "LOG", str(folder / "letsencrypt.log"))
    return folder


@pytest.fixture
def have(home: Path, make_pair: Fixture, write: Fixture) -> t.Callable[..., Path]:
    """Return a function that puts a lineage for these names there."""

    def run(*names: str, renewal: str = RENEWAL) -> Path:
        folder = home / "live" / "notes"
        shutil.copytree(make_pair(*names), folder)
        write(home / "renewal" / "notes.conf", renewal)
        return folder

    return run


def reasons(server: str = SERVER, key_type: str = "ecdsa") -> list[str]:
    return Lineage({**WANTED, "key_type": key_type}).reasons(server)


def test_there_is_none(home: Path) -> None:
    assert reasons() == ["there is none"]
    # A link to nothing is none, too.
    (home / "live" / "notes").mkdir(parents=True)
    (home / "live" / "notes" / "fullchain.pem").symlink_to("../../archive/notes/fullchain1.pem")
    assert reasons() == ["there is none"]


def test_nothing_to_do(have: Fixture) -> None:
    have("WWW.example.com", "notes.example.com")
    assert reasons() == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["notes.example.com"], "it is for notes.example.com"),
        ([*NAMES, "more.example.com"], "it is for more.example.com, notes.example.com, www.example.com"),
        # A wildcard covers them, and is still another set.
        (["*.example.com"], "it is for *.example.com"),
    ],
)
def test_other_names(have: Fixture, names: list[str], said: str) -> None:
    have(*names)
    assert reasons() == [said]


@pytest.mark.parametrize(
    ("renewal", "server", "key_type", "said"),
    [
        (RENEWAL, "https://other.example.com/dir", "ecdsa", [f"it is from {SERVER}"]),
        (RENEWAL, SERVER, "rsa", ["its key is ecdsa"]),
        (RENEWAL, "https://other.example.com/dir", "rsa", [f"it is from {SERVER}", "its key is ecdsa"]),
        (RENEWAL.replace(" = ", "="), SERVER, "ecdsa", []),
        (RENEWAL.replace("\n", "  \n"), SERVER, "ecdsa", []),
        ("", SERVER, "ecdsa", ["it is from None", "its key is None"]),
        (RENEWAL.replace("server", "# server"), SERVER, "ecdsa", ["it is from None"]),
    ],
)
def test_other_settings(have: Fixture, renewal: str, server: str, key_type: str, said: list[str]) -> None:
    have(*NAMES, renewal=renewal)
    assert reasons(server, key_type) == said


def test_a_pair_that_nginx_could_not_serve(have: Fixture, make_pair: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = have(*NAMES)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 91 * 86400)
    [said] = reasons()
    assert said.startswith(f"{folder}/fullchain.pem expired on ")
    monkeypatch.undo()
    monkeypatch.setattr(certbot, "HOME", str(folder.parents[1]))
    shutil.copy(make_pair(*NAMES) / "privkey.pem", folder / "privkey.pem")
    assert reasons() == [f"{folder}/privkey.pem is not the key of {folder}/fullchain.pem"]


PARAMS = {
    "server": SERVER, "certbot": "certbot", "webroot": "/var/www/acme", "email": None, "ca_bundle": None,
}  # fmt: skip


def test_order(fake_run: Fixture) -> None:
    run = fake_run()
    assert Lineage(WANTED).order(run, PARAMS) is None
    assert run.commands == [
        "certbot certonly --non-interactive --agree-tos --cert-name notes --server https://ca.example.com/dir "
        "--key-type ecdsa --webroot --webroot-path /var/www/acme --register-unsafely-without-email "
        "--domain notes.example.com --domain www.example.com"
    ]
    assert run.environments == [{}]


def test_order_with_everything(have: Fixture, fake_run: Fixture) -> None:
    have(*NAMES)
    run = fake_run()
    params = {**PARAMS, "server": "https://new.example.com", "email": "ops@example.com", "ca_bundle": "/etc/ca.pem"}
    assert Lineage(WANTED).order(run, params) is None
    assert "--email ops@example.com" in run.commands[0]
    # certbot would keep the other server's certificate.
    assert run.commands[0].endswith(" --force-renewal")
    assert run.environments == [{"REQUESTS_CA_BUNDLE": "/etc/ca.pem"}]


REFUSED_CONNECTION = (
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='localhost', port=14000): Max retries exceeded with "
    "url: /dir (Caused by NewConnectionError('<urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish "
    "a new connection: [Errno 111] Connection refused'))"
)
UNTRUSTED = (
    "requests.exceptions.SSLError: HTTPSConnectionPool(host='localhost', port=14000): Max retries exceeded with url: "
    "/dir (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
    "unable to get local issuer certificate (_ssl.c:992)')))"
)


def log(*lines: str) -> str:
    return "\n".join([
        "2026-11-20 10:00:00,000:DEBUG:certbot._internal.main:certbot version: 2.1.0",
        '{"type": "urn:ietf:params:acme:error:old", "detail": "of an earlier run"}',
        "2026-11-20 11:00:00,000:DEBUG:certbot._internal.main:certbot version: 2.1.0",
        *lines,
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("written", "output", "words"),
    [
        (log('  "detail": "Fetching http://notes.example.com/: refused",'), "AttributeError: can't set attribute",
         "the CA refused: Fetching http://notes.example.com/: refused"),
        (log('"detail": "one"', '"detail": "two"', '"detail": "one"'), "", "the CA refused: one; two"),
        (log('"detail": "a \\"quoted\\" name"'), "", 'the CA refused: a "quoted" name'),
        (log(), "  Domain: a\n  Detail: 1.2.3.4: no answer\n", "the CA refused: 1.2.3.4: no answer"),
        (log("requests.exceptions.ConnectionError: [Errno 1] first", REFUSED_CONNECTION), "An unexpected error",
         "the CA could not be reached: [Errno 111] Connection refused"),
        (log(UNTRUSTED), "",
         "the CA could not be reached: certificate verify failed: unable to get local issuer certificate"),
        (log(), "x" * 2000 + " the end\n", "x" * 992 + " the end"),
        (None, "no log at all\n", "no log at all"),
        (None, "", ""),
    ],
)  # fmt: skip
def test_words(home: Path, write: Fixture, fake_run: Fixture, written: str | None, output: str, words: str) -> None:
    if written is not None:
        write(home / "letsencrypt.log", written)
    assert Lineage(WANTED).order(fake_run({"certbot": (1, output, "")}), PARAMS) == (
        words or "certbot failed without a word"
    )


def test_challenge_is_answered(tmp_path: Path) -> None:
    """A server that answers with the file, as nginx does."""
    hosts = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            super().do_GET()

        def log_message(self, format: str, *args: t.Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert challenge_problem(str(tmp_path), "notes.example.com", server.server_port) is None
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert hosts == ["notes.example.com"]
    assert os.listdir(tmp_path / ".well-known" / "acme-challenge") == []


def test_challenge_is_answered_behind_the_proxy_protocol(tcp_server: Fixture, tmp_path: Path) -> None:
    """nginx then hangs up on whoever comes without the protocol's line; the CA comes by the load balancer."""
    server, port = tcp_server
    asked: list[bytes] = []

    def answer() -> None:
        for _index in range(2):
            connection, _address = server.accept()
            with connection:
                asked.append(connection.recv(65536))
                if asked[-1].startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 "):
                    while b"\r\n\r\n" not in asked[-1]:
                        asked[-1] += connection.recv(65536)
                    token = asked[-1].split()[7].rsplit(b"/", 1)[1]
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(token), token))

    thread = threading.Thread(target=answer)
    thread.start()
    assert challenge_problem(str(tmp_path), "notes.example.com", port) is None
    thread.join()
    server.close()
    assert asked[0].startswith(b"GET /.well-known/acme-challenge/")
    assert b"\r\nHost: notes.example.com\r\n" in asked[1]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        (b"HTTP/1.1 308 Moved\r\nLocation: https://x\r\nContent-Length: 0\r\n\r\n", "308"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", "200"),
    ],
)
def test_challenge_is_answered_wrongly(
    serve: Fixture, tcp_server: Fixture, tmp_path: Path, answer: bytes, status: str
) -> None:
    server, port = tcp_server
    with serve(server, answer):
        problem = challenge_problem(str(tmp_path), "notes.example.com", port)
    assert problem == (
        f"port {port} of this host answers {status} to a challenge for notes.example.com: "
        f"no site serves it from {tmp_path}"
    )
    assert os.listdir(tmp_path / ".well-known" / "acme-challenge") == []


@pytest.mark.parametrize("answer", [b"garbage\r\n", b""])
def test_challenge_has_no_answer(serve: Fixture, tcp_server: Fixture, tmp_path: Path, answer: bytes) -> None:
    server, port = tcp_server
    with serve(server, answer):
        problem = challenge_problem(str(tmp_path), "notes.example.com", port)
    assert problem is not None
    assert problem.startswith(f"port {port} of this host does not answer for notes.example.com: ")
    assert os.listdir(tmp_path / ".well-known" / "acme-challenge") == []
