# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two slots: the question to a release, and what happens to one that does not answer it."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import slots as module
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import flip
from ansible_collections.asgi.deploy.plugins.module_utils.slots import Health, SlotError, Slots

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEALTH = Health("/health?x=1", "notes.example.com", 1)

Fixture = t.Any


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (OK, None),
        (b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope\n", "answered 404 instead of 200: nope"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "answered 503 instead of 200: "),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "answered 301 instead of 200: "),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 900\r\n\r\n" + b"\xff" * 900,
         "answered 500 instead of 200: " + "\ufffd" * 200),
        (b"garbage\r\n\r\n", "had no answer: "),
        (b"HTTP/1.1 abc OK\r\n\r\n", "had no answer: "),
        (b"", "had no answer: Remote end closed connection without response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", None),
    ],
)  # fmt: skip
def test_ask(serve: Fixture, unix_server: Fixture, answer: bytes, problem: str | None) -> None:
    server, path = unix_server
    with serve(server, answer) as requests:
        said = HEALTH.ask(path)
    if problem is None:
        assert said is None
    else:
        assert said is not None
        assert said.startswith("GET /health?x=1 " + problem)
    head = requests[0].decode("ascii").split("\r\n")
    assert head[0] == "GET /health?x=1 HTTP/1.1"
    assert "Host: notes.example.com" in head
    assert "X-Forwarded-Proto: https" in head


def test_ask_one_that_hangs(serve: Fixture, unix_server: Fixture) -> None:
    server, path = unix_server
    began = time.monotonic()
    with serve(server, None):
        assert HEALTH.ask(path) == "GET /health?x=1 had no answer: timed out"
    assert 0.9 < time.monotonic() - began < 5


def test_ask_nobody(socket_path: str) -> None:
    assert HEALTH.ask(socket_path) == "GET /health?x=1 had no answer: [Errno 2] No such file or directory"


def test_wait_until_it_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([(0, "not yet"), (503, "not yet"), (200, None)])
    monkeypatch.setattr(Health, "_ask", lambda self, address: next(said))
    assert HEALTH.wait("/x") is None


def test_a_wrong_path_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([(404, "not found"), (200, None)])
    monkeypatch.setattr(Health, "_ask", lambda self, address: next(said))
    assert HEALTH.wait("/x") == "not found"


def test_wait_ends(socket_path: str) -> None:
    began = time.monotonic()
    problem = HEALTH.wait(socket_path)
    assert problem is not None
    assert "No such file" in problem
    assert 1 <= time.monotonic() - began < 5


@pytest.fixture
def make(tmp_path: Path, fake_run: Fixture) -> t.Callable[..., tuple[Slots, Fixture]]:
    def run(answers: dict[str, tuple[int, str, str]] | None = None) -> tuple[Slots, Fixture]:
        files = {slot: {str(tmp_path / f"{slot}.service"): f"unit {slot}\n"} for slot in ("blue", "green")}
        runner = fake_run(answers)
        return Slots("notes", str(tmp_path), files, 'A="1"\n', runner), runner

    return run


def point(slots: Slots, slot: str, release: str = "r1") -> None:
    """Make ``slot`` the live one, as a deployment leaves it."""
    slots._write(slot, release)
    flip(slots.current, slots.socket(slot))


def test_before_the_first_release(make: Fixture) -> None:
    slots, _run = make()
    assert slots.live() is None
    assert slots.idle() == "blue"
    assert slots.release_of(None) is None
    assert slots.release_of("blue") is None
    assert slots.used_releases() == set()
    assert not slots.is_as_wanted(None, "r1")
    assert not slots.is_as_wanted("blue", None)
    assert not slots.is_as_wanted("blue", "r1")


@pytest.mark.parametrize(("live", "idle"), [("blue", "green"), ("green", "blue")])
def test_live_and_idle(make: Fixture, live: str, idle: str) -> None:
    slots, _run = make()
    point(slots, live)
    assert (slots.live(), slots.idle()) == (live, idle)
    assert slots.socket(live) == f"/run/notes/{live}.sock"


@pytest.mark.parametrize("target", ["/run/notes/red.sock", "/elsewhere", "x"])
def test_a_link_by_somebody_else_is_no_slot(make: Fixture, target: str) -> None:
    slots, _run = make()
    os.symlink(target, slots.current)
    assert slots.live() is None


def test_is_as_wanted(make: Fixture, tmp_path: Path) -> None:
    slots, _run = make()
    point(slots, "blue")
    assert slots.is_as_wanted("blue", "r1")
    assert not slots.is_as_wanted("blue", "r2")
    assert not slots.is_as_wanted("green", "r1")
    assert slots.used_releases() == {"r1"}
    for path in (tmp_path / "blue.service", tmp_path / "slots/blue/environment"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text + "changed by hand\n", encoding="utf-8")
        assert not slots.is_as_wanted("blue", "r1")
        path.unlink()
        assert not slots.is_as_wanted("blue", "r1")
        path.write_text(text, encoding="utf-8")
        assert slots.is_as_wanted("blue", "r1")


def test_the_environment_is_readable_by_root_only(make: Fixture, tmp_path: Path) -> None:
    slots, _run = make()
    slots._write("blue", "r1")
    assert (tmp_path / "slots/blue/environment").stat().st_mode & 0o777 == 0o600


ON, OFF = "ActiveState=active\nUnitFileState=enabled", "ActiveState=inactive\nUnitFileState=disabled"


def states(slot: str, service: str, socket: str) -> dict[str, tuple[int, str, str]]:
    """What systemd answers to the question for a slot's units."""
    asked = f"systemctl show --property=ActiveState,UnitFileState notes@{slot}.service notes@{slot}.socket"
    return {asked: (0, f"{service}\n\n{socket}\n", "")}


@pytest.mark.parametrize(
    ("service", "socket", "active"),
    [(ON, ON, True), (ON, OFF, False), (OFF, ON, False), (ON.replace("active", "deactivating"), ON, False)],
)
def test_is_active(make: Fixture, service: str, socket: str, active: bool) -> None:
    assert make(states("blue", service, socket))[0].is_active("blue") is active


def test_a_lost_link_leaves_the_slot_that_runs_alone(make: Fixture) -> None:
    slots, _run = make({**states("blue", ON, ON), **states("green", OFF, OFF)})
    assert (slots.live(), slots.idle()) == (None, "green")


GOOD = {**states("blue", ON, ON), **states("green", OFF, OFF)}


def settled(make: Fixture, tmp_path: Path, answers: t.Any, monkeypatch: pytest.MonkeyPatch) -> t.Any:
    """Return slots of which blue is live, and what was run for the repairs that it needed."""
    monkeypatch.setattr(module, "_SETTLE", 0)
    # The tests' user is not always root.
    monkeypatch.setattr(os, "chown", lambda path, user, group: None)
    slots, run = make(answers)
    point(slots, "blue")
    os.symlink("releases/r1", tmp_path / "current")
    return slots, run


def repaired(slots: Slots, run: t.Any) -> list[str]:
    run.commands.clear()
    for repair in slots.repairs("blue"):
        repair()
    return [command for command in run.commands if " show " not in command]


@pytest.mark.parametrize(
    ("answers", "commands"),
    [
        (GOOD, []),
        ({**GOOD, **states("blue", ON.replace("enabled", "disabled"), ON)},
         ["systemctl --quiet enable notes@blue.service notes@blue.socket"]),
        ({**GOOD, **states("green", ON, ON)},
         ["systemctl --quiet disable notes@green.service notes@green.socket",
          "systemctl stop --no-block notes@green.service notes@green.socket",
          "systemctl --quiet reset-failed notes@green.service notes@green.socket"]),
        ({**GOOD, **states("green", OFF.replace("inactive", "failed"), OFF)},
         ["systemctl --quiet disable notes@green.service notes@green.socket",
          "systemctl stop --no-block notes@green.service notes@green.socket",
          "systemctl --quiet reset-failed notes@green.service notes@green.socket"]),
        ({**GOOD, **states("green", OFF, OFF.replace("disabled", "enabled"))},
         ["systemctl --quiet disable notes@green.service notes@green.socket",
          "systemctl stop --no-block notes@green.service notes@green.socket",
          "systemctl --quiet reset-failed notes@green.service notes@green.socket"]),
    ],
)  # fmt: skip
def test_repairs_of_units(
    make: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: t.Any, commands: list[str]
) -> None:
    slots, run = settled(make, tmp_path, answers, monkeypatch)
    monkeypatch.setattr(module, "_is_secret", lambda path: True)
    assert repaired(slots, run) == commands


def test_repairs_of_files(make: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, run = settled(make, tmp_path, GOOD, monkeypatch)
    environment = tmp_path / "slots/blue/environment"
    environment.chmod(0o644)
    os.unlink(tmp_path / "current")
    assert repaired(slots, run) == []
    assert environment.stat().st_mode & 0o777 == 0o600
    assert os.readlink(tmp_path / "current") == "releases/r1"


def test_start(make: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, run = make()
    healthy = {"/run/notes/green.sock": (200, None)}
    monkeypatch.setattr(Health, "_ask", lambda self, address: healthy.get(address, (500, "wrong")))
    slots.start("green", "r2", HEALTH)
    assert run.commands == [
        "systemctl --quiet stop notes@green.service notes@green.socket",
        "systemctl --quiet reset-failed notes@green.service notes@green.socket",
        "systemctl daemon-reload",
        "systemctl start notes@green.service notes@green.socket",
    ]
    assert slots.release_of("green") == "r2"
    # Started is not live.
    assert slots.live() is None


@pytest.mark.parametrize(
    ("answers", "asked", "message"),
    [
        ({"systemctl start": (1, "", "Job failed.\nSee it.\n"), "journalctl": (0, "ImportError: x\n", "")}, None,
         "Job failed.\nThe application's last log lines:\nImportError: x"),
        ({"systemctl start": (1, "", "")}, None,
         "systemctl could not start notes@green.service\nThe application's last log lines:\n(none)"),
        ({"journalctl": (0, "boom\n", "")}, "GET / answered 500",
         "GET / answered 500\nThe application's last log lines:\nboom"),
    ],
)  # fmt: skip
def test_start_that_fails(
    make: Fixture, monkeypatch: pytest.MonkeyPatch, answers: Fixture, asked: str | None, message: str
) -> None:
    slots, run = make(answers)
    point(slots, "blue")
    monkeypatch.setattr(Health, "wait", lambda self, address: asked)
    with pytest.raises(SlotError) as caught:
        slots.start("green", "r2", HEALTH)
    assert str(caught.value) == message
    assert run.commands[-2:] == [
        "systemctl --quiet stop notes@green.service notes@green.socket",
        "systemctl --quiet reset-failed notes@green.service notes@green.socket",
    ]
    assert slots.live() == "blue"


def test_switch(make: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, run = make()
    point(slots, "blue")
    slots._write("green", "r2")
    monkeypatch.setattr(Health, "ask", lambda self, address: None if address == slots.current else "wrong")
    slots.switch("green", HEALTH)
    assert slots.live() == "green"
    assert "systemctl --quiet enable notes@green.service notes@green.socket" in run.commands


@pytest.mark.parametrize("before", ["blue", None])
def test_switch_back(make: Fixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: str | None) -> None:
    slots, run = make()
    if before:
        point(slots, before)
    slots._write("green", "r2")
    monkeypatch.setattr(Health, "ask", lambda self, address: "GET / answered 500")
    with pytest.raises(SlotError, match=r"^After the switch: GET / answered 500$"):
        slots.switch("green", HEALTH)
    assert slots.live() == before
    assert os.path.lexists(slots.current) is (before is not None)
    assert not os.path.lexists(tmp_path / "current")
    assert run.commands[-2:] == [
        "systemctl --quiet disable notes@green.service notes@green.socket",
        "systemctl --quiet stop notes@green.service notes@green.socket",
    ]
