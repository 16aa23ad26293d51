# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timers: started where they are not, and asked for in one call on every run."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import certbot_units
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_units import TIMERS, ensure_timers

SHOW = "systemctl show --property=Id,ActiveState,UnitFileState " + " ".join(TIMERS)
ENABLE = "systemctl enable --now"


@pytest.fixture(autouse=True)
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for timer in TIMERS:
        (tmp_path / timer).touch()
    monkeypatch.setattr(certbot_units, "_FOLDERS", ("/nowhere", str(tmp_path)))
    return tmp_path


def shown(*states: tuple[str, str]) -> str:
    blocks = (f"Id={timer}\nActiveState={active}\nUnitFileState={file}\n" for timer, (active, file) in zip(
        TIMERS, states, strict=True))  # fmt: skip
    return "\n".join(blocks)


@pytest.mark.parametrize(
    ("states", "started"),
    [
        ([("active", "enabled"), ("active", "enabled")], []),
        ([("inactive", "enabled"), ("active", "enabled")], TIMERS[:1]),
        ([("active", "disabled"), ("active", "enabled")], TIMERS[:1]),
        ([("active", "enabled"), ("inactive", "disabled")], TIMERS[1:]),
        ([("inactive", "disabled"), ("failed", "enabled")], TIMERS),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_what_is_started(
    fake_run: t.Any, states: list[tuple[str, str]], started: t.Sequence[str], check_mode: bool
) -> None:
    run = fake_run({SHOW: (0, shown(*states), "")})
    assert ensure_timers(run, check_mode) is bool(started)
    expected = [" ".join([ENABLE, *started])] if started and not check_mode else []
    assert run.commands == [SHOW, *expected]


def test_a_new_host_in_check_mode(fake_run: t.Any, units: Path) -> None:
    for timer in TIMERS:
        (units / timer).unlink()
    run = fake_run()
    assert ensure_timers(run, True) is False
    assert run.commands == []


def test_one_that_cannot_be_started(fake_run: t.Any) -> None:
    words = "Failed to enable unit: Unit file /etc/systemd/system/certbot.timer is masked.\n"
    run = fake_run({SHOW: (0, shown(("inactive", "masked"), ("active", "enabled")), ""), ENABLE: (1, "", words)})
    with pytest.raises(ValueError, match=r"^systemctl enable --now certbot\.timer: Failed .* is masked\.$"):
        ensure_timers(run, False)
