# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""READY is the word of an application whose lifespan has started; one that cannot start ends, and is not READY."""

from __future__ import annotations

import os
import signal
import time
import typing as t
from pathlib import Path

import pytest

from tests.server.clients import ask
from tests.server.slots import Slots, children, eventually

MakeSlots = t.Callable[..., Slots]

KINDS: dict[str, dict[str, t.Any]] = {
    "gunicorn": {},
    "preload": {"preload": True},
    "uvicorn": {"server": "uvicorn"},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
def test_ready_comes_after_the_lifespan(make_slots: MakeSlots, kind: str) -> None:
    slot = make_slots(**KINDS[kind]).blue.start(wait=False, LIFESPAN_SECONDS="1")
    began = time.monotonic()
    eventually(lambda: "Waiting for application startup" in slot.text(), "the lifespan begins")
    assert not slot.ready(0.5)
    assert slot.ready(10)
    assert time.monotonic() - began > 0.9
    answer = ask(slot.socket).said
    assert answer["greeting"] == "from the lifespan"
    assert answer["loop"] == "uvloop"
    slot.terminate()
    assert slot.ended() == 0


@each_kind
def test_a_start_that_hangs_ends_at_once(make_slots: MakeSlots, kind: str) -> None:
    slot = make_slots(**KINDS[kind]).blue.start(wait=False, LIFESPAN_SECONDS="1000")
    eventually(lambda: "Waiting for application startup" in slot.text(), "the lifespan begins")
    slot.terminate()
    slot.ended(3)


def test_systemd_hears_of_a_loop_that_turns(make_slots: MakeSlots) -> None:
    """Gunicorn's master looks after its workers; after Uvicorn alone systemd does, where its unit says so."""
    slots = make_slots(server="uvicorn")
    slots.blue.start(WATCHDOG_USEC="5000000")
    slots.green.start()
    time.sleep(2.3)
    assert 2 <= slots.blue.words() <= 5
    assert slots.green.words() == 0


@each_kind
@pytest.mark.parametrize("environment", [{"LIFESPAN_FAILS_WITH": "/"}, {"IMPORT": "fails"}])
def test_a_release_that_cannot_start(make_slots: MakeSlots, kind: str, environment: dict[str, str]) -> None:
    slot = make_slots(**KINDS[kind]).blue.start(wait=False, **environment)
    assert not slot.ready(10)
    assert slot.ended() != 0
    assert ("the import fails" if "IMPORT" in environment else "the lifespan fails") in slot.text()


@each_kind
def test_a_factory(make_slots: MakeSlots, kind: str) -> None:
    slot = make_slots(**KINDS[kind]).blue.start("application:make()")
    assert ask(slot.socket).status == 200


def test_the_master_loads_the_application_once_with_preload(make_slots: MakeSlots) -> None:
    slot = make_slots(preload=True, workers=2).blue.start()
    assert slot.process is not None
    answer = ask(slot.socket).said
    assert answer["imported_by"] == slot.process.pid
    assert answer["pid"] != slot.process.pid


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_loop_and_parser_are_those_chosen(make_slots: MakeSlots, server: str) -> None:
    slot = make_slots(server=server, loop="asyncio", http="h11").blue.start()
    assert ask(slot.socket).said["loop"] == "asyncio.unix_events"


def test_gunicorn_reads_any_text_in_its_settings(make_slots: MakeSlots) -> None:
    settings = {"proc_name": "a'b\"c\\\n{{ x }} {% y %} ü\u2028x", "pythonpath": None, "sendfile": False}
    slots = make_slots(settings=settings, log_level="debug")
    slots.blue.start()
    # Gunicorn prints its configuration at this level.
    eventually(lambda: "  proc_name: a'b\"c\\\n{{ x }} {% y %} ü\u2028x" in slots.blue.text(), "the name is read")


def test_a_worker_that_cannot_start_again_leaves_the_others_alone(make_slots: MakeSlots, tmp_path: Path) -> None:
    away = tmp_path / "away"
    slot = make_slots(workers=2).blue.start(LIFESPAN_FAILS_WITH=str(away))
    assert slot.process is not None
    master = slot.process.pid
    eventually(lambda: slot.text().count("Application startup complete") == 2, "both workers serve")
    away.touch()
    victim, other = children(master)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: "the lifespan fails" in slot.text(), "the master has tried to replace it")
    for _number in range(10):
        assert ask(slot.socket).said["pid"] == other
    away.unlink()
    eventually(lambda: slot.text().count("Application startup complete") == 3, "the replacement serves")
    assert slot.process.poll() is None
    assert len(children(master)) == 2
