# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a release over many hosts, on one of them."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.lease import SECONDS, Lease, moment


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    return Lease("notes", str(tmp_path / "locks"))


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + seconds)


def test_held_and_given_back(lease: Lease) -> None:
    assert lease.holder() is None
    lease.take("ours", "alice@laptop")
    holder = lease.holder()
    assert holder is not None
    assert (holder["id"], holder["by"]) == ("ours", "alice@laptop")
    lease.give_back("ours")
    assert lease.holder() is None
    # Again, after a run that was cut off just then.
    lease.give_back("ours")


def test_nobody_else_can_read_it(lease: Lease) -> None:
    lease.take("ours", "alice@laptop")
    assert stat.S_IMODE(os.stat(lease.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(lease.path)).st_mode) == 0o700


def test_somebody_elses_is_refused(lease: Lease) -> None:
    lease.take("theirs", "alice@laptop")
    since = moment(json.loads(Path(lease.path).read_text())["since"])
    told = rf"release of notes holds its lock: alice@laptop, since {since}\. It ends"
    with pytest.raises(ValueError, match=told):
        lease.take("ours", "bob@laptop")
    for identity in ("ours", None):
        with pytest.raises(ValueError, match=told):
            lease.require(identity)
    # It stays theirs, whoever gives back what was never theirs to hold.
    lease.give_back("ours")
    lease.require("theirs")


def test_taken_over(lease: Lease) -> None:
    lease.take("theirs", "alice@laptop")
    lease.take("ours", "bob@laptop", take_over=True)
    lease.require("ours")
    with pytest.raises(ValueError, match="bob@laptop"):
        lease.require("theirs")
    lease.give_back("theirs")
    lease.require("ours")


def test_its_end_comes_by_itself(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    lease.take("theirs", "alice@laptop")
    later(monkeypatch, SECONDS + 1)
    assert lease.holder() is None
    lease.require(None)
    lease.take("ours", "bob@laptop")
    lease.require("ours")


@pytest.mark.parametrize(("back", "held"), [(200, True), (500, False)])
def test_a_clock_that_was_set_back_does_not_make_it_last(
    lease: Lease, monkeypatch: pytest.MonkeyPatch, back: int, held: bool
) -> None:
    lease.take("theirs", "alice@laptop")
    later(monkeypatch, -back)
    assert (lease.holder() is not None) is held


def test_each_step_puts_its_end_off(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    lease.take("ours", "alice@laptop")
    since = json.loads(Path(lease.path).read_text())["since"]
    later(monkeypatch, SECONDS - 10)
    lease.require("ours")
    later(monkeypatch, SECONDS - 10)
    holder = lease.holder()
    assert holder is not None
    assert holder["since"] == since


def test_a_host_late_in_a_long_release_goes_on(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    lease.take("ours", "alice@laptop")
    later(monkeypatch, SECONDS + 1)
    lease.require("ours")
    assert lease.holder() is not None


def test_one_that_is_gone_is_refused(lease: Lease) -> None:
    """Or a release would go on after the one that has taken over has ended."""
    with pytest.raises(ValueError, match="The lock of this release of notes is gone"):
        lease.require("ours")
    # What belongs to no release asks for none.
    lease.require(None)


def test_check_mode_takes_none(lease: Lease) -> None:
    lease.require("ours", check_mode=True)
    assert not os.path.exists(lease.path)
    lease.take("theirs", "alice@laptop")
    with pytest.raises(ValueError, match="alice@laptop"):
        lease.require("ours", check_mode=True)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"id": "x"}', '{"id": 1, "by": "", "since": 1, "until": 9e9}']
)
def test_a_damaged_one_holds_nobody(lease: Lease, text: str) -> None:
    lease.take("theirs", "alice@laptop")
    Path(lease.path).write_text(text, encoding="utf-8")
    assert lease.holder() is None
    lease.take("ours", "bob@laptop")
