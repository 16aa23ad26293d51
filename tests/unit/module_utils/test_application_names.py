# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names an application may have on a host, and which of them may be removed."""

from __future__ import annotations

import types
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import input_checks, removal

KEPT = ".asgi-deploy-kept"
OURS = "asgi.deploy application"

Ask = t.Callable[..., str | None]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return what a host with this user and these files says to the name notes."""

    def ask(check: t.Callable[..., str | None], comment: str | None, *files: str) -> str | None:
        def user(name: str) -> t.Any:
            return None if comment is None else types.SimpleNamespace(pw_gecos=comment)

        def somebody_elses(name: str) -> str | None:
            return removal.somebody_elses(name, str(tmp_path))

        for file in files:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if file.endswith("/"):
                path.mkdir()
            else:
                path.write_text("", encoding="utf-8")
        monkeypatch.setattr(removal, "_user", user)
        monkeypatch.setattr(input_checks, "somebody_elses", somebody_elses)
        monkeypatch.setattr(input_checks, "is_there", lambda name: removal.is_there(name, str(tmp_path)))
        monkeypatch.setattr(input_checks, "FOLDERS", [str(tmp_path / folder) for folder in ("opt", "var/lib", "run")])
        said = check(None, "notes")
        return None if said is None else said.replace(str(tmp_path), "")

    return ask


@pytest.mark.parametrize(
    ("comment", "files", "expected"),
    [
        (None, [], None),
        (OURS, ["opt/notes/history.json", "var/lib/notes/data", "run/notes/blue.sock"], None),
        # A mount point, or what a removal that was killed at its very end has left.
        (None, ["opt/notes/"], None),
        # Another application's data, when this collection has removed it, are this one's again.
        (None, [f"var/lib/notes/{KEPT}", "var/lib/notes/data"], None),
        # A removal was killed: what is there is ours.
        (None, ["opt/notes/removing", "opt/notes/history.json"], None),
        ("", [], "a name that nothing on the host has (the user notes is not of this collection)"),
        ("Notes,,,", [], "a name that nothing on the host has (the user notes is not of this collection)"),
        (None, ["opt/notes/vendor"], "a name that nothing on the host has (/opt/notes is not of this collection)"),
        (None, ["opt/notes"], "a name that nothing on the host has (/opt/notes is not of this collection)"),
        (None, ["var/lib/notes/data"], "a name whose folders are free (/var/lib/notes is there already)"),
        (None, ["run/notes/pid"], "a name whose folders are free (/run/notes is there already)"),
    ],
)
def test_deployed(ask: Ask, comment: str | None, files: list[str], expected: str | None) -> None:
    assert ask(input_checks.application_problem, comment, *files) == expected


@pytest.mark.parametrize(
    ("comment", "files", "expected"),
    [
        (None, [], None),
        (OURS, ["opt/notes/history.json"], None),
        (None, ["var/lib/notes/data"], None),
        (None, ["opt/notes/removing"], None),
        ("Notes", [], "an application of this collection (the user notes is not)"),
        (None, ["opt/notes/vendor"], "an application of this collection (/opt/notes is not)"),
    ],
)
def test_removed(ask: Ask, comment: str | None, files: list[str], expected: str | None) -> None:
    assert ask(input_checks.absent_problem, comment, *files) == expected
