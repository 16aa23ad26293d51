from __future__ import annotations

import hashlib
import io
import json
import platform
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from notes.main import create_app
from notes.settings import Settings


def test_root(client: TestClient) -> None:
    assert client.get("/").json() == {"name": "notes", "version": "1.2.3"}


def test_documentation_is_on(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").json()["info"] == {"title": "notes", "version": "1.2.3"}


def test_version(client: TestClient) -> None:
    response = client.get("/version")
    body = response.json()
    assert body["version"] == "1.2.3"
    assert body["python"] == platform.python_version()
    assert body["pid"] > 0
    assert len(body["worker"]) == 8
    assert body["secret_configured"] is True
    assert "do-not-show" not in response.text


def test_a_restarted_worker_has_another_id(settings: Settings) -> None:
    app = create_app(settings)
    seen = set()
    for _index in range(2):
        with TestClient(app) as client:
            seen.add(client.get("/version").json()["worker"])
    assert len(seen) == 2


def test_whoami(client: TestClient) -> None:
    headers = [
        ("Cookie", "a=1"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Host", "x.example.com:8443"),
    ]
    body = client.get("/whoami", headers=headers).json()
    assert (body["client"], body["scheme"]) == ("testclient", "http")
    assert body["host"] == "x.example.com:8443"
    assert body["headers"]["cookie"] == "a=1"
    assert body["headers"]["x-twice"] == "1, 2"


class TestHosts:
    @pytest.mark.parametrize("path", ["/", "/notes", "/version", "/health", "/health/live/"])
    def test_a_foreign_host_is_refused(self, client: TestClient, path: str) -> None:
        response = client.get(path, headers={"Host": "evil.test"}, follow_redirects=False)
        assert response.status_code == 400

    def test_so_is_its_websocket(self, client: TestClient) -> None:
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("/echo", headers={"Host": "evil.test"}),
        ):
            pytest.fail("accepted")

    @pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
    @pytest.mark.parametrize("host", ["evil.test", "", "_", "10.0.0.1:8000"])
    def test_a_probe_is_not(self, client: TestClient, path: str, host: str) -> None:
        assert client.get(path, headers={"Host": host}).status_code == 200


class TestHealth:
    def test_alive_and_ready(self, client: TestClient) -> None:
        assert client.get("/health/live").json() == {"status": "alive"}
        response = client.get("/health/ready")
        assert response.json() == {"status": "ready", "database": "ok"}
        assert response.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("damage", ["removed", "emptied", "overwritten"])
    def test_not_ready_without_the_database(
        self,
        client: TestClient,
        settings: Settings,
        log: io.StringIO,
        damage: str,
    ) -> None:
        for leftover in settings.database.parent.glob("notes.sqlite3*"):
            leftover.unlink()
        if damage != "removed":
            settings.database.write_text("" if damage == "emptied" else "no database" * 100)
        response = client.get("/health/ready")
        assert response.status_code == 503
        assert response.json() == {"status": "unavailable", "database": "failed"}
        assert "not ready: " in log.getvalue()
        assert client.get("/health/live").status_code == 200

    def test_the_resource_answers_503_then(self, client: TestClient, settings: Settings) -> None:
        settings.database.unlink()
        response = client.get("/notes")
        assert response.status_code == 503
        assert str(settings.database) not in response.text

    def test_the_start_fails_without_a_place_for_it(self, tmp_path: Path) -> None:
        settings = Settings(tmp_path / "missing" / "notes.sqlite3", ("*",), "1")
        with (
            pytest.raises(RuntimeError, match="cannot open the database"),
            TestClient(create_app(settings)),
        ):
            pytest.fail("started")


class TestNotes:
    def test_the_life_of_a_note(self, client: TestClient) -> None:
        created = client.post("/notes", json={"title": "Milk", "body": "two"})
        assert created.status_code == 201
        note = created.json()
        assert created.headers["location"] == f"/notes/{note['id']}"
        assert note["created_at"] == note["updated_at"]
        where = created.headers["location"]
        assert client.get(where).json() == note

        replaced = client.put(where, json={"title": "Bread"}).json()
        assert (replaced["title"], replaced["body"]) == ("Bread", "")
        assert replaced["created_at"] == note["created_at"]
        assert client.get("/notes").json() == [replaced]

        gone = client.delete(where)
        assert (gone.status_code, gone.content) == (204, b"")
        for method in ("GET", "PUT", "DELETE"):
            body = {"title": "x"} if method == "PUT" else None
            assert client.request(method, where, json=body).status_code == 404

    def test_an_id_is_not_used_again(self, client: TestClient) -> None:
        first = client.post("/notes", json={"title": "a"}).json()["id"]
        client.delete(f"/notes/{first}")
        assert client.post("/notes", json={"title": "b"}).json()["id"] > first

    def test_list_is_newest_first_and_limited(self, client: TestClient) -> None:
        for number in range(25):
            client.post("/notes", json={"title": f"note {number}"})
        titles = [note["title"] for note in client.get("/notes").json()]
        assert titles == [f"note {number}" for number in range(24, 4, -1)]
        assert len(client.get("/notes?limit=3").json()) == 3

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
    def test_limit_is_bounded(self, client: TestClient, limit: str) -> None:
        assert client.get(f"/notes?limit={limit}").status_code == 422

    @pytest.mark.parametrize("note_id", ["0", "-1", "one", str(2**63)])
    def test_ids_that_cannot_be(self, client: TestClient, note_id: str) -> None:
        assert client.get(f"/notes/{note_id}").status_code == 422

    def test_the_largest_id(self, client: TestClient) -> None:
        assert client.get(f"/notes/{2**63 - 1}").status_code == 404

    @pytest.mark.parametrize(
        "body",
        [
            b"{}",
            b'{"title": ""}',
            b'{"title": null}',
            b'{"title": NaN}',
            b'{"title": "\\ud800"}',
            json.dumps({"title": "x" * 201}).encode(),
            json.dumps({"title": "x", "body": "y" * 20_001}).encode(),
            b"[]",
            b"",
        ],
    )
    def test_texts_that_are_refused(self, client: TestClient, body: bytes) -> None:
        response = client.post("/notes", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 422
        for error in response.json()["detail"]:
            assert error.keys() == {"type", "loc", "msg"}
        assert client.get("/notes").json() == []

    @pytest.mark.parametrize(
        "title", ["'; DROP TABLE notes; --", "\u96ea\U0001f328", "a\x00b", "x" * 200]
    )
    def test_texts_come_back_as_they_went(self, client: TestClient, title: str) -> None:
        note = client.post("/notes", json={"title": title}).json()
        assert client.get(f"/notes/{note['id']}").json()["title"] == title


class TestTransfer:
    def test_stream(self, client: TestClient) -> None:
        response = client.get("/stream?lines=3&delay_ms=1")
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.headers["x-accel-buffering"] == "no"
        assert [json.loads(line) for line in response.iter_lines()] == [
            {"line": 0},
            {"line": 1},
            {"line": 2},
        ]

    @pytest.mark.parametrize(
        "path",
        [
            "/stream?lines=0",
            "/stream?lines=1001",
            "/stream?delay_ms=-1",
            "/stream?delay_ms=1001",
            "/slow?seconds=-1",
            "/slow?seconds=30.1",
            "/slow?seconds=nan",
            "/slow?seconds=inf",
        ],
    )
    def test_bounds(self, client: TestClient, path: str) -> None:
        assert client.get(path).status_code == 422

    def test_slow(self, client: TestClient) -> None:
        assert client.get("/slow?seconds=0.01").json() == {"slept": 0.01}

    @pytest.mark.parametrize("size", [0, 1, 3 * 1024 * 1024 + 1])
    def test_upload(self, client: TestClient, size: int) -> None:
        data = b"\xff" * size
        body = client.post("/upload", files={"file": ("../name", data)}).json()
        assert body == {"size": size, "sha256": hashlib.sha256(data).hexdigest()}

    @pytest.mark.parametrize("arguments", [{}, {"files": {"other": b"x"}}, {"data": {"file": "x"}}])
    def test_upload_without_a_file(self, client: TestClient, arguments: dict[str, Any]) -> None:
        assert client.post("/upload", **arguments).status_code == 422

    def test_echo(self, client: TestClient) -> None:
        with client.websocket_connect("/echo") as socket:
            for text in ("hello", "", "\u96ea"):
                socket.send_text(text)
                assert socket.receive_text() == text
            for data in (b"\x00\xff", b""):
                socket.send_bytes(data)
                assert socket.receive_bytes() == data
