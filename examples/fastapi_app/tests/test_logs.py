from __future__ import annotations

import io
import json
import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from notes import logs
from notes.main import create_app
from notes.settings import Settings

HOSTILE = 'x"}\r\n{"level":"error","message":"forged"}\x00\x1b[31m\u2028\u0085'


def lines_of(text: str) -> list[dict[str, Any]]:
    """Parse the log; a line that is not JSON fails the test."""
    # splitlines() also splits at U+2028 and the like, as a careless log reader would.
    return [json.loads(line) for line in text.splitlines()]


def access_lines(text: str) -> list[dict[str, Any]]:
    return [line for line in lines_of(text) if line["logger"] == "notes.access"]


def test_a_line_has_the_agreed_keys() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    logger = logging.Logger("notes.test")
    logger.addHandler(handler)
    logger.warning("hello %s", HOSTILE, extra={"fields": {"n": 1, "level": "forged"}})
    try:
        raise KeyError(HOSTILE)
    except KeyError:
        logger.exception("failed")
    first, second = lines_of(stream.getvalue())
    assert datetime.fromisoformat(first.pop("time")).utcoffset() == timedelta(0)
    assert first == {
        "level": "warning",
        "logger": "notes.test",
        "message": f"hello {HOSTILE}",
        "request_id": None,
        "n": 1,
    }
    assert "KeyError" in second["exception"]
    assert "Traceback" in second["exception"]


def test_access_line(client: TestClient, log: io.StringIO) -> None:
    client.get("/notes?limit=3", headers={"X-Request-ID": "c0ffee", "User-Agent": "agent/1"})
    (line,) = access_lines(log.getvalue())
    assert line.pop("duration_ms") >= 0
    del line["time"]
    assert line == {
        "level": "info",
        "logger": "notes.access",
        "message": "request",
        "request_id": "c0ffee",
        "method": "GET",
        "path": "/notes",
        "status": 200,
        "client": "testclient",
        "user_agent": "agent/1",
    }


def test_hostile_headers_stay_in_their_line(client: TestClient, log: io.StringIO) -> None:
    hostile = HOSTILE.encode("ascii", "ignore")
    for name in (b"x-request-id", b"user-agent"):
        client.get("/whoami%0d%0a%22%7d", headers=[(name, hostile)])
    first, second = access_lines(log.getvalue())
    # An id of that shape is not nginx's: it gets one that can be searched for.
    assert len(first["request_id"]) == 32
    assert second["user_agent"] == hostile.decode("ascii")
    assert first["path"] == second["path"] == '/whoami\r\n"}'


def test_long_values_are_cut(client: TestClient, log: io.StringIO) -> None:
    client.get("/" + "a" * 5000, headers={"User-Agent": "b" * 5000, "X-Request-ID": "c" * 5000})
    (line,) = access_lines(log.getvalue())
    assert max(len(line[key]) for key in ("path", "user_agent", "request_id")) < 1100


@pytest.mark.parametrize("value", ["4d1f3a5b6c7d8e9f0a1b2c3d4e5f6071", "trace-1.2_3"])
def test_request_id_is_taken_over(client: TestClient, value: str) -> None:
    response = client.get("/whoami", headers={"X-Request-ID": value})
    assert response.json()["request_id"] == value
    # nginx puts it on the response; a second one from here would make two.
    assert "x-request-id" not in response.headers


def test_request_id_is_made_where_there_is_none(client: TestClient) -> None:
    made = {client.get("/whoami").json()["request_id"] for _index in range(3)}
    assert len(made) == 3


def test_health_checks_are_not_logged_but_refused_hosts_are(
    client: TestClient, log: io.StringIO
) -> None:
    client.get("/health/live")
    client.get("/health/ready")
    client.get("/", headers={"Host": "evil.test"})
    lines = access_lines(log.getvalue())
    assert [(line["path"], line["status"]) for line in lines] == [("/", 400)]


def test_websocket_line(client: TestClient, log: io.StringIO) -> None:
    with client.websocket_connect("/echo"):
        pass
    (line,) = access_lines(log.getvalue())
    assert (line["method"], line["path"], line["status"]) == ("WEBSOCKET", "/echo", 101)


def test_an_unhandled_error_is_logged_as_500(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create_app(settings)

    @app.get("/boom")
    async def boom() -> None:
        raise LookupError("boom")

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/boom").status_code == 500
    (line,) = access_lines(capsys.readouterr().err)
    assert line["status"] == 500


def test_configuring_twice_logs_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.configure()
    logging.getLogger("uvicorn.error").info("once")
    logging.getLogger("uvicorn.access").info("never")
    assert [line["message"] for line in lines_of(capsys.readouterr().err)] == ["once"]
