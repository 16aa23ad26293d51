# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands around a switch."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import hooks as module
from ansible_collections.asgi.deploy.plugins.module_utils.hooks import HookError, Hooks

UNIT = """[Service]
User=notes
EnvironmentFile=/opt/notes/slots/blue/environment
Environment=PYTHONUNBUFFERED=1
WorkingDirectory=/opt/notes/slots/blue/release/app
ExecStart=/opt/notes/x
# Sandbox
NoNewPrivileges=yes
# End of the sandbox
"""
MIGRATE = {"command": ["alembic", "upgrade", "head"], "timeout": 30}
SEED = {"command": ["python", "-m", "notes.seed"], "timeout": 5}

Fixture = t.Any


@pytest.fixture
def make(tmp_path: Path, fake_run: Fixture, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., tuple[Hooks, Fixture]]:
    monkeypatch.setattr(module, "LOCKS", str(tmp_path / "locks"))

    def run(answers: dict[str, tuple[int, str, str]] | None = None) -> tuple[Hooks, Fixture]:
        runner = fake_run(answers)
        return Hooks("notes", UNIT, 'API_KEY="hunter2"\n', runner), runner

    return run


def test_without_hooks_nothing_is_written(make: Fixture, tmp_path: Path) -> None:
    hooks, run = make()
    hooks.run("before", [], "/r")
    assert run.commands == []
    assert list(tmp_path.iterdir()) == []


def test_each_runs_in_turn_as_the_application(make: Fixture, tmp_path: Path) -> None:
    hooks, run = make()
    hooks.run("before", [MIGRATE, SEED], "/opt/notes/releases/r2")
    stop, first, again, second = run.commands
    # Of a killed run one may still be there.
    assert stop == again == "systemctl --quiet stop notes-hook.service"
    assert first.startswith("systemd-run --quiet --wait --pipe --collect --unit=notes-hook.service ")
    words = first.split(" ")
    environment = f"EnvironmentFile={tmp_path}/locks/notes.hook-environment"
    given = [word.removeprefix("--property=") for word in words if word.startswith("--property=")]
    assert given == [
        "User=notes",
        "NoNewPrivileges=yes",
        "WorkingDirectory=/opt/notes/releases/r2/app",
        environment,
        "RuntimeMaxSec=30",
        "TimeoutStopSec=5",
    ]
    path = "PATH=/opt/notes/releases/r2/venv/bin:/usr/local/bin:/usr/bin:/bin"
    assert first.endswith(f" -- /usr/bin/env {path} alembic upgrade head")
    assert second.endswith(" python -m notes.seed")


def test_nobody_reads_the_words_but_the_program(make: Fixture) -> None:
    """Ansible would replace ~ and $VARIABLE by what root has, and systemd $VARIABLE, ${VARIABLE} and $$."""
    hooks, run = make({"systemd-run": (1, "", "")})
    words = ["sh", "-c", 'for t in a b; do migrate ${t} $$ "$HOME" ~ 100%; done', "$1", "~"]
    with pytest.raises(HookError) as caught:
        hooks.run("before", [{"command": words, "timeout": 5}], "/r")
    given = 'sh -c for t in a b; do migrate $${t} $$$$ "$$HOME" ~ 100%; done $$1 ~'
    assert run.commands[-1].endswith(f":/bin {given}")
    assert run.expanded[-1] is False
    # Whoever wrote them finds them as they were written.
    assert f": {' '.join(words)}\n" in str(caught.value)


@pytest.mark.parametrize("code", [0, 1])
def test_the_environment_is_a_file_of_roots_and_gone_afterwards(make: Fixture, tmp_path: Path, code: int) -> None:
    hooks, run = make({"systemd-run": (code, "", "")})
    seen = []
    inner = hooks._run

    def look(command: list[str], **_more: bool) -> tuple[int, str, str]:
        path = tmp_path / "locks/notes.hook-environment"
        seen.append((path.stat().st_mode & 0o777, path.read_text(encoding="utf-8")))
        return t.cast("tuple[int, str, str]", inner(command))

    hooks._run = look
    if code:
        with pytest.raises(HookError):
            hooks.run("before", [MIGRATE], "/r")
    else:
        hooks.run("before", [MIGRATE], "/r")
    assert set(seen) == {(0o600, 'API_KEY="hunter2"\n')}
    assert list((tmp_path / "locks").iterdir()) == []
    assert not any("hunter2" in command for command in run.commands)


def test_the_first_failure_is_told_and_ends_it(make: Fixture) -> None:
    hooks, run = make({"systemd-run": (3, "line\n" * 100 + "key hunter2\n", "last words\n")})
    with pytest.raises(HookError) as caught:
        hooks.run("before", [MIGRATE, SEED], "/r")
    lines = str(caught.value).splitlines()
    assert lines[0] == "gunicorn_app_hooks.before[0] failed (exit code 3): alembic upgrade head"
    assert lines[-2:] == ["key ***", "last words"]
    assert len(lines) == 61
    assert len([command for command in run.commands if command.startswith("systemd-run")]) == 1


def test_one_that_is_killed_says_why(make: Fixture) -> None:
    hooks, _run = make({"systemd-run": (1, "", "")})
    with pytest.raises(HookError, match=r"before\[0\] failed \(exit code 1, or longer than 30 s\): alembic"):
        hooks.run("before", [MIGRATE], "/r")
