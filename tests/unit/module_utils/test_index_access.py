"""Credentials of a package index: there for one build. What an installer makes of them is in tests/unit/builds."""

from __future__ import annotations

import os
import pwd
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import index_access as module
from ansible_collections.asgi.deploy.plugins.module_utils.index_access import folder_of, index_access

INDEX = {"url": "https://index.example.com/simple", "ca_bundle": None, "username": None, "password": None}
LOGIN = {**INDEX, "username": "me", "password": "hunter2"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "FOLDER", str(tmp_path / "run"))
    return tmp_path / "run"


@pytest.mark.parametrize("index", [None, INDEX, LOGIN])
def test_the_login_of_a_killed_build_goes(
    folder: Path, write: t.Callable[[Path, str], Path], index: dict[str, str | None] | None
) -> None:
    left = write(folder / "notes/netrc", "machine index.example.com login me password hunter1\n")
    other = write(folder / "notes-api/netrc", "")
    with index_access("notes", index, pwd.getpwuid(os.getuid())) as access:
        if index is LOGIN:
            assert access.environment["NETRC"] == str(left)
            assert left.read_text(encoding="utf-8").endswith("password hunter2\n")
        else:
            assert not left.exists()
    assert not os.path.exists(folder_of("notes"))
    assert other.exists()
