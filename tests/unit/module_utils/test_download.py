# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files from a server: what is followed, what is held against what was announced, and what a user reads."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import download
from ansible_collections.asgi.deploy.plugins.module_utils.download import fetch, shown_url
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError
from ansible_collections.asgi.deploy.plugins.module_utils.sources import source_of

CONTENT = b"x" * 3_000_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    #: Where /elsewhere leads to.
    target = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", self.target)
            self.end_headers()
            return
        self.send_response(200 if path in ("/a", "/short") else 404)
        self.send_header("Content-Length", str(len(CONTENT) + (1000 if path == "/short" else 0)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *arguments: t.Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[str]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize("path", ["/a", "/a?token=hunter2", "/elsewhere"])
def test_a_file(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(Handler, "target", f"{server}/a")
    fetch(server + path, DIGEST, str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == CONTENT


def refused(url: str, folder: Path, digest: str = DIGEST) -> str:
    with pytest.raises(BuildError) as caught:
        fetch(url, digest, str(folder / "file"))
    assert os.listdir(folder) == []
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nowhere?token=hunter2", "/nowhere?***: the server answers 404 Not Found"),
        ("/short", "/short: it broke off after 3000000 of 3001000 bytes"),
    ],
)
def test_what_is_not_to_be_had(server: str, tmp_path: Path, path: str, words: str) -> None:
    assert refused(server + path, tmp_path) == f"gunicorn_app_source.url: {server}{words}"


def test_another_checksum(server: str, tmp_path: Path) -> None:
    message = refused(f"{server}/a", tmp_path, "0" * 64)
    assert message.endswith(f"/a: its checksum is sha256:{DIGEST}, not sha256:{'0' * 64}")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:,x"])
def test_other_schemes_are_not_followed(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setattr(Handler, "target", target)
    message = refused(f"{server}/elsewhere", tmp_path, hashlib.sha256(b"x").hexdigest())
    assert "not allowed" in message or "which is not followed" in message


def test_no_server(tmp_path: Path) -> None:
    assert refused("http://127.0.0.1:9/a", tmp_path).endswith(": Connection refused")


@pytest.mark.parametrize("answer", [b"", b"no http\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_no_http(serve: t.Any, tcp_server: t.Any, tmp_path: Path, answer: bytes) -> None:
    listener, port = tcp_server
    with serve(listener, answer):
        assert "no http" not in refused(f"http://127.0.0.1:{port}/a", tmp_path)


def test_it_takes_too_long(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_SECONDS", -1)
    assert "it was not there after -1 s" in refused(f"{server}/a", tmp_path)


def test_it_would_fill_the_disk(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_SPARE", 2**60)
    assert "it has 2 MB, and 0 MB are free" in refused(f"{server}/a", tmp_path)


def test_shown_url() -> None:
    assert shown_url("https://me:hunter2@a:8443/b?c=hunter2#d") == "https://a:8443/b?***"


def test_what_is_kept_of_a_url(tmp_path: Path) -> None:
    params = {"type": "archive", "path": None, "url": "https://a/b?hunter2", "checksum": f"sha256:{DIGEST}"}
    source = source_of(params, None, str(tmp_path))
    assert source.described == {
        "type": "archive",
        "url": "https://a/b?***",
        "checksum": f"sha256:{DIGEST}",
        "digest": DIGEST,
    }
    assert not source.needs_archive


def test_what_the_controller_sends(tmp_path: Path) -> None:
    params = {"type": "archive", "url": None, "digest": DIGEST}
    assert source_of(params, None, "").needs_archive
    (tmp_path / "sent").write_bytes(b"y")
    source = source_of(params, str(tmp_path / "sent"), "")
    assert not source.needs_archive
    with pytest.raises(BuildError, match="what arrived has not the checksum of what was sent"):
        source.unpack(str(tmp_path / "app"))
    assert not (tmp_path / "app").exists()


def test_a_package_is_known_by_what_pip_gets(tmp_path: Path) -> None:
    source = source_of({"type": "package", "name": "a", "version": "1", "extras": ["c", "b"]}, None, "")
    assert source.described["digest"] == "a[b,c]==1"
    source.unpack(str(tmp_path / "app"))
    assert os.listdir(tmp_path / "app") == []
