# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request meets before the application: limits, the proof of a deployment, the connection's end."""

from __future__ import annotations

import time
import typing as t

import pytest

from tests.server.clients import Connection, WebSocket, ask
from tests.server.slots import PROBE, Slot, Slots, eventually

MakeSlots = t.Callable[..., Slots]


@pytest.fixture(params=[("gunicorn", "httptools"), ("gunicorn", "h11"), ("uvicorn", "httptools")], ids="-".join)
def slots(make_slots: MakeSlots, request: pytest.FixtureRequest) -> Slots:
    server, parser = request.param
    made = make_slots(
        server=server, http=parser, limit_request_line=300, limit_request_fields=40, limit_request_field_size=20000
    )
    made.flip(made.blue)
    made.blue.start()
    return made


def test_limits(slots: Slots) -> None:
    fields = {f"X-{number}": "v" for number in range(37)}
    for target, headers, status in [
        ("/" + "a" * 299, {}, 200),
        ("/" + "a" * 300, {}, 414),
        ("/?" + "a" * 299, {}, 414),
        # http.client adds Host and Accept-Encoding.
        ("/", {**fields, "X-a": "v"}, 200),
        ("/", {**fields, "X-a": "v", "X-b": "v"}, 431),
        ("/", {"X-Long": "v" * (20000 - 6)}, 200),
        ("/", {"X-Long": "v" * (20000 - 5)}, 431),
        ("/", {"X" * 20001: ""}, 431),
    ]:
        answer = ask(slots.link, target, **headers)
        assert answer.status == status, (target, headers, answer)
        assert answer.closes == (status != 200)
    # A handshake has five fields of its own.
    assert WebSocket(slots.link, **dict(list(fields.items())[:35])).status == 101
    assert WebSocket(slots.link, **dict(list(fields.items())[:36])).status == 431
    assert ask(slots.link, "/", method="POST", body=b"x" * 100_000).said["body"] == 100_000


def test_only_who_knows_the_word_learns_the_slot(slots: Slots) -> None:
    def slot_of(slot: Slot, word: str) -> str | None:
        return ask(slot.socket, X_Asgi_Deploy_Probe=word).headers["X-Asgi-Deploy-Slot"]

    assert slot_of(slots.blue, PROBE) == "blue"
    for word in ("", "blue", PROBE[:-1], PROBE + "0", PROBE.upper(), "ü" * 32):
        assert slot_of(slots.blue, word) is None
    # A new word for each start, also where the process goes on.
    (slots.blue.folder / "probe").write_text("f" * 32, encoding="ascii")
    assert slot_of(slots.blue, PROBE) is None
    assert slot_of(slots.blue, "f" * 32) == "blue"
    (slots.blue.folder / "probe").write_text("", encoding="ascii")
    assert slot_of(slots.blue, "") is None
    (slots.blue.folder / "probe").unlink()
    assert slot_of(slots.blue, "f" * 32) is None


def test_connections_are_kept_only_while_the_link_leads_here(slots: Slots) -> None:
    connection = Connection(slots.blue.socket)
    assert not connection.ask("/").closes
    slots.flip(slots.green)
    time.sleep(0.4)
    assert connection.ask("/").closes
    socket = WebSocket(slots.blue.socket)
    assert (socket.status, socket.headers.get_all("Connection")) == (101, ["Upgrade"])
    socket.close()
    slots.link.unlink()
    time.sleep(0.4)
    assert ask(slots.blue.socket).closes
    slots.flip(slots.blue)
    eventually(lambda: not ask(slots.blue.socket).closes, "connections are kept again", 1)


def test_what_nginx_says_of_the_client_is_believed(slots: Slots) -> None:
    said = ask(slots.link, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https").said
    assert (said["client"][0], said["scheme"]) == ("203.0.113.9", "https")
