"""The application as it runs in production: gunicorn, two workers, a unix socket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import unix_connect

ROOT = Path(__file__).parents[1]


def command(*options: str) -> list[str]:
    worker = "--worker-class=uvicorn_worker.UvicornWorker"
    # Without it every gunicorn of a user shares one socket in the home folder.
    alone = "--no-control-socket"
    return [sys.executable, "-m", "gunicorn", worker, alone, *options, "notes.main:app"]


def environment(**settings: str) -> dict[str, str]:
    # gunicorn reads these two: whatever the person's shell has would change what is tested.
    foreign = {"GUNICORN_CMD_ARGS", "FORWARDED_ALLOW_IPS"}
    return {k: v for k, v in os.environ.items() if k not in foreign} | settings


def eventually(condition: Callable[[], bool], what: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Server:
    """A running gunicorn."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "s"
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command(
                    f"--bind=unix:{self.socket}",
                    "--workers=2",
                    "--forwarded-allow-ips=*",
                    "--graceful-timeout=5",
                ),
                cwd=ROOT,
                env=environment(
                    NOTES_DATABASE=str(folder / "notes.sqlite3"), NOTES_SECRET="do-not-show"
                ),
                stdout=log,
                stderr=log,
                # A group of its own: the end of the test ends the workers with their master.
                start_new_session=True,
            )

    def get(self, path: str, **headers: str) -> httpx.Response:
        # A connection each time: which worker answers is the kernel's choice every time.
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.socket)), base_url="http://localhost"
        ) as client:
            response: httpx.Response = client.get(
                path, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )
            return response

    def workers(self) -> int:
        return sum(line["message"] == "started" for line in self.json_lines())

    def json_lines(self) -> list[dict[str, Any]]:
        # Whole lines only: the last one may still be on its way. What is not JSON is gunicorn's
        # master, which logs in its own format.
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(x) for x in lines if x.startswith("{") and x.endswith("\n")]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


@pytest.fixture
def server(short_path: Path) -> Iterator[Server]:
    server = Server(short_path)
    try:
        eventually(lambda: server.workers() == 2, "two workers started")
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(timeout=10)


def test_two_workers_serve_one_database(server: Server) -> None:
    assert server.get("/health/ready", Host="probe.invalid").status_code == 200
    assert server.get("/", Host="probe.invalid").status_code == 400

    seen: set[str] = set()

    def both_answered() -> bool:
        body = server.get("/version").json()
        seen.add(body["worker"])
        return len(seen) == 2

    eventually(both_answered, "an answer from each worker")

    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(server.socket)), base_url="http://localhost"
    ) as client:
        note = client.post("/notes", json={"title": "shared"}).json()
        upload = client.post("/upload", files={"file": b"x" * 2_000_000}).json()
    assert upload["size"] == 2_000_000
    for _index in range(8):
        assert server.get(f"/notes/{note['id']}").json() == note
    assert server.stop() == 0


def test_client_and_scheme_come_from_the_proxy(server: Server) -> None:
    body = server.get(
        "/whoami",
        X_Forwarded_For="203.0.113.7",
        X_Forwarded_Proto="https",
        X_Request_ID="4d1f3a5b",
    ).json()
    assert (body["client"], body["scheme"]) == ("203.0.113.7", "https")
    assert body["request_id"] == "4d1f3a5b"

    def logged() -> list[dict[str, Any]]:
        return [line for line in server.json_lines() if line.get("path") == "/whoami"]

    # The line is written after the response was sent.
    eventually(lambda: bool(logged()), "the access line")
    (line,) = logged()
    assert (line["client"], line["request_id"]) == ("203.0.113.7", "4d1f3a5b")
    # Over a unix socket there is no address but the one that the proxy names.
    assert server.get("/whoami").json()["client"] is None


def test_stop_finishes_requests_and_closes_websockets(server: Server) -> None:
    with (
        unix_connect(str(server.socket), "ws://localhost/echo") as websocket,
        httpx.Client(
            transport=httpx.HTTPTransport(uds=str(server.socket)), base_url="http://localhost"
        ) as client,
        client.stream("GET", "/stream?lines=20&delay_ms=20") as response,
    ):
        websocket.send("hello")
        assert websocket.recv(timeout=5) == "hello"
        lines = response.iter_lines()
        assert json.loads(next(lines)) == {"line": 0}
        server.process.send_signal(signal.SIGTERM)
        assert [json.loads(line)["line"] for line in lines] == list(range(1, 20))
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code in (1001, 1012)
    assert server.process.wait(timeout=10) == 0
    stopped = [line for line in server.json_lines() if line["message"] == "stopped"]
    assert len(stopped) == 2
    assert not [line for line in server.json_lines() if line["level"] in ("error", "critical")]


def test_a_start_that_fails_ends_with_a_reason(short_path: Path) -> None:
    result = subprocess.run(
        command(f"--bind=unix:{short_path}/s"),
        cwd=ROOT,
        env=environment(NOTES_DATABASE=str(short_path / "missing" / "notes.sqlite3")),
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert result.returncode != 0
    assert "cannot open the database" in result.stderr
