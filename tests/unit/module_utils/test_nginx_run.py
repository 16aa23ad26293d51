# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of nginx_tree does and says, with a file system of its own and commands that are written down."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx_generations, nginx_run, nginx_switch
from ansible_collections.asgi.deploy.plugins.module_utils.call import Call
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Nginx
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_entry import Entry
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import (
    Generations,
    Refusal,
    write_generation,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_run import difference, expect, put_back, put_live

Fixture = t.Any

STATUS = "listen 127.0.0.1:8099;\n"
OLD = {"http/status.conf": STATUS, "sites/a/site.conf": "old\n"}
NEW = {"http/status.conf": STATUS, "sites/a/site.conf": "new\n"}
SECRET = "ann:$6$hash\n"


@pytest.fixture
def generations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generations:
    """A host with an old generation and a live one, each with a password file."""
    # Whoever runs the tests may give files to their own group only.
    monkeypatch.setattr(nginx_generations, "group_id", os.getgid)
    monkeypatch.setattr(nginx_switch, "LOCKS", str(tmp_path / "run"))
    found = Generations(str(tmp_path / "deploy"))
    for name, files in (("20260101T000000Z-aaa", OLD), ("20260102T000000Z-bbb", NEW)):
        write_generation(found.path(name), files, {"sites/a/users": SECRET + name})
        found.point(name)
        found.confirm(name)
    return found


def test_the_difference_shows_no_passwords(generations: Generations) -> None:
    (shown,) = difference(generations, "20260101T000000Z-aaa")
    assert (shown["before"], shown["after"]) == ("new\n", "old\n")
    assert shown["before_header"].endswith("/current/sites/a/site.conf")


def call(run: Fixture, **params: t.Any) -> tuple[Call, list[str]]:
    warnings: list[str] = []
    return Call({"host": "web1", **params}, True, run, warnings.append), warnings


def test_check_mode_of_going_back_says_so_and_changes_nothing(
    generations: Generations, fake_run: Fixture, tmp_path: Path
) -> None:
    asked, warnings = call(fake_run(), back_to="previous", tls_dir=str(tmp_path / "tls"))
    result = put_back(asked, generations)
    assert (result["changed"], result["reloaded"], result["generation"]) == (True, False, "aaa")
    assert generations.live() == "20260102T000000Z-bbb"
    assert warnings == []


def test_an_unknown_generation_names_the_variable(generations: Generations, fake_run: Fixture) -> None:
    asked, _warnings = call(fake_run(), back_to="ccc", tls_dir="/none")
    with pytest.raises(Refusal, match=r"^nginx_proxy_generation: "):
        put_back(asked, generations)


@pytest.mark.parametrize(
    ("foreign", "boot", "healed", "changed", "warned"),
    [
        (False, True, False, False, 0),
        # Something beside the tree.
        (False, False, False, True, 0),
        (False, True, True, True, 0),
        # A hand's own configuration: the tree differs from what is live, and somebody has to be told.
        (True, True, False, True, 1),
    ],
)
def test_check_mode(
    generations: Generations,
    fake_run: Fixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    foreign: bool,
    boot: bool,
    healed: bool,
    changed: bool,
    warned: int,
) -> None:
    entry = tmp_path / "nginx.conf"
    text = "# asgi.deploy\n"
    entry.write_text("server { server_name a.example.com; }\n" if foreign else text, encoding="utf-8")
    monkeypatch.setattr(nginx_run, "Entry", lambda wanted, home: Entry(wanted, home, str(entry)))
    monkeypatch.setattr(nginx_run, "heal_logs", lambda change: healed)
    monkeypatch.setattr(Nginx, "served_generation", lambda nginx: "bbb")
    run = fake_run({"systemctl is-enabled": (0 if boot else 1, "", ""), "nginx -T": (0, listing(entry), "")})
    params: dict[str, t.Any] = {
        "files": NEW,
        "private": {"sites/a/users": SECRET + "20260102T000000Z-bbb"},
        "generation": "bbb",
        "entry": text,
        "status_port": 8099,
        "keep": 2,
        **{"proxy_protocol": False, "served": [], "pairs": [], "folders": []},
    }
    asked, warnings = call(run, tls_dir=str(tmp_path / "tls"), **params)
    result = put_live(asked, generations)
    assert (result["changed"], result["reloaded"], len(warnings)) == (changed, False, warned)
    assert ("found" in result) is foreign
    assert not any(command.startswith(("systemctl reload", "systemctl enable")) for command in run.commands)
    assert any(command.startswith("nginx -t") for command in run.commands)


def listing(entry: Path) -> str:
    return f"# configuration file {entry}:\n{entry.read_text(encoding='utf-8')}"


@pytest.mark.parametrize("expected", [[], ["any"], ["20260102T000000Z-bbb"], ["bbb"], ["20260101T000000Z-aaa", "bbb"]])
def test_what_is_expected_to_be_live(generations: Generations, expected: list[str]) -> None:
    assert expect(generations, expected) == "20260102T000000Z-bbb"


@pytest.mark.parametrize("expected", [["20260101T000000Z-aaa"], ["aaa"], ["aaa", "ccc"], ["20260102T000000Z-bb"]])
def test_what_another_run_has_put_live_is_left_alone(generations: Generations, expected: list[str]) -> None:
    with pytest.raises(Refusal, match=r"^another run has put the generation 20260102T000000Z-bbb live, and "):
        expect(generations, expected)


@pytest.mark.parametrize("expected", [["any"], ["20260101T000000Z-aaa"]])
def test_a_host_without_a_generation_is_not_expected(tmp_path: Path, expected: list[str]) -> None:
    none = Generations(str(tmp_path / "deploy"))
    assert expect(none, []) is None
    with pytest.raises(Refusal, match="no generation"):
        expect(none, expected)
