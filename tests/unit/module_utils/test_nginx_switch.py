# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Going back to an old generation: proven before it is live, seen to be served after, or undone."""

from __future__ import annotations

import json
import os
import signal
import stat
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx_generations, nginx_switch, tls_folder
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import (
    Generations,
    Refusal,
    id_of,
    write_generation,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_switch import (
    checked_folder,
    go_back,
    load_and_confirm,
    try_to_go_back,
)
from ansible_collections.asgi.deploy.plugins.module_utils.tls_folder import TlsFolders

OLD, NEW = "20260101T000000Z-aaa", "20260102T000000Z-bbb"


class PlayedNginx:
    """:param against: what the test of a configuration says :param takes: whether a reload brings the new one"""

    def __init__(self, generations: Generations, against: str | None = None, takes: bool = True) -> None:
        self.generations, self.against, self.takes = generations, against, takes
        self.serves = id_of(NEW)
        self.tested: list[str] = []

    def test(self, configuration: str) -> str | None:
        self.tested.append((Path(configuration).parent / "deploy/current/main.conf").read_text(encoding="utf-8"))
        return self.against

    def load(self) -> str | None:
        if self.takes:
            self.serves = id_of(self.generations.live() or "")
        return None

    def served_generation(self) -> str:
        return self.serves

    def confirm(self, generation: str) -> bool:
        return self.serves == generation


class Host:
    def __init__(self, folder: Path) -> None:
        (folder / "deploy/generations").mkdir(parents=True)
        self.generations = Generations(str(folder / "deploy"))
        self.tls_dir = folder / "tls"
        self.tls_dir.mkdir()
        self.nginx = PlayedNginx(self.generations)
        for name, site in ((OLD, "old"), (NEW, "new")):
            text = f"ssl_certificate {self.tls_dir}/{site}/current/fullchain.pem;\n"
            write_generation(self.generations.path(name), {"main.conf": text}, {})
            self.generations.point(name)
            self.generations.confirm(name)
        names = ("old", "new")
        self.pairs = [{"name": name, "domains": [f"{name}.example.com"], "source": "certbot"} for name in names]
        TlsFolders(str(self.tls_dir), self.pairs).ensure(self.pairs)
        kept = self.generations.named(OLD, str(self.tls_dir))
        TlsFolders(str(self.tls_dir), self.pairs[1:]).remove_foreign(lambda: kept)

    def back(self, name: str = OLD) -> bool:
        nginx = t.cast("t.Any", self.nginx)
        tls = TlsFolders(str(self.tls_dir), [])
        return go_back(self.generations, nginx, tls, name, lambda wanted: load_and_confirm(nginx, wanted))

    def sources(self) -> dict[str, str]:
        """What certbot's program reads of each folder."""
        return {
            path.parent.name: json.loads(path.read_text(encoding="utf-8"))["source"]
            for path in self.tls_dir.glob("*/site.json")
        }


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(nginx_generations, "group_id", os.getgid)
    monkeypatch.setattr(tls_folder, "LINEAGES", str(tmp_path / "live"))
    for module in (nginx_generations, nginx_switch):
        monkeypatch.setattr(module, "LOCKS", str(tmp_path / "run"))
    entry = tmp_path / "nginx.conf"
    entry.write_text("include deploy/current/main.conf;\n", encoding="utf-8")
    monkeypatch.setattr(nginx_switch, "ENTRY", str(entry))
    return Host(tmp_path)


def test_there_and_back(host: Host) -> None:
    assert host.sources() == {"old": "gone", "new": "certbot"}
    assert host.back()
    assert (host.generations.live(), host.nginx.serves) == (OLD, "aaa")
    assert host.sources() == {"old": "certbot", "new": "gone"}
    assert not host.back()
    assert host.back(NEW)
    assert (host.generations.live(), host.nginx.serves) == (NEW, "bbb")
    assert host.sources() == {"old": "gone", "new": "certbot"}
    assert not list(Path(host.generations.home).glob(".stage-*"))


def test_a_tree_in_check_mode_lies_where_the_sandbox_sees_it(host: Host, tmp_path: Path) -> None:
    """Not in /tmp: nginx.service has one of its own."""
    with checked_folder() as folder:
        assert Path(folder).parent == tmp_path / "run"
        assert [stat.S_IMODE(os.stat(path).st_mode) for path in (folder, tmp_path / "run")] == [0o700, 0o700]
    assert not os.path.exists(folder)


def killed_trial(run: Path) -> Path:
    """Return what a killed trial has left: password files and a key lie in it."""
    before = set(run.glob("*"))
    trial = os.fork()
    if trial == 0:
        with checked_folder() as folder:
            (Path(folder) / "pair.pem").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(trial, 0)
    [left] = set(run.glob("*")) - before
    assert (left / "pair.pem").exists()
    return left


def test_what_a_killed_trial_left_is_removed(host: Host, tmp_path: Path) -> None:
    """By the next trial and by the next change; never what another trial is using just now."""
    run = tmp_path / "run"
    left = killed_trial(run)
    with checked_folder() as used:
        assert not left.exists()
        left = killed_trial(run)
        with checked_folder() as other:
            assert sorted(path.name for path in run.iterdir()) == sorted(map(os.path.basename, (used, other)))
        left = killed_trial(run)
        (run / "checked").touch()
        host.generations.clean()
        assert not left.exists()
        assert os.path.isdir(used)
    assert os.listdir(run) == ["checked"]


def test_a_trial_whose_folder_was_taken_for_a_left_one_makes_another(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock."""
    real: t.Callable[..., str] = tempfile.mkdtemp
    made: list[str] = []

    def cleaned(**options: t.Any) -> str:
        made.append(real(**options))
        if len(made) == 1:
            host.generations.clean()
            assert not os.path.exists(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", cleaned)
    with checked_folder() as folder:
        assert [folder] == made[1:]
        assert os.path.isdir(folder)


def test_what_is_live_and_not_loaded_is_loaded(host: Host) -> None:
    host.nginx.serves = "aaa"
    assert host.back(NEW)
    assert host.nginx.serves == "bbb"


def test_refused_by_the_test(host: Host) -> None:
    host.nginx.against = "[emerg] host not found in upstream"
    with pytest.raises(Refusal, match="host not found"):
        host.back()
    assert (host.generations.live(), host.nginx.serves) == (NEW, "bbb")
    assert host.sources() == {"old": "gone", "new": "certbot"}
    assert not list(Path(host.generations.home).glob(".stage-*"))


def test_not_taken_by_nginx(host: Host) -> None:
    host.nginx.takes = False
    with pytest.raises(Refusal, match=r"(?s)does not answer.*The configuration before it is live again"):
        host.back()
    assert host.generations.live() == NEW
    assert host.generations.confirmed() == [OLD, NEW]
    assert host.sources() == {"old": "gone", "new": "certbot"}


def test_a_certificate_that_is_gone_since(host: Host) -> None:
    """Its lineage was deleted: with the self-signed pair nginx starts at least."""
    link = host.tls_dir / "old" / "current"
    link.unlink()
    link.symlink_to("/nowhere")
    try_to_go_back(host.generations, t.cast("t.Any", host.nginx), TlsFolders(str(host.tls_dir), []), OLD)
    assert f"{host.tls_dir}/old/bootstrap/fullchain.pem" in host.nginx.tested[0]
    assert os.readlink(link) == "/nowhere"
    assert host.generations.live() == NEW
    assert host.back()
    assert os.readlink(link) == "bootstrap"
    assert (link / "fullchain.pem").exists()


OLD_LINES = "2026/01/01 10:00:00 [emerg] 7#7: bind() to 127.0.0.1:9000 failed (98: Address already in use)\n"
NEW_LINES = (
    '2026/01/02 10:00:00 [error] 8#8: *1 connect() failed (111: Connection refused), host: "a"\n'
    '2026/01/02 10:00:00 [emerg] 7#7: cache "a" uses the "/b" cache path while previously it used "/a"\n'
    '2026/01/02 10:00:01 [emerg] 7#7: cache "a" uses the "/b" cache path while previously it used "/a"\n'
)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (OLD_LINES, OLD_LINES + NEW_LINES, NEW_LINES.splitlines()[2:]),
        # Rotated since.
        (OLD_LINES * 9, NEW_LINES, NEW_LINES.splitlines()[2:]),
        (None, NEW_LINES, NEW_LINES.splitlines()[2:]),
        (OLD_LINES, OLD_LINES, []),
        (OLD_LINES, None, []),
    ],
)
def test_only_what_was_logged_since_is_the_reason(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str | None, says: list[str]
) -> None:
    log = tmp_path / "error.log"
    monkeypatch.setattr(nginx_switch, "ERROR_LOG", str(log))

    def write(text: str | None) -> None:
        log.unlink(missing_ok=True)
        if text is not None:
            log.write_text(text, encoding="utf-8")

    write(before)
    monkeypatch.setattr(host.nginx, "load", lambda: write(after))
    first, *lines = (load_and_confirm(t.cast("t.Any", host.nginx), "ccc") or "").splitlines()
    assert "the new generation does not answer" in first
    assert lines == says
    assert first.endswith(" says:" if says else " does not say why.")


@pytest.mark.parametrize("done", [True, False], ids=["after", "before"])
@pytest.mark.parametrize(
    ("owner", "step"),
    [(TlsFolders, "mend"), (nginx_switch, "prove"), (Generations, "point"), (PlayedNginx, "load"),
     (Generations, "confirm"), (TlsFolders, "mark")],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)  # fmt: skip
def test_killed(host: Host, monkeypatch: pytest.MonkeyPatch, owner: t.Any, step: str, done: bool) -> None:
    """The host is on one of the two, and the same command ends the work."""
    real = getattr(owner, step)

    def kill(*arguments: t.Any) -> None:
        if done:
            real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, kill)
        with pytest.raises(KeyboardInterrupt):
            host.back()
    assert host.generations.live() in (OLD, NEW)
    host.back()
    assert (host.generations.live(), host.nginx.serves) == (OLD, "aaa")
    assert host.generations.confirmed() == [OLD]
    assert host.sources() == {"old": "certbot", "new": "gone"}
