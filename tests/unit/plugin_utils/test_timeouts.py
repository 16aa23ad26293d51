# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain at its boundaries: nginx below the application, the application below systemd."""

from __future__ import annotations

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils import upstream
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.timeouts import (
    UPSTREAM_KEEPALIVE,
    Application,
    check_application,
    check_chain,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import duration_ms

NOTES = Application("notes", 90)


@pytest.mark.parametrize("read", ["1ms", "60s", "89s", "89999ms", "1m29s"])
def test_a_read_timeout_that_fits(read: str) -> None:
    check_chain("here", read, NOTES)


@pytest.mark.parametrize("read", ["90s", "90000ms", "1m30s", "1h", "1d"])
def test_a_read_timeout_that_the_application_cannot_reach(read: str) -> None:
    with pytest.raises(Refused) as caught:
        check_chain("here", read, NOTES)
    assert str(caught.value) == (f'here: "{read}" is refused; accepted: less than gunicorn_app_timeout of notes, 90s')


@pytest.mark.parametrize(
    ("timeout", "stop_timeout", "keepalive", "drain"),
    [(90, 120, 75, 30), (90, 91, 61, 89), (1, 2, 61, 0)],
)
def test_an_application_that_agrees_with_itself(timeout: int, stop_timeout: int, keepalive: int, drain: int) -> None:
    check_application(timeout, stop_timeout, keepalive, drain)


@pytest.mark.parametrize(
    ("timeout", "stop_timeout", "keepalive", "drain", "place", "value"),
    [
        (90, 90, 75, 30, "gunicorn_app_stop_timeout", 90),
        (90, 30, 75, 30, "gunicorn_app_stop_timeout", 30),
        (90, 120, 60, 30, "gunicorn_app_keepalive", 60),
        (90, 120, 2, 30, "gunicorn_app_keepalive", 2),
        (90, 120, 75, 90, "gunicorn_app_drain", 90),
        (20, 120, 75, 30, "gunicorn_app_drain", 30),
    ],
)
def test_an_application_that_contradicts_itself(
    timeout: int, stop_timeout: int, keepalive: int, drain: int, place: str, value: int
) -> None:
    with pytest.raises(Refused) as caught:
        check_application(timeout, stop_timeout, keepalive, drain)
    assert (caught.value.path, caught.value.value) == (place, value)


def test_the_keep_alive_is_that_of_the_upstream_block() -> None:
    assert duration_ms(upstream.KEEPALIVE_TIMEOUT) == UPSTREAM_KEEPALIVE * 1000
