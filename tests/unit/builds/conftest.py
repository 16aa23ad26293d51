# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An index of packages that are made here, and the folders of a host below a temporary one."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import os
import pwd
import re
import sys
import threading
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import build_tools, index_access
from ansible_collections.asgi.deploy.plugins.module_utils.release import Install, Releases

PASSWORD = "hunter2/+=$%&!?@:;"


def wheel(name: str, version: str, text: str = "", script: bool = False) -> bytes:
    """Return a wheel with one module, whose ``main`` prints the module's place."""
    module, record = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{module}.py": text or f"VERSION = {version!r}\n\ndef main():\n    print(__file__)\n",
        f"{record}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{record}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        files[f"{record}/entry_points.txt"] = f"[console_scripts]\n{name} = {module}:main\n"
    rows = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(content)}\n")
    files[f"{record}/RECORD"] = "".join(rows) + f"{record}/RECORD,,\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for path, content in files.items():
            packed.writestr(path, content)
    return stream.getvalue()


class Index:
    """Serves what is in ``files``; ``password`` is asked for where there is one."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.password: str | None = None
        self.asked: list[str] = []
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = index.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/zip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: t.Any) -> None:
                index.asked.append(self.path)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name: str, version: str, **options: t.Any) -> str:
        """Add a package and return its locked requirement."""
        content = wheel(name, version, **options)
        self.files[f"{name.replace('-', '_')}-{version}-py3-none-any.whl"] = content
        return f"{name}=={version} --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"

    def answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        if self.password is not None:
            wanted = base64.b64encode(f"me:{self.password}".encode()).decode()
            if authorization != f"Basic {wanted}":
                return 401, b""
        page = re.fullmatch(r"/simple/([^/]+)/", path)
        if page is None:
            content = self.files.get(path.rpartition("/")[2])
            return (404, b"") if content is None else (200, content)
        found = [file for file in self.files if file.startswith(page[1].replace("-", "_") + "-")]
        return (200, "".join(f'<a href="/f/{file}">{file}</a>\n' for file in found).encode()) if found else (404, b"")


@pytest.fixture
def index() -> t.Iterator[Index]:
    made = Index()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="session")
def tools_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tools")


class Builder:
    """Builds releases as the user that runs the tests."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.index = index
        self.source = folder / "source"
        self.source.mkdir()
        self.releases = Releases(pwd.getpwuid(os.getuid()).pw_name, str(folder / "opt"), sys.executable)
        self.releases.cache = str(folder / "cache")
        self.lock = "".join(index.add(name, "1.0", script=name != "uvicorn-worker") for name in SERVER)
        self.write("requirements.txt", self.lock)
        self.number = 0

    def write(self, name: str, text: str) -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def build(self, described: dict[str, t.Any] | None = None, **changed: t.Any) -> Path:
        """Build a release of what is in ``source`` now and return its folder."""
        self.number += 1
        login = ("me", PASSWORD) if self.index.password else (None, None)
        given = {"url": self.index.url, "ca_bundle": None, "username": login[0], "password": login[1]}
        options = {"installer": "pip", "requirements": "requirements.txt", "packages": [], "server": "gunicorn"}
        install = Install(**{**options, "index": given, **changed})
        source = described or {"type": "directory", "digest": str(self.number)}

        def unpack(folder: str) -> None:
            os.makedirs(folder)
            for path in [] if described else self.source.rglob("*"):
                if path.is_file():
                    target = Path(folder) / path.relative_to(self.source)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(path.read_bytes())

        name = self.releases.build(self.releases.identify(source, install), source, unpack, install, set())
        return Path(self.releases.path(name))

    def left(self) -> list[str]:
        return sorted(os.listdir(self.releases.folder))


SERVER = ("gunicorn", "uvicorn", "uvicorn-worker")


@pytest.fixture
def builder(tmp_path: Path, index: Index, tools_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    monkeypatch.setattr(build_tools, "FOLDER", str(tools_folder))
    monkeypatch.setattr(index_access, "FOLDER", str(tmp_path / "run"))
    # Of the machine that the tests run on nothing counts, neither its proxy nor its own index.
    monkeypatch.setattr(index_access, "_proxies", lambda: {"PIP_CONFIG_FILE": os.devnull})
    return Builder(tmp_path, index)
