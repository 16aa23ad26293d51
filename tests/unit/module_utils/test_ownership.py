"""Whose the files below a folder are. Root runs these tests, or they are about one user's own files."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.ownership import NotOurs, give

USER, GROUP, OTHER = 12345, 12346, 12347


@pytest.fixture
def folder(tmp_path: Path, write: t.Callable[[Path, str], Path]) -> Path:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    write(tmp_path / "release/venv/lib/notes.py", "").chmod(0o666)
    write(tmp_path / "shadow", "secret").chmod(0o640)
    give(str(tmp_path / "release"), USER, GROUP, maker=0)
    return tmp_path / "release"


def whose(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid, found.st_mode & 0o7777


def test_all_of_it_is_given(folder: Path) -> None:
    assert whose(folder) == (USER, GROUP, 0o755)
    assert whose(folder / "venv/lib/notes.py") == (USER, GROUP, 0o644)
    give(str(folder), 0, GROUP, maker=USER)
    assert whose(folder / "venv/lib/notes.py") == (0, GROUP, 0o644)


def test_a_link_is_given_and_not_what_it_leads_to(folder: Path) -> None:
    (folder / "venv/evil").symlink_to(folder.parent / "shadow")
    (folder / "venv/evildata").symlink_to(folder.parent)
    give(str(folder), 0, GROUP, maker=USER)
    assert whose(folder.parent / "shadow") == (0, 0, 0o640)
    assert whose(folder / "venv/evil")[:2] == (0, GROUP)


@pytest.mark.parametrize("owner", [0, OTHER])
def test_a_second_name_of_a_file_of_the_host(folder: Path, owner: int) -> None:
    shadow = folder.parent / "shadow"
    os.chown(shadow, owner, 0)
    os.link(shadow, folder / "venv/evil")
    with pytest.raises(NotOurs, match=r"second name"):
        give(str(folder), 0, GROUP, maker=USER)
    assert whose(shadow) == (owner, 0, 0o640)


def test_what_releases_share_is_given(folder: Path) -> None:
    give(str(folder), 0, GROUP, maker=USER)
    other = folder.parent / "other"
    other.mkdir()
    os.link(folder / "venv/lib/notes.py", other / "notes.py")
    give(str(other), 0, GROUP, maker=USER)
    assert whose(other / "notes.py") == (0, GROUP, 0o644)


def test_the_makers_own_second_names_are_given(folder: Path) -> None:
    os.link(folder / "venv/lib/notes.py", folder / "venv/lib/again.py")
    give(str(folder), 0, GROUP, maker=USER)
    assert whose(folder / "venv/lib/again.py") == (0, GROUP, 0o644)
