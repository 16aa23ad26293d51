# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One record is one line, whatever a client or the application puts into it, and bears the id of its request."""

from __future__ import annotations

import json
import typing as t
import urllib.parse

import pytest

from tests.server.clients import Connection, ask
from tests.server.slots import Slot, Slots, eventually

MakeSlots = t.Callable[..., Slots]

both_servers = pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])


def say(slot: Slot, text: str, **headers: str) -> None:
    assert ask(slot.socket, "/log?text=" + urllib.parse.quote(text, errors="surrogateescape"), **headers).status == 200


def records(slot: Slot) -> list[dict[str, t.Any]]:
    """Return what the slot has said; a line that is no JSON, or holds what JSON does not know, is an error."""

    def refuse(text: str) -> None:
        raise AssertionError(text)

    return [json.loads(line, parse_constant=refuse) for line in slot.text().splitlines()]


def said_by(slot: Slot, logger: str, text: str = "") -> list[dict[str, t.Any]]:
    return [record for record in records(slot) if record["logger"] == logger and text in record["message"]]


@both_servers
def test_json(make_slots: MakeSlots, server: str) -> None:
    slot = make_slots(server=server, log_format="json", access_log=True).blue.start()
    say(slot, 'a"b\\c\nd\r\x1b[31m\u2028ü{}', X_Request_ID="4f2a" * 8)
    [record] = said_by(slot, "application")
    assert record["message"] == 'said: a"b\\c\nd\r\x1b[31m\u2028ü{}'
    assert record["request_id"] == "4f2a" * 8
    assert record["level"] == "warning"
    # What cannot be written as JSON goes without harm to the rest.
    assert set(record) >= {"time", "process"}
    for identity in ('a"b', "x" * 128, "a,b;c={}"):
        say(slot, identity, X_Request_ID=identity)
        assert said_by(slot, "application", identity)[-1]["request_id"] == identity
    for number, identity in enumerate(("a b", "x" * 129, "", "ü", "a\tb")):
        say(slot, f"no id {number}", X_Request_ID=identity)
        [record] = said_by(slot, "application", f"no id {number}")
        assert "request_id" not in record
    [access] = [record for record in said_by(slot, "uvicorn.access") if record.get("request_id") == "4f2a" * 8]
    assert (access["method"], access["status"]) == ("GET", 200)
    assert access["path"].startswith("/log?text=")
    # The next request on the same connection is another one.
    connection = Connection(slot.socket)
    connection.ask("/log?text=first", X_Request_ID="first")
    connection.ask("/log?text=second")
    [second] = said_by(slot, "application", "second")
    assert "request_id" not in second


@both_servers
def test_a_traceback_is_one_line_of_json(make_slots: MakeSlots, server: str) -> None:
    slot = make_slots(server=server, log_format="json").blue.start()
    assert ask(slot.socket, "/raise", X_Request_ID="raised").status == 500
    [record] = said_by(slot, "uvicorn.error", "Exception in ASGI application")
    assert record["request_id"] == "raised"
    assert "ValueError: first line\nsecond line" in record["exception"]
    assert ask(slot.socket, "/wrong-log").status == 200
    [wrong] = said_by(slot, "application")
    assert wrong["message"] == "%d %d"
    # No access log was asked for.
    assert said_by(slot, "uvicorn.access") == []


def test_a_line_is_never_too_long_for_the_journal(make_slots: MakeSlots) -> None:
    slot = make_slots(log_format="json", limit_request_line=60000).blue.start()
    say(slot, "ü" * 9000, X_Request_ID="long")
    [record] = said_by(slot, "application")
    assert record["message"].startswith("said: üüü")
    assert (record["truncated"], record["request_id"]) == (True, "long")
    assert max(map(len, slot.text().splitlines())) < 48 * 1024


@pytest.mark.parametrize("variables", [{}, {"preload": True}, {"server": "uvicorn"}], ids=str)
def test_every_line_of_a_start_that_fails_is_json(make_slots: MakeSlots, variables: dict[str, t.Any]) -> None:
    slots = make_slots(log_format="json", **variables)
    assert slots.blue.start(wait=False, LIFESPAN_FAILS_WITH="/").ended() != 0
    assert said_by(slots.blue, "uvicorn.error", "the lifespan fails")
    if "server" in variables:
        # Gunicorn prints the last line of an import's error besides.
        assert slots.green.start(wait=False, IMPORT="fails").ended() != 0
        [record] = said_by(slots.green, "uvicorn.error", "The process ends.")
        assert record["exception"].endswith("RuntimeError: the import fails\nin two lines")


@both_servers
def test_text(make_slots: MakeSlots, server: str) -> None:
    slot = make_slots(server=server, access_log=True).blue.start()
    say(slot, "hello", X_Request_ID="4f2a")
    lines = slot.text().splitlines()
    assert [line.partition("] ")[2] for line in lines if "hello" in line and "said" in line] == [
        f"[{pid_of(lines)}] [WARNING] [4f2a] said: hello"
    ]
    assert any("[INFO] [4f2a] " in line and '"GET /log?text=hello HTTP/1.1" 200' in line for line in lines)


@pytest.mark.parametrize("logger", ["own", ""])
@both_servers
def test_what_the_application_writes_itself_is_there_once(make_slots: MakeSlots, server: str, logger: str) -> None:
    slot = make_slots(server=server).blue.start()
    assert ask(slot.socket, "/own-log?logger=" + logger).status == 200
    eventually(lambda: "in its own way" in slot.text(), "the line is there")
    assert [line for line in slot.text().splitlines() if "in its own way" in line] == ["said in its own way"]


def pid_of(lines: list[str]) -> str:
    [line] = [line for line in lines if "said: hello" in line]
    return line.split("[")[2].partition("]")[0]


@both_servers
def test_the_level_is_that_of_all(make_slots: MakeSlots, server: str) -> None:
    slot = make_slots(server=server, log_level="error").blue.start()
    say(slot, "hello")
    ask(slot.socket, "/raise")
    eventually(lambda: "ValueError" in slot.text(), "the error is there")
    assert "hello" not in slot.text()
    assert "INFO" not in slot.text()
