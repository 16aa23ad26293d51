# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which generations there are, which one is live, and which one `previous` means."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx_generations
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import (
    Generations,
    Refusal,
    drifted_modes,
    id_of,
    write_generation,
)

A, B, C = "20260101T000000Z-aaa", "20260102T000000Z-bbb", "20260103T000000Z-ccc"
A_AGAIN = "20260104T000000Z-aaa"


@pytest.fixture(autouse=True)
def _own_group_and_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Whoever runs the tests may give files to their own group only.
    monkeypatch.setattr(nginx_generations, "group_id", os.getgid)
    monkeypatch.setattr(nginx_generations, "LOCKS", str(tmp_path / "run"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "generations").mkdir()
    return tmp_path


def host(home: Path, *served: str) -> Generations:
    """Return the generations of a host whose nginx has served these, one after the other."""
    generations = Generations(str(home))
    for name in served:
        (home / "generations" / name).mkdir(exist_ok=True)
        generations.point(name)
        generations.confirm(name)
    return generations


def test_a_new_host(tmp_path: Path) -> None:
    generations = Generations(str(tmp_path / "nothing"))
    assert (generations.all(), generations.live(), generations.confirmed()) == ([], None, [])
    with pytest.raises(Refusal, match="accepted: nothing, there is none on this host yet"):
        generations.find("previous")


@pytest.mark.parametrize(
    ("served", "previous"),
    [
        ((A, B), A),
        ((A, B, C), B),
        # Gone back from: whoever goes back once more means what was before.
        ((A, B, C, B), A),
        # The one after a way back never returns to what was gone back from.
        ((A, B, A, C), A),
        # The same configuration under another name is no way back.
        ((A, B, A_AGAIN), B),
    ],
)
def test_previous(home: Path, served: tuple[str, ...], previous: str) -> None:
    assert host(home, *served).find("previous") == previous


def test_previous_after_a_kill_on_the_way_back(home: Path) -> None:
    generations = host(home, A, B, C)
    generations.point(B)
    assert generations.find("previous") == B
    generations.confirm(B)
    assert generations.find("previous") == A


@pytest.mark.parametrize("served", [(A,), (A, B, A), (A, A_AGAIN)])
def test_nothing_is_before(home: Path, served: tuple[str, ...]) -> None:
    with pytest.raises(Refusal, match=r'^"previous" is refused, no generation before the live one is kept; accepted: '):
        host(home, *served).find("previous")


@pytest.mark.parametrize(
    ("wanted", "found"), [("bbb", B), ("ccc", C), (B, B), ("aaa", A_AGAIN), (A, A)], ids=lambda value: str(value)
)
def test_by_name(home: Path, wanted: str, found: str) -> None:
    assert host(home, A, B, C, A_AGAIN).find(wanted) == found


def test_an_id_that_is_live_means_the_live_one(home: Path) -> None:
    host(home, A, B, A_AGAIN)
    generations = host(home, A)
    assert generations.find("aaa") == A


def test_an_unknown_id_is_refused_in_one_line(home: Path) -> None:
    with pytest.raises(Refusal) as caught:
        host(home, A, B, A_AGAIN).find("zzz")
    assert str(caught.value) == '"zzz" is refused, no such generation; accepted: aaa, bbb, aaa (live)'


def test_a_host_of_the_version_before_has_no_history(home: Path) -> None:
    generations = host(home, A, B, C)
    (home / "history").unlink()
    generations.point(B)
    assert generations.confirmed() == [A, B]
    assert generations.find("previous") == A


@pytest.mark.parametrize(
    ("live", "name", "back"),
    [
        (B, C, B),
        # Flipped, and killed before nginx was seen to serve it.
        (C, C, B),
        # Then the inventory changed.
        (C, "20260105T000000Z-ddd", B),
        (B, B, A),
    ],
)
def test_the_way_back_is_what_nginx_has_served(home: Path, live: str, name: str, back: str) -> None:
    generations = host(home, A, B)
    (home / "generations" / C).mkdir()
    generations.point(live)
    assert generations.way_back(name) == back


def test_pruned(home: Path) -> None:
    generations = host(home, A, B, C, A)
    (home / "generations" / "by-hand").mkdir()
    generations.prune(2)
    assert sorted(os.listdir(home / "generations")) == [A, C, "by-hand"]
    assert generations.live() == A
    assert generations.confirmed() == [A]


D = "20260105T000000Z-ddd"


@pytest.mark.parametrize(
    ("served", "keep", "kept"),
    [
        # Gone back to the oldest, then a new one: A alone was confirmed besides it.
        ((A, B, C, A, D), 3, [A, C, D]),
        ((A, B, C, A, D), 2, [A, D]),
        # The one between them is the live one's configuration, and no way back.
        ((A, B, A_AGAIN), 2, [B, A_AGAIN]),
        ((A, B, "20260103T000000Z-bbb", "20260104T000000Z-bbb"), 2, [A, "20260104T000000Z-bbb"]),
        # Nothing is before the first: by age.
        ((A, B, C, A), 3, [A, B, C]),
        ((A, B, C, D), 3, [B, C, D]),
    ],
)
def test_previous_is_never_pruned(home: Path, served: tuple[str, ...], keep: int, kept: list[str]) -> None:
    generations = host(home, *served)
    generations.prune(keep)
    assert sorted(os.listdir(home / "generations")) == kept
    if served[-1] != A:
        assert generations.find("previous") in kept


def test_a_killed_run_prunes_no_way_back(home: Path) -> None:
    generations = host(home, A, B, C, A)
    (home / "generations" / D).mkdir()
    # Flipped, and not confirmed.
    generations.point(D)
    generations.prune(2)
    assert generations.way_back(D) == A


def test_the_same_tree_of_the_same_second_gets_a_name_of_its_own(home: Path, tmp_path: Path) -> None:
    generations = Generations(str(home))
    names = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        names.append(generations.keep(str(tmp_path / str(number)), "abc"))
    assert len(set(names)) == 3
    assert {id_of(name) for name in names} == {"abc"}
    assert [one.name for one in generations.all()] == sorted(names)


def test_what_killed_runs_left_is_removed(home: Path, tmp_path: Path) -> None:
    generations = host(home, A)
    (Path(generations.stage()) / "nginx.conf").touch()
    generations.clean()
    assert sorted(os.listdir(home)) == ["current", "generations", "history"]
    Generations(str(tmp_path / "nothing")).clean()


FILES = {
    "http/status.conf": "server {\n    listen 127.0.0.1:8123;\n}\n",
    "sites/a/site.conf": "ssl_certificate /etc/nginx/tls/a/current/fullchain.pem;\ninclude /etc/nginx/tls.conf;\n",
    "sites/b.c/site.conf": 'ssl_certificate "/etc/nginx/tls/b.c/current/fullchain.pem";\n',
    "sites/a/pages/502.html": "<h1>Sorry</h1>",
}
PRIVATE = {"sites/a/users/root": "ann:$6$hash\n"}


@pytest.fixture
def written(home: Path) -> Generations:
    before = os.umask(0o077)
    write_generation(str(home / "generations" / A), FILES, PRIVATE)
    os.umask(before)
    return Generations(str(home))


def test_read_back(home: Path, written: Generations) -> None:
    assert written.files(A) == (FILES, PRIVATE)
    assert written.named(A, "/etc/nginx/tls/") == {"a", "b.c"}
    assert written.status_port(A) == 8123
    assert drifted_modes(written.path(A), PRIVATE) == []
    # Opened by hand: still nothing to show, and to be put right.
    (home / "generations" / A / "sites/a/users/root").chmod(0o644)
    assert written.files(A) == (FILES, PRIVATE)
    assert drifted_modes(written.path(A), PRIVATE) == list(PRIVATE)


def test_a_private_file_that_is_gone_has_no_mode(home: Path, written: Generations) -> None:
    (home / "generations" / A / "sites/a/users/root").unlink()
    assert drifted_modes(written.path(A), PRIVATE) == []


def test_a_tree_that_is_none_of_ours(home: Path) -> None:
    with pytest.raises(Refusal, match=r"has no http/status.conf"):
        host(home, A).status_port(A)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("", lambda path: path.write_text("x"), "is a file"),
        ("generations", lambda path: path.write_text("x"), "is a file"),
        ("current", lambda path: path.write_text("x"), "is a file"),
        ("current", lambda path: path.mkdir(), "is a folder"),
        ("current", lambda path: path.symlink_to("/srv/old"), "is a link to /srv/old"),
        ("history", lambda path: path.mkdir(), "is a folder"),
        ("history", lambda path: path.symlink_to("/var/log/history"), "is a link to /var/log/history"),
    ],
)
def test_what_somebody_else_has_there_is_not_written_over(
    tmp_path: Path, name: str, make: Callable[[Path], object], words: str
) -> None:
    home = tmp_path / "deploy"
    if name:
        home.mkdir()
    make(home / name)
    with pytest.raises(Refusal, match=f"^{home / name} {words}, and not this collection's; accepted: "):
        Generations(str(home)).refuse_foreign()


@pytest.mark.parametrize("target", [f"generations/{A}", f"generations/{A}/", "HOME/generations/gone"])
def test_our_own_is_no_stranger(home: Path, target: str) -> None:
    """Nor is a link that a hand has set, or one to a generation that is not there: these are put right."""
    host(home, A)
    (home / "current").unlink()
    (home / "current").symlink_to(target.replace("HOME", str(home)))
    Generations(str(home)).refuse_foreign()
    Generations(str(home / "none")).refuse_foreign()


def test_no_group_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(nginx_generations, "GROUP", "no-such-group")
    with pytest.raises(Refusal, match="this host has no group no-such-group"):
        nginx_generations.group_id()
