# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a configuration needs no trial: it is live, as it was rendered, and nginx would load it now."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx_proven
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import write_tree
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import FILE, with_marks
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import Generations
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_proven import digest_of, is_proven

Fixture = t.Any

FILES = {"main.conf": "events {}\n", "sites/notes/site.conf": "server {}\n"}
SECRET = {"sites/notes/users": "ann:$6$hash\n"}
ENTRY = "include deploy/current/main.conf;\n"
WELL = {"nginx -t": (0, "", "nginx: configuration file test is successful\n")}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host on which the configuration is live."""
    monkeypatch.setattr(nginx_proven, "sandbox_of", lambda _drop_in: [])
    generations = Generations(str(tmp_path / "deploy"))
    name = "20260101T000000Z-aaa"
    write_tree(generations.path(name), {**FILES, **SECRET})
    generations.point(name)
    (tmp_path / "nginx.conf").write_text(ENTRY, encoding="utf-8")
    return tmp_path


def proven(home: Path, run: Fixture, files: dict[str, str] | None = None) -> bool:
    wanted = {"digest": digest_of(files or {**FILES, **SECRET}, ENTRY), "drop_in": ""}
    return is_proven(run, wanted, str(home / "deploy"), str(home / "nginx.conf"))


def test_what_is_live_and_loads_needs_no_trial(home: Path, fake_run: Fixture) -> None:
    assert proven(home, fake_run(WELL))


def test_what_health_checks_have_marked_is_no_difference(home: Path, fake_run: Fixture) -> None:
    rendered = (
        "map $server_port $health_marks { default none; }\n\nupstream notes {\n"
        "    server 10.0.0.1:8000; # app1\n    server 10.0.0.2:8000; # app2\n}\n"
    )
    generations = Generations(str(home / "deploy"))
    marked = with_marks(rendered, {"10.0.0.1:8000"})
    assert " down; # app1" in marked
    write_tree(generations.path("20260101T000001Z-bbb"), {**FILES, **SECRET, FILE: marked})
    generations.point("20260101T000001Z-bbb")
    assert proven(home, fake_run(WELL), {**FILES, **SECRET, FILE: rendered})
    assert not proven(home, fake_run(WELL), {**FILES, **SECRET, FILE: rendered.replace("app2", "app3")})


@pytest.mark.parametrize(
    "files",
    [
        {**FILES, **SECRET, "main.conf": "events { }\n"},
        {**FILES, "sites/notes/users": "ann:$6$other\n"},
        FILES,
        {**FILES, **SECRET, "sites/other/site.conf": "server {}\n"},
        # The same texts, in other files.
        {"main.conf": FILES["sites/notes/site.conf"], "sites/notes/site.conf": FILES["main.conf"], **SECRET},
    ],
    ids=["another text", "another password", "one less", "one more", "swapped"],
)
def test_another_configuration_is_tried(home: Path, fake_run: Fixture, files: dict[str, str]) -> None:
    run = fake_run(WELL)
    assert not proven(home, run, files)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("deploy/current/main.conf", "events { worker_connections 1; }\n"),
        ("deploy/current/sites/notes/mine.conf", "# by hand\n"),
        ("nginx.conf", "events {}\n"),
    ],
)
def test_what_a_hand_has_changed_is_tried(home: Path, fake_run: Fixture, path: str, text: str) -> None:
    (home / path).write_text(text, encoding="utf-8")
    assert not proven(home, fake_run(WELL))


@pytest.mark.parametrize(
    "answer",
    [
        (1, "", 'nginx: [emerg] module "/usr/lib/nginx/modules/gone.so" is not there\n'),
        (0, "", "nginx: [warn] conflicting server name\n"),
    ],
)
def test_what_nginx_would_not_load_any_more_is_tried(
    home: Path, fake_run: Fixture, answer: tuple[int, str, str]
) -> None:
    assert not proven(home, fake_run({"nginx -t": answer}))


@pytest.mark.parametrize("missing", ["deploy/current", "nginx.conf"])
def test_a_new_host_has_nothing_live(home: Path, fake_run: Fixture, missing: str) -> None:
    (home / missing).unlink()
    assert not proven(home, fake_run(WELL))


def test_what_is_no_file_is_left_to_the_trial(home: Path, fake_run: Fixture) -> None:
    (home / "nginx.conf").unlink()
    (home / "nginx.conf").mkdir()
    assert not proven(home, fake_run(WELL))
