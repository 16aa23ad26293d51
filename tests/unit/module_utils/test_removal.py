# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal of an application, on a folder that stands for the host: whole, resumed where it was killed, and no more."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import types
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import removal
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import write_file
from ansible_collections.asgi.deploy.plugins.module_utils.removal import RemovalError, is_kept_data, somebody_elses

UNITS = [f"notes@{slot}.{kind}" for slot in ("blue", "green") for kind in ("socket", "service")]
SYSTEM = "etc/systemd/system"


class Killed(BaseException):
    """The run ends here, as by SIGKILL: nothing of it goes on."""


class Host:
    """A host with applications: a folder, users and groups, and a systemd that notes what it is told."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.users: dict[str, str] = {}
        self.groups: set[str] = set()
        self.commands: list[str] = []
        self.owners: dict[str, tuple[int, int]] = {}
        self.active = False
        self.answers: dict[str, tuple[int, str, str]] = {}

    def write(self, *paths: str) -> None:
        for path in paths:
            file = self.base / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path, encoding="utf-8")

    def deploy(self, name: str) -> None:
        units = [f"{name}@{slot}.{kind}" for slot in ("blue", "green") for kind in ("service", "socket")]
        self.write(*(f"{SYSTEM}/{unit}" for unit in units))
        self.write(f"opt/{name}/releases/20260101T000000Z-0123456789ab/app/main.py", f"opt/{name}/history.json")
        self.write(f"opt/{name}/slots/blue/environment", f"run/{name}/blue.sock", f"var/cache/{name}/pip/wheel")
        self.write(f"var/lib/{name}/notes.sqlite", f"var/www/{name}/static/site.css")
        self.write(f"var/www/{name}/.asgi-deploy/settled.json")
        (self.base / f"var/www/{name}/.asgi-deploy/folders.json").write_text('["static"]', encoding="utf-8")
        (self.base / f"opt/{name}/current.sock").symlink_to(f"/run/{name}/blue.sock")
        wants = self.base / SYSTEM / "sockets.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / f"{name}@blue.socket").symlink_to(f"/{SYSTEM}/{name}@blue.socket")
        self.users[name] = "asgi.deploy application"
        self.groups.add(name)

    def run(self, command: list[str]) -> tuple[int, str, str]:
        line = " ".join(command)
        self.commands.append(line)
        for words, answer in self.answers.items():
            if line.startswith(words):
                return answer
        if command[0] == "userdel":
            del self.users[command[1]]
        if command[0] == "groupdel":
            self.groups.remove(command[1])
        return (0 if self.active else 3, "", "") if "is-active" in command else (0, "", "")

    def removal(self, name: str = "notes") -> removal._Removal:
        return removal._Removal(name, self.run, str(self.base))

    def left(self) -> list[str]:
        """Return what has the name of the application, but for its data."""
        found = [str(path.relative_to(self.base)) for path in self.base.rglob("*")]
        ours = [path for path in found if any(part.partition("@")[0] == "notes" for part in path.split("/"))]
        return sorted(path for path in ours if not path.startswith("var/lib/notes"))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)

    def getpwnam(name: str) -> t.Any:
        return types.SimpleNamespace(pw_gecos=host.users[name])

    def getgrnam(name: str) -> t.Any:
        if name not in host.groups:
            raise KeyError(name)

    def chown(path: str, owner: int, group: int) -> None:
        host.owners[os.path.relpath(path, tmp_path)] = (owner, group)

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    monkeypatch.setattr(grp, "getgrnam", getgrnam)
    monkeypatch.setattr(os, "chown", chown)
    host.deploy("notes")
    # Its name begins with the other one's.
    host.deploy("notes-api")
    return host


def test_all_goes_but_the_data(host: Host) -> None:
    others = sorted(str(path) for path in host.base.rglob("*") if "notes-api" in str(path))
    found = host.removal().found()
    assert [item.removeprefix(f"{host.base}/") for item in found] == [
        f"{SYSTEM}/sockets.target.wants/notes@blue.socket",
        *(f"{SYSTEM}/{unit}" for unit in UNITS),
        "run/notes",
        "var/cache/notes",
        "opt/notes",
        "var/www/notes",
        "user notes",
        "group notes",
    ]
    host.removal().remove()
    assert host.left() == []
    assert set(host.users) == host.groups == {"notes-api"}
    assert sorted(str(path) for path in host.base.rglob("*") if "notes-api" in str(path)) == others
    data = host.base / "var/lib/notes"
    assert (data / "notes.sqlite").read_text(encoding="utf-8") == "var/lib/notes/notes.sqlite"
    # The user's number may be somebody else's tomorrow.
    assert host.owners["var/lib/notes"] == (0, 0)
    assert data.stat().st_mode & 0o777 == 0o700
    assert is_kept_data(str(data))


def test_nothing_starts_again_and_all_has_drained_before_a_file_goes(host: Host) -> None:
    host.removal().remove()
    units = " ".join(UNITS)
    assert host.commands == [
        f"systemctl --quiet disable {units}",
        f"systemctl stop {units}",
        f"systemctl --quiet is-active {units}",
        "systemctl daemon-reload",
        f"systemctl --quiet reset-failed {units}",
        "userdel notes",
        "groupdel notes",
    ]


def test_transient_units_are_stopped_and_units_of_such_a_name_are_not(host: Host) -> None:
    host.write("run/systemd/transient/notes-retire.timer", f"{SYSTEM}/notes-hook.service")
    host.removal().remove()
    assert f"systemctl stop notes-retire.timer {' '.join(UNITS)}" in host.commands
    assert (host.base / SYSTEM / "notes-hook.service").exists()


def test_no_secret_of_a_killed_run_is_left_in_memory(host: Host) -> None:
    host.write("run/asgi-deploy/notes.hook-environment", "run/asgi-deploy-build/notes/netrc")
    host.write("run/asgi-deploy/.notes.hook-environment.x1y2z3a4")
    host.write("run/asgi-deploy/notes-api.hook-environment", "run/asgi-deploy-build/notes-api/netrc")
    host.removal().remove()
    left = sorted(str(path.relative_to(host.base)) for path in host.base.glob("run/asgi-deploy*/*"))
    assert left == ["run/asgi-deploy-build/notes-api", "run/asgi-deploy/notes-api.hook-environment"]


def test_what_a_killed_run_was_just_writing_is_not_among_the_data(host: Host) -> None:
    host.write("var/lib/notes/..asgi-deploy-kept.x1y2z3", "var/lib/notes/.asgi-deploy-keptsake")
    host.removal().remove()
    assert sorted(os.listdir(host.base / "var/lib/notes")) == [
        ".asgi-deploy-kept",
        ".asgi-deploy-keptsake",
        "notes.sqlite",
    ]


def test_a_second_run_finds_nothing(host: Host) -> None:
    host.removal().remove()
    commands = len(host.commands)
    assert host.removal().found() == []
    assert len(host.commands) == commands


def steps_of(host: Host, monkeypatch: pytest.MonkeyPatch, kill_at: int | None) -> int:
    """Remove, and be killed before a step that changes something. Returns the number of steps."""
    count = 0

    def counted(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
            nonlocal count
            if count == kill_at:
                raise Killed
            count += 1
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for module, name in ((os, "unlink"), (os, "rmdir"), (shutil, "rmtree")):
            patch.setattr(module, name, counted(getattr(module, name)))
        patch.setattr(f"{removal.__name__}.write_file", counted(write_file))
        patch.setattr(host, "run", counted(host.run))
        host.removal().remove()
    return count


def test_the_next_run_completes_one_that_was_killed_anywhere(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    steps = steps_of(host, monkeypatch, None)
    assert steps > 20
    for step in range(steps):
        host.base = tmp_path_factory.mktemp("host")
        host.deploy("notes")
        with pytest.raises(Killed):
            steps_of(host, monkeypatch, step)
        found = host.removal().found()
        if found:
            host.removal().remove()
        # Killed just before its very last step, a run leaves an empty folder, which is in nobody's way.
        assert host.left() == (["opt/notes"] if not found else []), step
        assert "notes" not in host.users
        assert "notes" not in host.groups
        assert is_kept_data(str(host.base / "var/lib/notes"))


@pytest.mark.parametrize("comment", ["", "Notes,,,", "not asgi.deploy"])
def test_somebody_elses_user_is_refused(host: Host, comment: str) -> None:
    host.users["notes"] = comment
    before = sorted(host.base.rglob("*"))
    assert somebody_elses("notes", str(host.base)) == "the user notes"
    with pytest.raises(RemovalError, match=r"^notes is not removed: the user notes is not of this collection$"):
        host.removal().found()
    assert sorted(host.base.rglob("*")) == before


def test_somebody_elses_folder_is_refused(host: Host) -> None:
    del host.users["notes"]
    with pytest.raises(RemovalError, match=r"^notes is not removed: .*/opt/notes is not of this collection$"):
        host.removal().found()


def test_without_user_and_folder_nothing_is_ours(host: Host) -> None:
    """A group, a cache and data of that name are somebody else's then, or were left on purpose."""
    host.write("var/cache/other/file", "var/lib/other/file", "run/other/file")
    host.groups.add("other")
    assert host.removal("other").found() == []
    (host.base / "opt/other").mkdir()
    assert host.removal("other").found() == []
    assert somebody_elses("other", str(host.base)) is None


def test_what_is_beside_the_published_files_stays(host: Host) -> None:
    host.write("var/www/notes/index.html")
    host.removal().remove()
    assert host.left() == ["var/www/notes", "var/www/notes/index.html"]


def test_a_link_is_refused_before_anything_is_removed(host: Host) -> None:
    """What it leads to would stay behind, unseen."""
    (host.base / "opt/notes").rename(host.base / "elsewhere")
    (host.base / "opt/notes").symlink_to(host.base / "elsewhere")
    with pytest.raises(RemovalError, match=r"/opt/notes is a link: move what it leads to"):
        host.removal().found()
    assert host.commands == []


def test_a_mount_point_stays_empty(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(host.base / "opt/notes")
    monkeypatch.setattr(os.path, "ismount", lambda path: path == root)
    host.removal().remove()
    assert os.listdir(root) == []
    assert host.removal().found() == []


def test_a_slot_that_does_not_stop_ends_the_run(host: Host) -> None:
    host.active = True
    host.answers["systemctl stop"] = (1, "", "Job for notes@blue.service canceled.\n")
    with pytest.raises(RemovalError, match=r"^systemctl stop failed: Job for notes@blue\.service canceled\.$"):
        host.removal().remove()
    assert (host.base / SYSTEM / "notes@blue.service").exists()
    assert "notes" in host.users


def test_a_user_that_is_in_use_is_told_of_and_goes_with_the_next_run(host: Host) -> None:
    host.answers["userdel"] = (8, "", "userdel: user notes is currently used by process 4711\n")
    with pytest.raises(RemovalError, match=r"^userdel failed: userdel: user notes is currently used by process 4711$"):
        host.removal().remove()
    host.answers.clear()
    assert host.removal().found() == [str(host.base / "opt/notes"), "user notes", "group notes"]
    host.removal().remove()
    assert host.left() == []
