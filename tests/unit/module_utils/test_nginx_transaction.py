# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction on a file system, with an nginx that is played: refused, not taken, killed at each of its steps."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx_transaction as module
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, read_tree
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_transaction import NginxTransaction, Refusal

OLD = {"main.conf": "old\n", "sites/a/site.conf": "old a\n"}
NEW = {"main.conf": "new\n", "sites/b/site.conf": "new b\n"}
ENTRY_OLD, ENTRY_NEW = "# by hand\n", "# asgi.deploy\ninclude deploy/current/main.conf;\n"


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class PlayedNginx:
    """Loads what is live, as nginx would. :param against: what the test of a configuration says"""

    def __init__(self, home: Path, against: str | None = None, takes: bool = True) -> None:
        self.home, self.against, self.takes = home, against, takes
        self.loaded: dict[str, str] = {}

    def test(self, configuration: str) -> str | None:
        assert Path(configuration).is_file()
        return self.against and self.against.replace("STAGE", str(Path(configuration).parent))

    def load(self) -> str | None:
        if self.takes:
            self.loaded = read_tree(f"{self.home}/current/")
        return None

    def confirm(self, generation: str) -> bool:
        return self.takes


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "deploy"
    monkeypatch.setattr(module, "ENTRY", str(tmp_path / "nginx.conf"))
    monkeypatch.setattr(module, "HOME", str(folder))
    monkeypatch.setattr(module, "CURRENT", str(folder / "current"))
    monkeypatch.setattr(module, "GENERATIONS", str(folder / "generations"))
    (tmp_path / "nginx.conf").write_text(ENTRY_OLD, encoding="utf-8")
    return folder


def transaction(home: Path, files: dict[str, str], generation: str, nginx: PlayedNginx) -> NginxTransaction:
    tls = str(home.parent / "tls")
    params = {"files": files, "generation": generation, "entry": ENTRY_NEW, "keep": 2, "tls_dir": tls, "pairs": []}
    return NginxTransaction({**params, "served": []}, t.cast("t.Any", nginx))


def live(home: Path) -> dict[str, str]:
    return read_tree(f"{home}/current/")


@pytest.fixture
def deployed(home: Path) -> PlayedNginx:
    """An nginx that serves the old generation of ours."""
    nginx = PlayedNginx(home)
    transaction(home, OLD, "0", nginx).apply()
    assert live(home) == nginx.loaded == OLD
    return nginx


def test_a_hand_made_entry_is_kept(home: Path, deployed: PlayedNginx) -> None:
    assert read_text(f"{home}/nginx.conf.before") == ENTRY_OLD
    assert read_text(module.ENTRY) == ENTRY_NEW


def test_applied(home: Path, deployed: PlayedNginx) -> None:
    fresh = transaction(home, NEW, "1", deployed)
    assert fresh.differs()
    fresh.apply()
    assert live(home) == deployed.loaded == NEW
    assert not transaction(home, NEW, "1", deployed).differs()


def test_only_some_generations_are_kept(home: Path, deployed: PlayedNginx) -> None:
    for number in range(1, 5):
        transaction(home, {"main.conf": f"{number}\n"}, str(number), deployed).apply()
    assert len(list((home / "generations").iterdir())) == 2
    assert live(home) == {"main.conf": "4\n"}


def test_a_refused_tree_changes_nothing(home: Path, deployed: PlayedNginx) -> None:
    deployed.against = "[emerg] unknown directive in STAGE/deploy/current/sites/b/site.conf:1"
    before = sorted(path for path in home.rglob("*"))
    with pytest.raises(Refusal, match="It belongs to the site b"):
        transaction(home, NEW, "1", deployed).apply()
    assert sorted(path for path in home.rglob("*")) == before
    assert live(home) == OLD


@pytest.mark.parametrize("first", [True, False])
def test_a_tree_that_nginx_does_not_take_is_undone(home: Path, first: bool) -> None:
    nginx = PlayedNginx(home)
    if not first:
        transaction(home, OLD, "0", nginx).apply()
    nginx.takes = False
    with pytest.raises(Refusal, match="the new generation does not answer"):
        transaction(home, NEW, "1", nginx).apply()
    assert live(home) == ({} if first else OLD)
    assert read_text(module.ENTRY) == (ENTRY_OLD if first else ENTRY_NEW)
    assert len(list((home / "generations").iterdir())) == (0 if first else 1)


#: What is done in this order; "entry" is the second kind of write_file.
STEPS = ["write_file", "write_tree", "flip", "entry", "load"]


@pytest.mark.parametrize("done", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("first", [True, False])
def test_killed(home: Path, monkeypatch: pytest.MonkeyPatch, first: bool, step: str, done: bool) -> None:
    """Before or after a step: the host is on the old or the new generation, whole, and the next run ends the work."""
    nginx = PlayedNginx(home)
    if not first:
        transaction(home, OLD, "0", nginx).apply()
    if step == "entry" and not first:
        # Written once only; then as if a hand had changed it.
        Path(module.ENTRY).write_text(ENTRY_OLD, encoding="utf-8")
    owner: t.Any = nginx if step == "load" else module
    name = "write_file" if step == "entry" else step
    real = getattr(owner, name)

    def kill(*arguments: t.Any) -> None:
        if step == "entry" and arguments[0] != module.ENTRY:
            real(*arguments)
            return
        if done:
            real(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, kill)
        killed = transaction(home, NEW, "1", nginx)
        with pytest.raises(Killed):
            killed.apply()
    assert live(home) in ({} if first else OLD, NEW)
    assert read_text(module.ENTRY) in (ENTRY_OLD, ENTRY_NEW)
    # A real kill leaves this, which no `finally` removes.
    (home / ".stage-left").mkdir(parents=True, exist_ok=True)

    again = transaction(home, NEW, "1", nginx)
    if again.differs():
        again.apply()
        assert not (home / ".stage-left").exists()
    else:
        again.load_or_refuse()
    assert live(home) == nginx.loaded == NEW
    assert read_text(module.ENTRY) == ENTRY_NEW
