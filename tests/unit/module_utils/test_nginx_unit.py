# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx.service and its packages: masked, installed, and running by an older unit or not."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.nginx_unit import (
    Unit,
    is_of_the_distribution,
    masked_by,
)

Fixture = t.Any

ACTIVE = "ActiveState=active\nInvocationID=one\nNeedDaemonReload=no\n"


def test_masked(tmp_path: Path) -> None:
    unit, other = tmp_path / "nginx.service", tmp_path / "other.service"
    assert masked_by([str(unit)]) is None
    # A unit of the administrator's own is none.
    unit.write_text("[Service]\n", encoding="utf-8")
    other.symlink_to(unit)
    assert masked_by([str(unit), str(other)]) is None
    unit.unlink()
    unit.symlink_to("/dev/null")
    assert masked_by([str(other), str(unit)]) == str(other)
    assert masked_by([str(unit)]) == str(unit)


@pytest.mark.parametrize(
    ("answer", "own"),
    [
        ((0, "ii Debian Nginx Maintainers <pkg-nginx@lists.example.com>", ""), True),
        ((0, "ii Ubuntu Developers <ubuntu@example.com>", ""), True),
        ((0, "ii NGINX Packaging <nginx-packaging@example.com>", ""), False),
        ((0, "rc Debian Nginx Maintainers <pkg-nginx@lists.example.com>", ""), None),
        ((1, "", "no packages found"), None),
    ],
)
def test_is_of_the_distribution(fake_run: Fixture, answer: tuple[int, str, str], own: bool | None) -> None:
    assert is_of_the_distribution(fake_run({"dpkg-query": answer})) is own


class TestUnit:
    @pytest.fixture
    def marker(self, tmp_path: Path) -> Path:
        return tmp_path / "run" / "marker"

    def unit(self, fake_run: Fixture, marker: Path, printed: str = ACTIVE) -> Unit:
        return Unit(fake_run({"systemctl show": (0, printed, "")}), str(marker))

    def test_a_change_is_remembered_until_nginx_is_started_anew(self, fake_run: Fixture, marker: Path) -> None:
        unit = self.unit(fake_run, marker)
        assert not unit.is_outdated()
        unit.note_change()
        # A reload keeps the invocation, and so does a new binary.
        assert self.unit(fake_run, marker).is_outdated()
        assert self.unit(fake_run, marker, ACTIVE.replace("active", "reloading")).is_outdated()
        assert not self.unit(fake_run, marker, ACTIVE.replace("one", "two")).is_outdated()
        assert not self.unit(fake_run, marker, ACTIVE.replace("active", "failed")).is_outdated()
        unit.forget()
        assert not self.unit(fake_run, marker).is_outdated()
        unit.forget()

    @pytest.mark.parametrize("printed", ["ActiveState=inactive\nInvocationID=\n", ""])
    def test_what_does_not_run_needs_no_restart(self, fake_run: Fixture, marker: Path, printed: str) -> None:
        unit = self.unit(fake_run, marker, printed)
        unit.note_change()
        assert not marker.exists()
        assert not unit.is_outdated()

    @pytest.mark.parametrize(("word", "needed"), [("no", False), ("yes", True)])
    def test_needs_reload(self, fake_run: Fixture, marker: Path, word: str, needed: bool) -> None:
        assert self.unit(fake_run, marker, f"NeedDaemonReload={word}\n").needs_reload() is needed

    def test_reload(self, fake_run: Fixture, marker: Path) -> None:
        assert self.unit(fake_run, marker).reload() is None
        failing = fake_run({"systemctl daemon-reload": (1, "", "no bus\n")})
        assert Unit(failing, str(marker)).reload() == "no bus"
