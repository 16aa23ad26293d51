# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock for a whole run: who gets it, and who gives it back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import atomic
from ansible_collections.asgi.deploy.plugins.module_utils.run_lock import LEASE, Held, RunLock

ANN, BOB = {"by": "ann@one, process 7"}, {"by": "bob@two, process 8"}


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunLock:
    monkeypatch.setattr(atomic, "LOCKS", str(tmp_path))
    return RunLock("proxies", str(tmp_path))


def test_one_at_a_time(lock: RunLock) -> None:
    token = lock.take("An update", ANN)
    with pytest.raises(Held) as caught:
        lock.take("An update", BOB)
    assert caught.value.holder["token"] == token
    said = str(caught.value)
    assert said.startswith("An update is running, started by ann@one, process 7 at 2")
    assert said.endswith("UTC; accepted: its end, or -e take_over=true where that run is dead")
    lock.give_back(token)
    assert lock.take("An update", BOB) != token


def test_what_was_taken_over_is_not_given_back(lock: RunLock, tmp_path: Path) -> None:
    first = lock.take("An update", ANN)
    second = lock.take("An update", BOB, over=first)
    lock.give_back(first)
    with pytest.raises(Held, match="bob@two"):
        lock.take("An update", ANN, over=first)
    lock.give_back(second)
    assert not (tmp_path / "proxies.run").exists()
    # Twice is no mistake: a run that is repeated gives back what is not there any more.
    lock.give_back(second)


def test_taken_over_from_whoever_has_it(lock: RunLock) -> None:
    lock.take("An update", ANN)
    assert lock.take("An update", BOB, over="any")


@pytest.mark.parametrize(
    ("age", "free"), [(0, False), (LEASE - 5, False), (LEASE + 5, True), (-200, False), (-500, True)]
)
def test_a_run_of_hours_ago_is_dead(lock: RunLock, monkeypatch: pytest.MonkeyPatch, age: float, free: bool) -> None:
    """Or of hours to come: the clock was set back, and the lock would last as much longer."""
    lock.take("An update", ANN)
    now = time.time() + age
    monkeypatch.setattr(time, "time", lambda: now)
    if free:
        assert lock.take("An update", BOB)
    else:
        with pytest.raises(Held):
            lock.take("An update", BOB)


def test_an_update_over_many_slow_proxies_is_alive(lock: RunLock, monkeypatch: pytest.MonkeyPatch) -> None:
    lock.take("An update", ANN)
    now = time.time() + 3 * 3600
    monkeypatch.setattr(time, "time", lambda: now)
    with pytest.raises(Held):
        lock.take("An update", BOB)


def test_only_looked_at(lock: RunLock, tmp_path: Path) -> None:
    lock.take("An update", ANN, keep=False)
    assert not (tmp_path / "proxies.run").exists()
    lock.take("An update", ANN)
    with pytest.raises(Held):
        lock.take("An update", BOB, keep=False)


@pytest.mark.parametrize("text", ["", "broken", "[]", json.dumps({"token": "x"})])
def test_what_nobody_of_ours_wrote(lock: RunLock, tmp_path: Path, text: str) -> None:
    (tmp_path / "proxies.run").write_text(text, encoding="utf-8")
    assert lock.take("An update", ANN)


def test_nobody_else_reads_it(lock: RunLock, tmp_path: Path) -> None:
    lock.take("An update", ANN)
    assert (tmp_path / "proxies.run").stat().st_mode & 0o777 == 0o600
