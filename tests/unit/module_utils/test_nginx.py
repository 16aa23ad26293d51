# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx as a host has it: its words, its reload, and what it really serves."""

from __future__ import annotations

import re
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx as module
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Nginx, explain

Fixture = t.Any

PASSED = "nginx: the configuration file /x/nginx.conf syntax is ok\nnginx: … test is successful\n"
WARNING = 'nginx: [warn] conflicting server name "a" on 0.0.0.0:80, ignored\n'
EMERGENCY = 'nginx: [emerg] unknown directive "denny" in /x/a.conf:3\nnginx: … test failed\n'


@pytest.fixture(autouse=True)
def pid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "nginx.pid"
    monkeypatch.setattr(module, "PID_FILE", str(path))
    return path


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((0, "", PASSED), None),
        ((0, "", WARNING + PASSED), WARNING.strip()),
        ((1, "", EMERGENCY), EMERGENCY.splitlines()[0]),
        ((1, "", "permission denied\n"), "permission denied"),
        ((1, "", ""), "nginx -t failed without a word"),
    ],
)
def test_test(fake_run: Fixture, answer: tuple[int, str, str], problem: str | None) -> None:
    run = fake_run({"nginx -t": answer})
    assert Nginx(run, 8099).test("/x/nginx.conf") == problem
    assert run.commands == ["nginx -t -c /x/nginx.conf"]


READ_ONLY = 'nginx: [emerg] open() "/data/x.log" failed (30: Read-only file system)\n'
SANDBOX = ["systemd-run", "--property=ProtectSystem=strict"]


def test_test_in_the_sandbox(fake_run: Fixture) -> None:
    """A folder that the unit cannot write: outside the sandbox the test passes, and the next start fails."""
    run = fake_run({"systemd-run": (1, "", READ_ONLY)})
    problem = Nginx(run, 8099, SANDBOX).test("/x/nginx.conf") or ""
    assert problem.startswith(READ_ONLY)
    assert "The sandbox of nginx.service forbids" in problem
    assert "ReadWritePaths=/data" in problem
    assert run.commands == [" ".join([*SANDBOX, "nginx -t -c /x/nginx.conf"])]
    # What a hand's own nginx reads is asked outside: it was never started in the sandbox.
    Nginx(run, 8099, SANDBOX).listing("/x/nginx.conf")
    assert run.commands[1:] == ["nginx -T -c /x/nginx.conf"]


def test_a_sandbox_that_cannot_be_made(fake_run: Fixture) -> None:
    problem = Nginx(fake_run({"systemd-run": (226, "", "")}), 8099, SANDBOX).test("/x/nginx.conf") or ""
    assert "status 226" in problem
    assert Nginx(fake_run({"systemd-run": (0, "", PASSED)}), 8099, SANDBOX).test("/x/nginx.conf") is None


@pytest.mark.parametrize(("before", "after", "left"), [(None, "", None), (None, "7", "7"), ("", "", "")])
def test_an_empty_pid_file_of_the_test_goes(pid_file: Path, before: str | None, after: str, left: str | None) -> None:
    if before is not None:
        pid_file.write_text(before, encoding="utf-8")

    def run(_command: list[str]) -> tuple[int, str, str]:
        pid_file.write_text(after, encoding="utf-8")
        return 0, "", ""

    assert Nginx(run, 8099).test("/x/nginx.conf") is None
    assert (pid_file.read_text(encoding="utf-8") if pid_file.exists() else None) == left


def test_load_reloads_what_runs(fake_run: Fixture) -> None:
    run = fake_run()
    assert Nginx(run, 8099).load() is None
    assert run.commands == ["systemctl is-active --quiet nginx.service", "systemctl reload nginx.service"]


def test_load_starts_what_does_not(fake_run: Fixture) -> None:
    run = fake_run({"systemctl is-active": (3, "", "")})
    assert Nginx(run, 8099).load() is None
    assert run.commands[1:] == ["systemctl reset-failed nginx.service", "systemctl start nginx.service"]


def test_load_that_fails(fake_run: Fixture) -> None:
    run = fake_run({"systemctl reload": (1, "", "Job failed.\n"), "journalctl": (0, "bind() failed\n", "")})
    before = int(time.time())
    assert Nginx(run, 8099).load() == "Job failed.\nbind() failed"
    # What is older belongs to another failure.
    since = re.search("--since=@([0-9]+)", run.commands[-1])
    assert since
    assert before <= int(since[1]) <= time.time()


@pytest.mark.parametrize(
    ("answer", "generation"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nabc123\n", "abc123"),
        (b"HTTP/1.1 404 Not Found\r\n\r\nabc123\n", None),
        (b"garbage", None),
        (b"", None),
        (b"HTTP/1.1 200 OK\r\n\r\n\xff\n", "\ufffd"),
    ],
)
def test_served_generation(serve: Fixture, tcp_server: Fixture, answer: bytes, generation: str | None) -> None:
    server, port = tcp_server
    with serve(server, answer) as requests:
        assert Nginx(lambda command: (0, "", ""), port).served_generation() == generation
    assert requests[0].startswith(b"GET /generation HTTP/1.0\r\n")


def test_nobody_serves(tcp_server: Fixture, fake_run: Fixture) -> None:
    server, port = tcp_server
    server.close()
    nginx = Nginx(fake_run(), port)
    assert nginx.served_generation() is None
    assert not nginx.confirm("abc", seconds=0.1)


def test_confirm(serve: Fixture, tcp_server: Fixture, fake_run: Fixture) -> None:
    server, port = tcp_server
    nginx = Nginx(fake_run(), port)
    with serve(server, b"HTTP/1.1 200 OK\r\n\r\nnew\n"):
        assert nginx.confirm("new", seconds=1)
        assert not nginx.confirm("newer", seconds=0.2)


def test_confirm_marks(serve: Fixture, tcp_server: Fixture, fake_run: Fixture) -> None:
    server, port = tcp_server
    nginx = Nginx(fake_run(), port)
    with serve(server, b"HTTP/1.1 200 OK\r\n\r\nnone\n") as requests:
        assert nginx.confirm_marks("none", seconds=1)
        assert not nginx.confirm_marks("0123456789ab", seconds=0.2)
    assert requests[0].startswith(b"GET /marks HTTP/1.0\r\n")


ROOT = "/etc/nginx/.stage/deploy/current"
FILES = {
    "main.conf": "one\ntwo\nthree\n",
    "sites/notes/site.conf": "\n".join(f"line {number}" for number in range(1, 11)) + "\n",
}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            f'nginx: [emerg] unknown directive "x" in {ROOT}/sites/notes/site.conf:5',
            [
                'nginx: [emerg] unknown directive "x" in sites/notes/site.conf:5',
                "It belongs to the site notes.",
                "sites/notes/site.conf:",
                *("     2  line 2", "     3  line 3", "     4  line 4", ">    5  line 5"),
                *("     6  line 6", "     7  line 7", "     8  line 8"),
            ],
        ),
        (
            f"nginx: [warn] x in {ROOT}/main.conf:1",
            ["nginx: [warn] x in main.conf:1", "main.conf:", ">    1  one", "     2  two", "     3  three"],
        ),
        # "unexpected end of file" stands one line beyond the last.
        (f"x in {ROOT}/main.conf:4", ["x in main.conf:4", "main.conf:", "     1  one", "     2  two", "     3  three"]),
        (f"x in {ROOT}/main.conf:99", ["x in main.conf:99", "main.conf:"]),
        (f"x in {ROOT}/other.conf:1", ["x in other.conf:1"]),
        ("nginx: [emerg] bind() to 0.0.0.0:80 failed", ["nginx: [emerg] bind() to 0.0.0.0:80 failed"]),
        ("x in /etc/nginx/mime.types:3", ["x in /etc/nginx/mime.types:3"]),
    ],
)  # fmt: skip
def test_explain(message: str, expected: list[str]) -> None:
    assert explain(message, ROOT, FILES).splitlines() == expected
