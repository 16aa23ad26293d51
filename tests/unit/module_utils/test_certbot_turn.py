# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play and certbot's timer take turns."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import atomic, certbot_turn
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_turn import holder, turn, wait_for_turn

Fixture = t.Any


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(certbot_turn, "CERTBOT_LOCK", str(tmp_path / "certbot.lock"))
    monkeypatch.setattr(certbot_turn, "_PAUSE", 0.05)


class Unit:
    """Stands for systemd: certbot.service is in these states one after the other, and stays in the last."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        return 0, (self.states.pop(0) if len(self.states) > 1 else self.states[0]) + "\n", ""


def test_nobody_else() -> None:
    with turn(Unit("inactive")):
        pass
    with turn(Unit("failed")):
        pass


def test_a_host_without_systemd(fake_run: Fixture) -> None:
    with turn(fake_run({"systemctl": (127, "", "not found")})):
        pass


def test_a_unit_that_has_begun_goes_first() -> None:
    unit = Unit("activating", "deactivating", "inactive")
    with turn(unit, 5):
        assert unit.states == ["inactive"]


def test_the_unit_waits_for_the_play() -> None:
    with turn(Unit("inactive")):
        assert "A play that calls certbot is running on this host: process " in str(wait_for_turn(0.1))
    assert wait_for_turn(0.1) is None


def test_a_play_that_waits_for_the_unit_does_not_keep_it_waiting() -> None:
    """Or each would wait for the other."""
    unit = Unit("activating")
    waited: list[str | None] = []

    def start() -> None:
        waited.append(wait_for_turn(5))
        unit.states = ["inactive"]

    with_the_lock = threading.Timer(0.2, start)
    with_the_lock.start()
    with turn(unit, 5):
        assert waited == [None]
    with_the_lock.join()


@pytest.fixture
def other_certbot() -> t.Iterator[subprocess.Popen[bytes]]:
    script = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True)"
    command = [sys.executable, "-c", script + "; time.sleep(60)", certbot_turn.CERTBOT_LOCK]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_certbot_by_hand_is_waited_for_and_named(other_certbot: subprocess.Popen[bytes]) -> None:
    assert holder() == other_certbot.pid
    began = time.monotonic()
    said = f"for 0 seconds: process {other_certbot.pid}, .*import fcntl, .*; run the play"
    with pytest.raises(ValueError, match=said), turn(Unit("inactive"), 0.2):
        pass
    assert time.monotonic() - began >= 0.2
    threading.Timer(0.2, other_certbot.kill).start()
    with turn(Unit("inactive"), 5):
        assert holder() is None


def test_asking_does_not_take_the_lock(tmp_path: Path) -> None:
    path = Path(certbot_turn.CERTBOT_LOCK)
    assert holder() is None
    path.touch()
    assert holder() is None
    with path.open("w") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
