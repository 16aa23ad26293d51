# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction on a file system, with an nginx that is played: refused, not taken, killed at each of its steps."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx_generations, nginx_switch
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, read_tree
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import FILE, marks_of, with_marks
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_entry import Entry
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import Generations, Refusal
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_transaction import NginxTransaction

OLD = {"main.conf": "old\n", "sites/a/site.conf": "old a\n"}
NEW = {"main.conf": "new\n", "sites/b/site.conf": "new b\n"}
SECRET = {"sites/b/users": "ann:$6$hash\n"}
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
    folder.mkdir()
    # Whoever runs the tests may give files to their own group only.
    monkeypatch.setattr(nginx_generations, "group_id", os.getgid)
    entry_of(folder).write_text(ENTRY_OLD, encoding="utf-8")
    return folder


def entry_of(home: Path) -> Path:
    return home.parent / "nginx.conf"


def transaction(
    home: Path, files: dict[str, str], generation: str, nginx: PlayedNginx, private: dict[str, str] | None = None
) -> NginxTransaction:
    params = {
        "files": files,
        "private": private or {},
        "generation": generation,
        "keep": 2,
        "tls_dir": str(home.parent / "tls"),
        "pairs": [],
        "served": [],
        "folders": [],
        "proxy_protocol": False,
    }
    entry = Entry(ENTRY_NEW, str(home), str(entry_of(home)))
    return NginxTransaction(params, t.cast("t.Any", nginx), Generations(str(home)), entry)


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
    assert read_text(str(entry_of(home))) == ENTRY_NEW


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
    assert read_text(str(entry_of(home))) == (ENTRY_OLD if first else ENTRY_NEW)
    assert len(list((home / "generations").iterdir())) == (0 if first else 1)


#: What is done in this order: the owner's name, the function's.
STEPS = [
    (nginx_switch, "write_file"),
    (nginx_switch, "write_generation"),
    (Generations, "keep"),
    (Generations, "point"),
    (Entry, "put"),
    (PlayedNginx, "load"),
    (Generations, "confirm"),
    (Entry, "settle"),
    (Generations, "prune"),
]


@pytest.mark.parametrize("done", [True, False], ids=["after", "before"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[name for _owner, name in STEPS])
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("works", [True, False], ids=["works", "does-not"])
def test_killed(
    home: Path, monkeypatch: pytest.MonkeyPatch, works: bool, first: bool, owner: t.Any, step: str, done: bool
) -> None:
    """Before or after a step: the host is on the old or the new generation, whole, and the next run ends the work.

    Where nginx then does not take the new one, that run returns to the one before, which nginx has served.
    """
    nginx = PlayedNginx(home)
    if not first:
        transaction(home, OLD, "0", nginx).apply()
    real = getattr(owner, step)

    def kill(*arguments: t.Any) -> None:
        if done:
            real(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, kill)
        killed = transaction(home, NEW, "1", nginx, SECRET)
        with pytest.raises(Killed):
            killed.apply()
    assert live(home) in ({} if first else OLD, {**NEW, **SECRET})
    assert read_text(str(entry_of(home))) in ((ENTRY_OLD, ENTRY_NEW) if first else (ENTRY_NEW,))
    if read_text(str(entry_of(home))) == ENTRY_NEW:
        # nginx may be started at this moment.
        assert live(home)
    served_already = (owner, step) in ((Entry, "settle"), (Generations, "prune")) or (step == "confirm" and done)

    nginx.takes = works
    again = transaction(home, NEW, "1", nginx, SECRET)
    if not works and not served_already:
        with pytest.raises(Refusal, match="The configuration before it is live again"):
            again.apply() if again.differs() else again.apply_again()
        assert read_text(str(entry_of(home))) == (ENTRY_OLD if first else ENTRY_NEW)
        assert first or live(home) == OLD
        return
    nginx.takes = True
    if again.differs():
        again.apply()
    elif again.is_unconfirmed():
        again.apply_again()
    else:
        again.load_or_refuse()
    assert live(home) == nginx.loaded == {**NEW, **SECRET}
    assert read_text(str(entry_of(home))) == ENTRY_NEW
    assert not transaction(home, NEW, "1", nginx, SECRET).is_unconfirmed()


def test_a_hand_made_entry_comes_back_as_the_very_file(home: Path) -> None:
    """A link stays a link, and a mode a mode: the owner of a host finds what they had."""
    (home.parent / "their.conf").write_text(ENTRY_OLD, encoding="utf-8")
    entry_of(home).unlink()
    entry_of(home).symlink_to("their.conf")
    before = entry_of(home).lstat()
    nginx = PlayedNginx(home, takes=False)
    with pytest.raises(Refusal):
        transaction(home, NEW, "1", nginx).apply()
    after = entry_of(home).lstat()
    assert (after.st_ino, after.st_mode, after.st_mtime) == (before.st_ino, before.st_mode, before.st_mtime)
    assert read_text(f"{home}/nginx.conf.before") == ENTRY_OLD


def test_a_second_hand_made_entry_is_kept_beside_the_first(home: Path, deployed: PlayedNginx) -> None:
    entry_of(home).write_text("# by hand again\n", encoding="utf-8")
    transaction(home, OLD, "0", deployed).apply()
    assert read_text(f"{home}/nginx.conf.before") == ENTRY_OLD
    assert read_text(f"{home}/nginx.conf.before.2") == "# by hand again\n"


class TestPrivateFiles:
    @pytest.fixture
    def nginx(self, home: Path) -> PlayedNginx:
        nginx = PlayedNginx(home)
        transaction(home, NEW, "1", nginx, SECRET).apply()
        return nginx

    def test_only_nginx_can_read_them(self, home: Path, nginx: PlayedNginx) -> None:
        status = (home / "current" / "sites/b/users").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o640, os.getgid())
        assert not transaction(home, NEW, "1", nginx, SECRET).differs()

    def test_a_changed_mode_is_put_right(self, home: Path, nginx: PlayedNginx) -> None:
        (home / "current" / "sites/b/users").chmod(0o644)
        again = transaction(home, NEW, "1", nginx, SECRET)
        assert again.differs()
        again.apply()
        assert not transaction(home, NEW, "1", nginx, SECRET).differs()

    @pytest.mark.parametrize("mode", [0o640, 0o644])
    @pytest.mark.parametrize("after", [{}, {"sites/b/users": "bob:$6$other\n"}, SECRET])
    def test_no_diff_shows_them(self, home: Path, nginx: PlayedNginx, mode: int, after: dict[str, str]) -> None:
        (home / "current" / "sites/b/users").chmod(mode)
        shown = str(transaction(home, OLD, "2", nginx, after).diff())
        assert "$6$" not in shown
        assert ("(hidden" in shown) == (after != SECRET or mode == 0o644)


HOSTS = "upstream a {\n    server 10.0.0.1:80; # app1\n    server 10.0.0.2:80; # app2\n}\n"


class TestMarkedHosts:
    """What health checks write into the live generation."""

    @pytest.fixture
    def marked(self, home: Path) -> PlayedNginx:
        nginx = PlayedNginx(home)
        transaction(home, {**OLD, FILE: HOSTS}, "0", nginx).apply()
        (home / "current" / FILE).write_text(with_marks(HOSTS, {"10.0.0.1:80"}), encoding="utf-8")
        return nginx

    def test_they_are_no_difference(self, home: Path, marked: PlayedNginx) -> None:
        again = transaction(home, {**OLD, FILE: HOSTS}, "0", marked)
        assert not again.differs()
        assert again.diff() == []

    def test_a_new_configuration_takes_them_over_before_it_is_proven(self, home: Path, marked: PlayedNginx) -> None:
        fresh = transaction(home, {**NEW, FILE: HOSTS.replace(" a ", " b ")}, "1", marked)
        [shown] = [item for item in fresh.diff() if item["after_header"].endswith(FILE)]
        assert shown["before"].count(" down; # app1") == shown["after"].count(" down; # app1") == 1
        fresh.apply()
        assert marks_of(live(home)[FILE]) == marks_of(marked.loaded[FILE]) == {"10.0.0.1:80"}

    def test_without_health_checks_they_go(self, home: Path, marked: PlayedNginx) -> None:
        fresh = transaction(home, OLD, "1", marked)
        assert fresh.differs()
        fresh.apply()
        assert live(home) == OLD
