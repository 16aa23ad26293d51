# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases on disk: which there are, which go, and what makes one another."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import shutil
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.asgi.deploy.plugins.module_utils import release as module
from ansible_collections.asgi.deploy.plugins.module_utils.release import VERSION, Install, Releases

SOURCE = {"type": "directory", "digest": "abc"}


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases("notes", str(tmp_path), sys.executable)


def add(releases: Releases, name: str, finished: bool = True, server: str = "gunicorn") -> str:
    folder = Path(releases.path(name))
    (folder / "app").mkdir(parents=True)
    (folder / "venv/bin").mkdir(parents=True)
    for name in ("python", server):
        (folder / "venv/bin" / name).touch()
    if finished:
        (folder / "release.json").write_text(json.dumps({"server": server}), encoding="utf-8")
    return folder.name


def names(releases: Releases) -> list[str]:
    return sorted(os.listdir(releases.folder))


INSTALL = Install("pip", "requirements.txt", None, [], "gunicorn")
INDEX = {"url": "https://index.example.com/simple", "username": "me", "password": "hunter2", "ca_bundle": None}


def other_python(path: Path, version: str) -> str:
    path.write_text(f"#!/bin/sh\necho Python {version}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_identify(releases: Releases, tmp_path: Path) -> None:
    identity = releases.identify(SOURCE, INSTALL)
    assert len(identity) == 12
    assert releases.identify({**SOURCE, "url": "https://elsewhere", "signer": "A"}, INSTALL) == identity
    elsewhere = Releases("other", str(tmp_path / "other"), sys.executable)
    assert elsewhere.identify(SOURCE, INSTALL) == identity
    others = [
        releases.identify({**SOURCE, "digest": "abd"}, INSTALL),
        releases.identify({**SOURCE, "type": "git"}, INSTALL),
        *(
            releases.identify(SOURCE, dataclasses.replace(INSTALL, **changed))
            for changed in (
                {"requirements": "requirements/prod.txt"},
                {"requirements": None},
                {"installer": "uv"},
                {"server": "uvicorn"},
                {"packages": ["gunicorn>=24"]},
                {"index": INDEX},
            )
        ),
        Releases("notes", str(tmp_path), other_python(tmp_path / "python", "9.9")).identify(SOURCE, INSTALL),
        # A new version of the interpreter makes a new release.
        Releases("notes", str(tmp_path), other_python(tmp_path / "python", "9.10")).identify(SOURCE, INSTALL),
    ]
    assert len({identity, *others}) == 11


def test_no_secret_makes_another_release(releases: Releases) -> None:
    first = releases.identify(SOURCE, dataclasses.replace(INSTALL, index=INDEX))
    changed = {**INDEX, "username": "you", "password": "hunter3", "ca_bundle": "/etc/ca.pem"}
    assert releases.identify(SOURCE, dataclasses.replace(INSTALL, index=changed)) == first


def record(releases: Releases, name: str, **known: object) -> str:
    """Return the code of a release with this record."""
    (Path(releases.path(add(releases, name))) / "release.json").write_text(json.dumps(known), encoding="utf-8")
    return releases.code(name)


def test_the_same_code_on_another_host(releases: Releases) -> None:
    source, python = {"type": "git", "digest": "abc", "commit": "abc"}, {"path": "/usr/bin/python3", "version": "3.11"}
    known: dict[str, object] = {"source": source, "requirements": "r.txt", "server": "gunicorn", "python": python}
    code = record(releases, "1-a", **known)
    assert record(releases, "2-b", **{**known, "python": {"path": "/usr/bin/python3", "version": "3.13"}}) == code
    assert record(releases, "3-c", **{**known, "server": "uvicorn"}) != code
    assert record(releases, "4-d", **{**known, "source": {**source, "digest": "abd"}}) != code
    assert record(releases, "5-e", **known, code="0123456789ab") == "0123456789ab"
    # Of one that says nothing nobody knows; it is like no other.
    assert len({record(releases, "6-f"), record(releases, "7-g"), code}) == 3


def test_the_version_of_the_collection() -> None:
    galaxy = Path(__file__).resolve().parents[3] / "galaxy.yml"
    assert yaml.safe_load(galaxy.read_text(encoding="utf-8"))["version"] == VERSION


def test_nothing_yet(releases: Releases) -> None:
    assert releases.finished() == []
    assert releases.find("abc") is None
    releases.prune(2, set())


def test_only_finished_releases_are_found(releases: Releases) -> None:
    add(releases, "20260101T000000Z-abc")
    add(releases, "20260102T000000Z-def")
    add(releases, "20260103T000000Z-abc", finished=False)
    add(releases, "20260102T000000Z-xabc")
    assert releases.finished() == ["20260101T000000Z-abc", "20260102T000000Z-def", "20260102T000000Z-xabc"]
    assert releases.find("abc") == "20260101T000000Z-abc"
    add(releases, "20260104T000000Z-abc")
    assert releases.find("abc") == "20260104T000000Z-abc"
    assert releases.find("bc") is None


@pytest.mark.parametrize("part", ["app", "venv", "venv/bin/python", "venv/bin/gunicorn"])
def test_a_release_that_somebody_damaged_is_not_finished(releases: Releases, part: str) -> None:
    gone = Path(releases.path(add(releases, "1-abc"))) / part
    assert releases.find("abc") == "1-abc"
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    assert releases.find("abc") is None


def test_a_release_has_the_server_that_it_was_built_for(releases: Releases) -> None:
    add(releases, "1-abc", server="uvicorn")
    assert releases.find("abc") == "1-abc"
    (Path(releases.path("1-abc")) / "release.json").write_text('{"server": "gunicorn"}', encoding="utf-8")
    assert releases.find("abc") is None


@pytest.mark.parametrize("kind", ["link", "pipe", "of the user"])
def test_a_record_that_the_one_who_builds_has_put_there_does_not_count(
    releases: Releases, tmp_path: Path, kind: str
) -> None:
    path = Path(releases.path(add(releases, "1-abc"))) / "release.json"
    if kind == "of the user":
        if os.geteuid():
            pytest.skip("only root can give a file away")
        os.chown(path, 12345, -1)
    elif kind == "pipe":
        path.unlink()
        os.mkfifo(path)
    else:
        path.symlink_to(path.rename(tmp_path / "elsewhere"))
    assert releases.finished() == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_record_that_somebody_damaged_says_nothing(releases: Releases, text: str) -> None:
    (Path(releases.path(add(releases, "1-abc"))) / "release.json").write_text(text, encoding="utf-8")
    assert releases.record("1-abc") == {}
    # The release itself is whole.
    assert releases.find("abc") == "1-abc"
    assert releases.record("2-abc") == {}


@pytest.mark.parametrize(
    ("keep", "used", "left"),
    [
        (2, [], "45"),
        (3, [], "345"),
        (9, [], "12345"),
        (2, ["1"], "145"),
        (2, ["1", "4"], "145"),
        (2, ["5", "4"], "45"),
    ],
)
def test_prune(releases: Releases, keep: int, used: list[str], left: str) -> None:
    for number in "12345":
        add(releases, number)
    releases.prune(keep, used)
    assert names(releases) == list(left)


def test_remove(releases: Releases) -> None:
    add(releases, "1")
    releases.remove("1")
    releases.remove("2")
    assert names(releases) == []


@pytest.mark.parametrize("step", ["sync_folder", "rmtree"])
def test_a_removal_that_is_killed_leaves_nothing_that_counts(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    name = add(releases, "20260101T000000Z-aaaaaaaaaaaa")

    def killed(folder: str, **_options: t.Any) -> None:
        assert folder == releases.path(name)
        raise KeyboardInterrupt

    monkeypatch.setattr(module if step == "sync_folder" else shutil, step, killed)
    with pytest.raises(KeyboardInterrupt):
        releases.remove(name)
    assert releases.finished() == []
    assert releases.unfinished(set()) == [name]


@pytest.fixture
def building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[], str]:
    """Build a release whose environment is made without an installer."""
    releases = Releases(pwd.getpwuid(os.getuid()).pw_name, str(tmp_path), sys.executable)
    releases.cache = str(tmp_path / "cache")

    class Environment:
        def __init__(self, folder: str, *_rest: object) -> None:
            self.bin = Path(folder, "venv/bin")

        def install(self, *_rest: object) -> dict[str, object]:
            self.bin.mkdir(parents=True)
            for name in ("python", "gunicorn"):
                (self.bin / name).touch()
            return {}

    monkeypatch.setattr(module, "Environment", Environment)
    return lambda: releases.path(releases.build("a" * 12, SOURCE, os.mkdir, INSTALL, set()))


def test_a_record_is_written_when_all_else_is_on_the_disk(
    building: t.Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    def sync(folder: str) -> None:
        synced.append((folder, sorted(os.listdir(folder))))

    monkeypatch.setattr(module, "sync_disk", sync)
    folder = building()
    assert synced == [(folder, ["app", "venv"])]
    assert Path(folder, "release.json").exists()


def test_of_a_release_that_does_not_reach_the_disk_nothing_stays(
    building: t.Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_rest: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "sync_disk", full)
    with pytest.raises(OSError, match="No space left"):
        building()
    assert os.listdir(tmp_path / "releases") == []


def test_what_is_half_built_or_half_removed_is_known(releases: Releases) -> None:
    whole = add(releases, "20260101T000000Z-aaaaaaaaaaaa")
    half = add(releases, "20260102T000000Z-bbbbbbbbbbbb", finished=False)
    used = add(releases, "20260103T000000Z-cccccccccccc", finished=False)
    (Path(releases.folder) / "notes-of-somebody").mkdir()
    assert releases.unfinished({used}) == [half]
    releases.remove_unfinished({used})
    assert sorted(os.listdir(releases.folder)) == [whole, used, "notes-of-somebody"]
