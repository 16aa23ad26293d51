# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sites' caches: gone with the last generation that names them, and nothing else with them."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx_caches, nginx_generations
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_caches import caches_of, remove_caches
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import (
    Generations,
    Refusal,
    write_generation,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_switch import Files, prove


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(nginx_caches, "CACHES", str(folder))
    monkeypatch.setattr(nginx_generations, "group_id", os.getgid)
    return folder


def conf(caches: Path, *sites: str) -> dict[str, str]:
    return {
        f"sites/{site}/cache.conf": f"# managed\n\nproxy_cache_path {caches}/{site} levels=1:2 keys_zone=c:10m\n  x;\n"
        for site in sites
    }


def fill(caches: Path, *names: str) -> None:
    for name in names:
        (caches / name / "a").mkdir(parents=True)
        (caches / name / "a" / "answer").write_text("secret", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "path", "found"),
    [
        ("sites/a/cache.conf", "CACHES/a", {"CACHES/a"}),
        ("sites/a.b/cache.conf", "CACHES/a.b", {"CACHES/a.b"}),
        # Written by a hand, or of somebody else's.
        ("sites/a/cache.conf", "CACHES/b", set()),
        ("sites/a/cache.conf", "/a", set()),
        ("sites/a/cache.conf", "/", set()),
        ("sites/../cache.conf", "CACHES/../x", set()),
        ("sites/a/site.conf", "CACHES/a", set()),
        ("http/cache.conf", "CACHES/a", set()),
    ],
)
def test_caches(caches: Path, name: str, path: str, found: set[str]) -> None:
    text = f"proxy_cache_path {path} levels=1:2 x;\n".replace("CACHES", str(caches))
    assert caches_of({name: text}) == {one.replace("CACHES", str(caches)) for one in found}


def test_a_cache_goes_with_the_last_generation_that_names_it(tmp_path: Path, caches: Path) -> None:
    fill(caches, "a", "b", "fastcgi", "theirs")
    generations = Generations(str(tmp_path / "deploy"))
    for number, sites in enumerate((["a", "b"], ["b"], ["b"])):
        name = f"2026010{number + 1}T000000Z-{number}"
        write_generation(generations.path(name), {"main.conf": "x", **conf(caches, *sites)}, {})
        generations.point(name)
    generations.prune(3)
    assert sorted(os.listdir(caches)) == ["a", "b", "fastcgi", "theirs"]
    generations.prune(2)
    assert sorted(os.listdir(caches)) == ["b", "fastcgi", "theirs"]
    generations.prune(1)
    assert sorted(os.listdir(caches)) == ["b", "fastcgi", "theirs"]


def test_a_killed_removal_is_ended_and_a_link_stays(caches: Path, tmp_path: Path) -> None:
    fill(caches, ".gone-a")
    fill(tmp_path, "disk")
    (caches / "b").symlink_to(tmp_path / "disk")
    remove_caches([str(caches / "a"), str(caches / "b")])
    assert os.listdir(caches) == ["b"]
    assert (tmp_path / "disk/a/answer").exists()


class MakingNginx:
    """Makes a cache's folder in its test, as nginx does."""

    def __init__(self, folders: list[Path], message: str | None) -> None:
        self.folders, self.message = folders, message

    def test(self, _configuration: str) -> str | None:
        for folder in self.folders:
            folder.mkdir(exist_ok=True)
        return self.message


@pytest.mark.parametrize("message", [None, "[emerg] no"])
def test_a_test_leaves_no_folder(caches: Path, tmp_path: Path, message: str | None) -> None:
    fill(caches, "kept")
    (caches / "empty").mkdir()
    nginx = t.cast("t.Any", MakingNginx([caches / "new", caches / "kept", caches / "empty"], message))
    stage = tmp_path / "stage"
    stage.mkdir()
    files = Files(conf(caches, "new", "kept", "empty"), {})
    try:
        prove(nginx, str(stage), "x", files, {})
    except Refusal:
        assert message
    assert sorted(os.listdir(caches)) == ["empty", "kept"]
    assert caches_of(files.open) == {f"{caches}/{name}" for name in ("new", "kept", "empty")}
