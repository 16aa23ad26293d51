# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom an alarm tells what, and when: with real commands, and a web server on this host."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import atomic, certificate_alarm
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_alarm import Alarm
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_state import Store

UNIT = "certbot.service"
HOUR = 3600
EXPIRES = "shop: it expires on 2027-02-19 03:00 UTC, and was to be renewed"


class Hook:
    """A webhook that answers with these, the last one again and again."""

    def __init__(self) -> None:
        self.answers = [204]
        self.got: list[dict[str, t.Any]] = []
        self.paths: list[str] = []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.paths.append(self.path)
                hook.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                status = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                hook.paths.append("GET " + self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: t.Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/S3CRET?token=alsosecret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Hook]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(atomic, "LOCKS", str(tmp_path / "locks"))
    return Store(str(tmp_path / "home"), str(tmp_path / "fact"), str(tmp_path / "absent"))


class Heard:
    """A command that writes down what it is told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "heard"
        self.command = f'echo "$ASGI_DEPLOY_ALARM $ASGI_DEPLOY_UNIT $(paste -sd "|")" >>{self.path}'

    def lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    return Heard(tmp_path)


def alarm(store: Store, **targets: str | None) -> Alarm:
    return Alarm({"command": None, "webhook": None, **targets}, store, (0, 0))


def test_nobody_is_told_where_nobody_is_named(store: Store) -> None:
    assert alarm(store).raise_(UNIT, [EXPIRES]) == []
    assert alarm(store).clear(UNIT) == []
    assert store.read("alarm") == {}


def test_the_command_gets_a_line_for_each(store: Store, heard: Heard) -> None:
    assert alarm(store, command=heard.command).raise_(UNIT, [EXPIRES, "blog: there is none"]) == []
    assert heard.lines() == [f"raised {UNIT} {EXPIRES}|blog: there is none"]


def test_the_webhook_gets_it_for_people_and_for_programs(store: Store, hook: Hook) -> None:
    assert alarm(store, webhook=hook.url).raise_(UNIT, [EXPIRES, "blog: there is none"]) == []
    (got,) = hook.got
    assert hook.paths == ["/services/S3CRET?token=alsosecret"]
    assert got["unit"] == UNIT
    assert got["problems"] == [EXPIRES, "blog: there is none"]
    assert got["text"].splitlines() == [
        f"{got['host']}: 2 things are wrong with certificates ({UNIT}):",
        f"- {EXPIRES}",
        "- blog: there is none",
    ]


@pytest.mark.parametrize(
    ("problem", "after", "times"),
    [
        (EXPIRES, 23 * HOUR, 1),
        (EXPIRES, 24 * HOUR, 2),
        # A clock that was set back.
        (EXPIRES, -HOUR, 2),
        # Neither a time nor a token makes it another complaint.
        (EXPIRES.replace("03:00", "04:00").replace("02-19", "02-20"), HOUR, 1),
        (EXPIRES.replace("shop", "shop2"), HOUR, 2),
        (EXPIRES + ", and more", HOUR, 2),
    ],
)
def test_the_same_is_told_once_a_day(store: Store, heard: Heard, problem: str, after: int, times: int) -> None:
    told = alarm(store, command=heard.command)
    told.raise_(UNIT, [EXPIRES], 1000000)
    told.raise_("another.service", [problem], 1000000 + after)
    assert len(heard.lines()) == times


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("no account kD8s0aFq2nV7xYzPqR5tUw at the CA", "no account 9sLmQ2bT4cX6vN8jH1gF3d at the CA"),
        ("nginx -t: 2026/11/21 03:00:00 [emerg] 17#17: x", "nginx -t: 2026/11/21 15:00:01 [emerg] 99#99: x"),
        ("A play is running on this host: process 12", "A play is running on this host: process 13"),
    ],
)
def test_what_differs_from_try_to_try_is_no_news(store: Store, heard: Heard, first: str, second: str) -> None:
    for problem in (first, second):
        alarm(store, command=heard.command).raise_(UNIT, [problem])
    assert len(heard.lines()) == 1


def test_a_part_that_was_mended_is_told(store: Store, heard: Heard) -> None:
    told = alarm(store, command=heard.command)
    told.raise_(UNIT, [EXPIRES, "blog: there is none"])
    told.raise_(UNIT, ["blog: there is none"])
    assert heard.lines()[1] == f"raised {UNIT} blog: there is none"


def test_that_all_is_well_again_is_told_once_to_those_who_were_told(store: Store, heard: Heard, hook: Hook) -> None:
    alarm(store, command=heard.command).raise_(UNIT, [EXPIRES])
    for _each in range(2):
        assert alarm(store, command=heard.command, webhook=hook.url).clear("well") == []
    assert len(heard.lines()) == 2
    assert heard.lines()[1].startswith("cleared well ")
    assert heard.lines()[1].endswith(": all is well again with the certificates")
    assert hook.got == []
    # And then the same again is news.
    alarm(store, command=heard.command).raise_(UNIT, [EXPIRES])
    assert len(heard.lines()) == 3


def test_another_address_has_not_been_told(store: Store, heard: Heard, hook: Hook) -> None:
    alarm(store, webhook=hook.url).raise_(UNIT, [EXPIRES])
    alarm(store, webhook=hook.url + "2").raise_(UNIT, [EXPIRES])
    assert len(hook.got) == 2
    alarm(store, webhook=hook.url).clear(UNIT)
    assert len(hook.got) == 2


def test_a_moment_of_failure_is_got_over(store: Store, hook: Hook) -> None:
    hook.answers = [500, 503, 200]
    assert alarm(store, webhook=hook.url).raise_(UNIT, [EXPIRES]) == []
    assert len(hook.got) == 3


def test_a_webhook_that_fails_keeps_no_command_from_it_and_is_tried_again_next_time(
    store: Store, heard: Heard, hook: Hook
) -> None:
    hook.answers = [500]
    told = alarm(store, webhook=hook.url, command=heard.command)
    assert told.raise_(UNIT, [EXPIRES]) == ["certbot_alarm_webhook: it answered with the status 500"]
    assert (len(hook.got), len(heard.lines())) == (3, 1)
    hook.answers = [200]
    assert told.raise_(UNIT, [EXPIRES]) == []
    assert (len(hook.got), len(heard.lines())) == (4, 1)


def test_a_redirect_is_not_followed(store: Store, hook: Hook) -> None:
    hook.answers = [302]
    failures = alarm(store, webhook=hook.url).raise_(UNIT, [EXPIRES])
    assert failures == ["certbot_alarm_webhook: it answered with the status 302"]
    assert not [path for path in hook.paths if path.startswith("GET")]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/services/S3CRET", "Connection refused"),
        ("http://127.0.0.1:9x/services/S3CRET", "nonnumeric port"),
        ("http://[::1/services/S3CRET", ""),
        ("http://me:S3CRET@127.0.0.1:9/", ""),
        ("http://nowhere.invalid/services/S3CRET", ""),
    ],
)
def test_what_went_wrong_never_shows_the_address(store: Store, url: str, words: str) -> None:
    (failure,) = alarm(store, webhook=url).raise_(UNIT, [EXPIRES])
    assert failure.startswith("certbot_alarm_webhook: ")
    assert words in failure
    assert "S3CRET" not in failure
    assert "S3CRET" not in json.dumps(store.read("alarm"))


def test_a_proxy_of_the_environment_is_used(store: Store, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", hook.url.partition("/services")[0])
    assert alarm(store, webhook="http://hooks.invalid/S3CRET").raise_(UNIT, [EXPIRES]) == []
    assert hook.paths == ["http://hooks.invalid/S3CRET"]


def test_a_command_that_fails_says_why(store: Store) -> None:
    (failure,) = alarm(store, command="echo no mail here >&2; exit 3").raise_(UNIT, [EXPIRES])
    assert failure == "certbot_alarm_command: the command failed:\nno mail here"


def test_a_command_that_hangs_is_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_alarm, "_COMMAND_SECONDS", 0.2)
    (failure,) = alarm(store, command="sleep 60").raise_(UNIT, [EXPIRES])
    assert "was not done after" in failure


def test_a_full_disk_does_not_silence_it(store: Store, heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("", encoding="utf-8")
    (failure,) = alarm(store, command=heard.command).raise_(UNIT, [EXPIRES])
    assert failure.startswith("the alarm was told, which could not be written down: ")
    assert len(heard.lines()) == 1
