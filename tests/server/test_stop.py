# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No request is lost when a process stops: by a switch of the slots, a stop, or its number of requests."""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from tests.server.clients import Answer, Connection, Load, WebSocket, ask
from tests.server.slots import Slots, children, eventually

MakeSlots = t.Callable[..., Slots]

both_servers = pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])


class Asked(threading.Thread):
    """A request that is under way while the test goes on."""

    def __init__(self, slots: Slots, target: str) -> None:
        super().__init__()
        self._path, self._target = slots.blue.socket, target
        self.answer: Answer | Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = ask(self._path, self._target)
        except (OSError, http.client.HTTPException) as error:
            self.answer = error

    def answered(self) -> Answer:
        self.join(20)
        assert isinstance(self.answer, Answer), self.answer
        return self.answer


@both_servers
def test_what_is_under_way_ends_before_the_process(make_slots: MakeSlots, server: str) -> None:
    slots = make_slots(server=server, access_log=True)
    slots.flip(slots.blue)
    slots.blue.start()
    slow, stream, background = (Asked(slots, path) for path in ("/sleep?seconds=3", "/stream?parts=25", "/background"))
    eventually(lambda: '"GET /stream' in slots.blue.text(), "the stream has begun")
    background.answered()
    slots.blue.terminate()
    assert slow.answered().status == 200
    # It had begun before anybody knew of a stop.
    assert stream.answered().body == b"part\n" * 25 + b"end\n"
    assert slots.blue.ended() == 0
    text = slots.blue.text()
    assert "the background task ends" in text
    assert "the lifespan ends" in text
    # Twice closed is once too much: in between the number may belong to a file of the application.
    assert "Bad file descriptor" not in text


@pytest.mark.parametrize(("server", "http"), [("gunicorn", "h11"), ("gunicorn", "httptools"), ("uvicorn", "auto")])
def test_a_switch_loses_nothing_and_can_be_undone(make_slots: MakeSlots, server: str, http: str) -> None:
    slots = make_slots(server=server, http=http)
    slots.flip(slots.blue)
    slots.blue.start()
    with Load(slots.link) as load:
        time.sleep(0.5)
        slots.flip(slots.green.start())
        time.sleep(0.5)
        before = dict(load.pids)
        # Kept connections have moved as well, with the slot before still running: nothing asks it any more.
        time.sleep(0.3)
        moved = {pid for pid, count in load.pids.items() if count != before.get(pid)}
        assert moved == {ask(slots.green.socket).said["pid"]}
        slots.flip(slots.blue)
        time.sleep(0.5)
        slots.green.terminate()
        assert slots.green.ended() == 0
    assert load.errors == []
    assert len(load.pids) == 2
    assert load.count > 300


@both_servers
def test_a_stop_and_a_start_lose_nothing(make_slots: MakeSlots, server: str) -> None:
    slots = make_slots(server=server)
    slots.flip(slots.blue)
    slots.blue.start()
    with Load(slots.link) as load:
        time.sleep(0.3)
        # As `systemctl restart`: the socket stays, and what comes meanwhile waits in it.
        slots.blue.terminate()
        assert slots.blue.ended() == 0
        slots.blue.start()
        time.sleep(0.3)
    assert load.errors == []
    assert len(load.pids) == 2


def test_idle_connections_have_time_to_hear_of_the_end(make_slots: MakeSlots) -> None:
    slots = make_slots()
    slots.flip(slots.blue)
    slots.blue.start()
    used, idle = Connection(slots.link), Connection(slots.link)
    assert not used.ask("/").closes
    assert not idle.ask("/").closes
    slots.blue.terminate()
    began = time.monotonic()
    time.sleep(1.5)
    assert used.ask("/").closes
    assert slots.blue.ended() == 0
    assert 2.5 < time.monotonic() - began < 6


#: In the server's own Python: it is a matter of what happens within one turn of its loop.
CLOSING = """
import socket, sys, types
sys.path.insert(0, sys.argv[1])
import draining_server
nginx, ours = socket.socketpair()
transport = types.SimpleNamespace(get_extra_info={"socket": ours}.get)
connection = types.SimpleNamespace(cycle=None, transport=transport)
print(draining_server._has_ended(connection, 2.9), draining_server._has_ended(connection, 3.1))
nginx.send(b"POST")
print(draining_server._has_ended(connection, 3.1))
ours.recv(4)
print(draining_server._has_ended(connection, 3.1))
nginx.close()
print(draining_server._has_ended(connection, 3.1))
"""


def test_a_connection_with_a_request_that_nobody_has_read_is_not_closed(
    make_slots: MakeSlots, release_python: Path
) -> None:
    folder = str(make_slots().blue.folder)
    done = subprocess.run([release_python, "-c", CLOSING, folder], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False", "True", "True"]


def test_without_connections_a_stop_takes_no_time(make_slots: MakeSlots) -> None:
    slots = make_slots()
    slots.flip(slots.blue)
    slots.blue.start()
    began = time.monotonic()
    slots.blue.terminate()
    assert slots.blue.ended() == 0
    assert time.monotonic() - began < 2


@both_servers
def test_websockets_stay_until_the_drain_is_over(make_slots: MakeSlots, server: str) -> None:
    slots = make_slots(server=server, drain=1)
    slots.flip(slots.blue)
    slots.blue.start()
    talking, leaving, told, silent = (WebSocket(slots.link, path) for path in ("/ws", "/ws", "/push", "/ws"))
    slots.blue.terminate()
    began = time.monotonic()
    time.sleep(0.4)
    assert talking.echo("still here").endswith(" still here")
    leaving.close()
    for client in (talking, told, silent):
        assert client.closed_with() == 1012
    assert 0.9 < time.monotonic() - began < 3
    # The client has the time to read that: one that is just sending would otherwise only see an error.
    assert talking.is_open()
    talking.agree()
    told.agree()
    assert slots.blue.ended() == 0
    assert "Exception in ASGI application" not in slots.blue.text()
    assert time.monotonic() - began < 4.5


def test_a_request_that_does_not_end_is_cut_off_at_the_timeout(make_slots: MakeSlots) -> None:
    slots = make_slots(timeout=2, drain=1, stop_timeout=20)
    slots.flip(slots.blue)
    slots.blue.start()
    slow = Asked(slots, "/sleep?seconds=30")
    time.sleep(0.3)
    began = time.monotonic()
    slots.blue.terminate()
    assert slots.blue.ended() == 0
    assert 1.5 < time.monotonic() - began < 6
    slow.join(5)
    assert not isinstance(slow.answer, Answer) or slow.answer.status == 500


def test_spent_workers_are_replaced_without_loss(make_slots: MakeSlots) -> None:
    slots = make_slots(workers=2, max_requests=300, max_requests_jitter=100)
    slots.flip(slots.blue)
    slots.blue.start()
    assert slots.blue.process is not None
    fewest = 2
    with Load(slots.link, kept=6, new=3) as load:
        eventually(lambda: len(load.pids) == 2, "both workers answer")
        deadline = time.monotonic() + 20
        while len(load.pids) < 5 and time.monotonic() < deadline:
            fewest = min(fewest, len(children(slots.blue.process.pid)))
            time.sleep(0.05)
    assert load.errors == []
    assert len(load.pids) >= 5
    assert fewest == 2
    # Nobody has waited for a worker that was still starting.
    assert load.slowest < 1
    # Both workers of the start were READY, and no other: a worker must not wait for systemd to listen.
    assert slots.blue.words() <= 1


def test_a_spent_worker_does_not_make_others_wait(make_slots: MakeSlots) -> None:
    """The only worker has a request that takes long: the one that follows answers all others meanwhile."""
    slots = make_slots(max_requests=50, max_requests_jitter=0)
    slots.flip(slots.blue)
    slots.blue.start()
    slow = Asked(slots, "/sleep?seconds=3")
    with Load(slots.link, kept=2, new=2, pause=0.02) as load:
        eventually(lambda: len(load.pids) >= 2, "another worker answers")
        time.sleep(1)
    assert load.errors == []
    assert load.slowest < 1
    assert slow.answered().status == 200
