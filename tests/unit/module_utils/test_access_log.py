# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that nginx has lost, from its own log."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.access_log import Count, lines_since, logs_of, positions

A, B, SOCKET = "10.0.0.1:8001", "10.0.0.2:8001", "unix:/opt/notes/current.sock"
SERVERS = {A: 0, B: 1, SOCKET: 2}
NOON = 1796040000.0


def line(upstream: str, status: str = "200", time: str = "2026-11-30T12:00:00+00:00") -> bytes:
    entry = {"time": time, "status": status, "upstream": upstream, "upstream_status": "502, 200"}
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def of(*lines: bytes) -> tuple[dict[int, int], dict[int, int], int]:
    count = Count(SERVERS, NOON)
    for item in lines:
        count.add(item)
    return count.lost, count.retried, count.without_server


@pytest.mark.parametrize(
    ("upstream", "status", "lost", "retried", "without_server"),
    [
        (A, "200", {}, {}, 0),
        (A, "500", {}, {}, 0),
        (A, "503", {}, {}, 0),
        (A, "499", {}, {}, 0),
        (A, "502", {0: 1}, {}, 0),
        (A, "504", {0: 1}, {}, 0),
        (SOCKET, "502", {2: 1}, {}, 0),
        (f"{A}, {B}", "200", {}, {0: 1}, 0),
        (f"{A}, {B}", "404", {}, {0: 1}, 0),
        (f"{A}, {B}", "502", {1: 1}, {}, 0),
        # An error page of the application's own, by an internal redirect.
        (f"{A} : {B}", "502", {1: 1}, {}, 0),
        # nginx has taken all for dead: the upstream's name stands for the one that it did not find.
        (f"{A}, notes", "502", {0: 1}, {}, 0),
        ("notes", "502", {}, {}, 1),
        # Another application's, and what reached no application.
        ("10.0.0.9:8001", "502", {}, {}, 0),
        ("", "502", {}, {}, 0),
    ],
)
def test_each_line(upstream: str, status: str, lost: t.Any, retried: t.Any, without_server: int) -> None:
    assert of(line(upstream, status)) == (lost, retried, without_server)


def test_lines_of_before_are_not_the_releases() -> None:
    early = line(A, "502", "2026-11-30T11:59:59+00:00")
    # The same moment, where the host's clock shows another hour.
    late = line(A, "502", "2026-11-30T14:00:00+02:00")
    assert of(early, late, late)[0] == {0: 2}


@pytest.mark.parametrize(
    "broken",
    [
        b'{"status":"502","upst',
        b"",
        b"\xff\xfe",
        b'{"status":"502"}',
        b'["status":"502"]',
        b'{"status":"502","time":7,"upstream":"a"}',
    ],
)
def test_half_a_line_is_none(broken: bytes) -> None:
    assert of(broken, line(A, "502"))[0] == {0: 1}


def statuses(position: dict[str, t.Any]) -> list[str]:
    return [item.decode().strip() for item in lines_since(position)]


def test_from_the_position_on(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("before\n", encoding="utf-8")
    [position] = positions([str(path)])
    with path.open("a", encoding="utf-8") as stream:
        stream.write("after\n")
    assert statuses(position) == ["after"]


def test_over_rotations(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("before\nmore of it\n", encoding="utf-8")
    [position] = positions([str(path)])
    with path.open("a", encoding="utf-8") as stream:
        stream.write("one\n")
    os.rename(path, tmp_path / "access.log.1")
    assert statuses(position) == ["one"]
    path.write_text("two\n", encoding="utf-8")
    assert statuses(position) == ["one", "two"]
    os.rename(tmp_path / "access.log.1", tmp_path / "access.log.2")
    os.rename(path, tmp_path / "access.log.1")
    path.write_text("three\n", encoding="utf-8")
    assert statuses(position) == ["one", "two", "three"]


def test_a_file_that_was_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    [position] = positions([str(path)])
    assert statuses(position) == []
    path.write_text("first\n", encoding="utf-8")
    assert statuses(position) == ["first"]


def test_what_is_gone_is_said(tmp_path: Path) -> None:
    """A number that is too small would be worse than none."""
    path = tmp_path / "access.log"
    path.write_text("before\n", encoding="utf-8")
    [position] = positions([str(path)])
    path.write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match="was cut off"):
        statuses(position)
    os.rename(path, tmp_path / "access.log.1.gz")
    path.write_text("after\n", encoding="utf-8")
    with pytest.raises(ValueError, match="was rotated away"):
        statuses(position)


@pytest.mark.parametrize(
    ("texts", "paths", "why"),
    [
        (["access_log /var/log/nginx/access.log asgi buffer=64k flush=1s;"], ["/var/log/nginx/access.log"], None),
        (
            [
                "access_log /var/log/nginx/access.log asgi buffer=64k;\n",
                "server {\n    access_log /var/log/nginx/notes.access.log asgi buffer=64k if=$logged__notes;\n}",
                "    access_log off;\n",
            ],
            ["/var/log/nginx/access.log", "/var/log/nginx/notes.access.log"],
            None,
        ),
        (["access_log /var/log/nginx/access.log combined buffer=64k;"], [], "nginx's access log is not in JSON"),
        (["access_log syslog:server=unix:/dev/log,tag=nginx asgi;"], [], "nginx's access log goes to syslog"),
        (["access_log off;", "# access_log /x asgi;"], [], "nginx writes no access log"),
        ([], [], "nginx writes no access log"),
    ],
)
def test_which_logs(tmp_path: Path, texts: list[str], paths: list[str], why: str | None) -> None:
    for number, text in enumerate(texts):
        folder = tmp_path / "sites" / str(number)
        folder.mkdir(parents=True)
        (folder / "site.conf").write_text(text, encoding="utf-8")
    assert logs_of(str(tmp_path)) == (paths, why)
