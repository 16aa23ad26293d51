# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate is renewed, for the lifetimes that there are and will be."""

from __future__ import annotations

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.renewal import alarm_before, interval, renew_before, soon_over

DAY = 86400


@pytest.mark.parametrize(
    ("lifetime", "before", "alarm"),
    [
        (90 * DAY, 30 * DAY, 15 * DAY),
        (64 * DAY, 64 * DAY / 3, 64 * DAY / 6),
        (45 * DAY, 15 * DAY, 7.5 * DAY),
        (10 * DAY, 10 * DAY / 3, 10 * DAY / 6),
        # Let's Encrypt's short ones live 160 hours.
        (160 * 3600, 80 * 3600, 40 * 3600),
        (6 * DAY, 3 * DAY, 1.5 * DAY),
    ],
)
def test_the_threshold_follows_the_lifetime(lifetime: float, before: float, alarm: float) -> None:
    assert renew_before(lifetime) == pytest.approx(before)
    assert alarm_before(lifetime) == pytest.approx(alarm)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (30 * DAY, "720 hours"),
        # A CA that takes the last second off.
        ((90 * DAY - 1) / 3, "720 hours"),
        (64 * DAY / 3, "512 hours"),
        (80 * 3600, "80 hours"),
        (36000, "10 hours"),
        (35999, "35999 seconds"),
        (90, "90 seconds"),
    ],
)
def test_certbot_can_read_it(seconds: float, text: str) -> None:
    assert interval(seconds) == text


@pytest.mark.parametrize(
    ("lifetime", "left", "words"),
    [
        (365 * DAY, 30 * DAY, None),
        (365 * DAY, 30 * DAY - 1, "in 29 days"),
        (90 * DAY, 29.5 * DAY, "in 29 days"),
        (45 * DAY, 15 * DAY, None),
        (45 * DAY, 14.5 * DAY, "in 14 days"),
        (DAY, DAY / 2, None),
        (DAY, DAY / 2 - 1, "in 11 hours"),
        (365 * DAY, 1, "in 0 hours"),
        # Refused, where it is asked for.
        (365 * DAY, 0, None),
    ],
)
def test_a_warning_of_what_nobody_renews(lifetime: float, left: float, words: str | None) -> None:
    ends = 1_800_000_000.0
    expected = f"x.pem expires on 2027-01-15 08:00:00 UTC, {words}, and nothing here renews it" if words else None
    assert soon_over("x.pem", ends - lifetime, ends, ends - left) == expected
