# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals are remembered, and orders pause after too many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import Words
from ansible_collections.asgi.deploy.plugins.module_utils.cooldown import Orders

SERVER = "https://ca.example.com/dir"
NAMES = ["a.example.com", "b.example.com"]
REFUSED = Words("refused", "the CA refused: b.example.com: no", {"b.example.com": "no"})


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "orders.json")


def fail(path: str, clock: Clock, *minutes: float, words: Words = REFUSED, server: str = SERVER) -> None:
    """Let orders be refused after so many minutes each, in a run of its own each."""
    for wait in minutes:
        clock.time += wait * 60
        orders = Orders(path, clock)
        orders.failed(server, NAMES, words)
        orders.save()


def pause(path: str, clock: Clock, names: list[str] = NAMES, server: str = SERVER) -> str | None:
    return Orders(path, clock).pause(server, names)


def test_the_third_refusal_of_a_name_pauses(path: str, clock: Clock) -> None:
    fail(path, clock, 0, 10)
    assert pause(path, clock) is None
    fail(path, clock, 10)
    # The first was at 08:00; an hour after it, the oldest of three is an hour old.
    assert pause(path, clock) == (
        f"{SERVER} refused b.example.com 3 times within an hour, and orders for it pause until 2027-01-15 09:00 UTC; "
        "it said: no"
    )
    clock.time += 40 * 60 - 1
    assert pause(path, clock)
    clock.time += 1
    assert pause(path, clock) is None


def test_only_the_name_that_was_refused_pauses(path: str, clock: Clock) -> None:
    fail(path, clock, 0, 1, 1)
    assert pause(path, clock, ["a.example.com"]) is None
    assert pause(path, clock, server="https://other.example.com/dir") is None


def test_all_names_pause_where_the_ca_named_none(path: str, clock: Clock) -> None:
    fail(path, clock, 0, 1, 1, words=Words("refused", "the CA refused: no"))
    for name in NAMES:
        assert "the CA refused: no" in str(pause(path, clock, [name]))


def test_a_name_that_was_not_asked_for_does_not_count(path: str, clock: Clock) -> None:
    fail(path, clock, 0, 1, 1, words=Words("refused", "x", {"z.example.com": "no"}))
    assert pause(path, clock, ["z.example.com"]) is None
    assert pause(path, clock, ["a.example.com"])


def test_further_refusals_move_the_end(path: str, clock: Clock) -> None:
    """As with -e certbot_ignore_cooldown=true: of four, the second is the oldest of the last three."""
    fail(path, clock, 0, 10, 10, 10)
    assert "4 times within an hour, and orders for it pause until 2027-01-15 09:10 UTC" in str(pause(path, clock))


@pytest.mark.parametrize("kind", ["unreachable", "account_unknown", "busy", "other"])
def test_what_is_no_refusal_does_not_count(path: str, clock: Clock, kind: str) -> None:
    fail(path, clock, 0, 1, 1, 1, words=Words(kind, "x"))
    assert pause(path, clock) is None
    assert not Path(path).exists()


def test_a_rate_limit_pauses_until_the_ca_says(path: str, clock: Clock) -> None:
    words = Words("rate_limited", "the CA refused for now: too many", {}, clock.time + 7200)
    fail(path, clock, 0, words=words)
    assert pause(path, clock, ["a.example.com"]) == (
        f"{SERVER} wants no order for a.example.com before 2027-01-15 10:00 UTC: the CA refused for now: too many"
    )
    clock.time += 7200
    assert pause(path, clock) is None


def test_success_clears_its_names(path: str, clock: Clock) -> None:
    fail(path, clock, 0, 1, 1, words=Words("refused", "no"))
    orders = Orders(path, clock)
    orders.succeeded(SERVER, ["a.example.com"])
    orders.save()
    assert pause(path, clock, ["a.example.com"]) is None
    assert pause(path, clock, ["b.example.com"])


def test_what_is_over_is_forgotten(path: str, clock: Clock) -> None:
    fail(path, clock, 0)
    clock.time += 7200
    orders = Orders(path, clock)
    orders.succeeded(SERVER, ["a.example.com"])
    orders.save()
    assert json.loads(Path(path).read_text()) == {}


def test_a_clock_that_was_ahead_does_not_pause_for_years(path: str, clock: Clock) -> None:
    clock.time += 10**8
    fail(path, clock, 0, 1, 1)
    clock.time -= 10**8
    assert pause(path, clock) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"refusals": 1}', '{"refusals": {"' + SERVER + '": {"a": 3}}}'])
def test_half_a_file_is_no_obstacle(path: str, clock: Clock, text: str) -> None:
    Path(path).parent.mkdir()
    Path(path).write_text(text)
    fail(path, clock, 0, 1, 1)
    assert pause(path, clock)


def test_the_file_is_roots_alone_and_written_when_something_changed(path: str, clock: Clock) -> None:
    orders = Orders(path, clock)
    orders.pause(SERVER, NAMES)
    orders.save()
    assert not Path(path).exists()
    orders.account(SERVER)["email"] = "ops@example.com"
    orders.save()
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert Orders(path, clock).account(SERVER) == {"email": "ops@example.com"}
