# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A floating address on one host: tried, live, confirmed; or what was there before, whole."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import floating_address, keepalived
from ansible_collections.asgi.deploy.plugins.module_utils.floating_address import FloatingAddress
from ansible_collections.asgi.deploy.plugins.module_utils.keepalived import Keepalived, answers, is_foreign

Fixture = t.Any

CONFIG = '# Managed by Ansible (asgi.deploy, role floating_address).\nscript "PROGRAM 8099"\n'
RUNS = "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n"
STOPPED = "ActiveState=inactive\nUnitFileState=disabled\nNeedDaemonReload=no\n"


class FakeKeepalived(Keepalived):
    """Writes down what is done; the host's answers are attributes."""

    def __init__(self, state: str = RUNS) -> None:
        self.addresses = ["192.0.2.10"]
        self.printed = state
        self.done: list[str] = []
        self.refuses: str | None = None
        self.serves = True
        self.ends_badly: list[str | None] = [None]
        self.here: list[str] = []
        self.nowhere: list[str] = []
        self.fails: tuple[str, ...] = ()

    def state(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.printed.splitlines())

    def systemctl(self, *words: str) -> None:
        self.done.append(" ".join(words))
        if words[0] in self.fails:
            raise ValueError("systemctl " + words[0])

    def test_text(self, text: str, program: str, program_text: str) -> str | None:
        self.done.append("test")
        return self.refuses

    def nginx_answers(self) -> bool:
        return self.serves

    def held(self) -> list[str]:
        return self.here

    def missing(self) -> list[str]:
        return self.nowhere

    def settle(self) -> str | None:
        self.done.append("settle")
        return self.ends_badly.pop(0) if len(self.ends_badly) > 1 else self.ends_badly[0]


class Place(t.NamedTuple):
    """The files of a host, and what makes the transaction on it."""

    folder: Path
    files: dict[str, dict[str, str]]
    config: Path
    drop_in: Path
    program: Path
    pending: Path

    def make(self, fake: Keepalived, **texts: str) -> FloatingAddress:
        paths = {"config": self.config, "drop_in": self.drop_in, "program": self.program}
        for name, text in texts.items():
            self.files[str(paths[name])]["text"] = text
        return FloatingAddress(fake, self.files, str(self.pending))

    def write(self) -> None:
        for path, wanted in self.files.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(wanted["text"], encoding="utf-8")
            Path(path).chmod(int(wanted["mode"], 8))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    config = tmp_path / "etc/keepalived/keepalived.conf"
    drop_in, program = tmp_path / "etc/systemd/system/d/ours.conf", tmp_path / "usr/local/nginx_answers"
    monkeypatch.setattr(floating_address, "CONFIG", str(config))
    monkeypatch.setattr(floating_address, "of_systemd", lambda paths: str(drop_in) in paths)
    files = {
        str(program): {"text": "#!/bin/sh\n", "mode": "0755"},
        str(drop_in): {"text": "[Service]\n", "mode": "0644"},
        str(config): {"text": CONFIG, "mode": "0644"},
    }
    return Place(tmp_path, files, config, drop_in, program, tmp_path / "run/pending")


def test_without_the_package_only_what_its_unit_needs_is_written(place: Place) -> None:
    fake = FakeKeepalived(STOPPED)
    assert len(place.make(fake).prepare(check_mode=True)["diff"]) == 3
    assert not place.program.exists()
    assert place.make(fake).prepare(check_mode=False)["changed"]
    assert place.program.exists()
    assert place.drop_in.exists()
    # With a configuration the package would start the unit.
    assert not place.config.exists()
    assert fake.done == ["daemon-reload"]


def test_a_new_host(place: Place) -> None:
    fake = FakeKeepalived(STOPPED)
    fake.here = ["192.0.2.10"]
    result = place.make(fake).put_live(check_mode=False)
    assert fake.done == ["test", "daemon-reload", "enable keepalived.service", "start keepalived.service", "settle"]
    assert place.config.read_text(encoding="utf-8") == CONFIG
    assert (result["changed"], result["held"]) == (True, ["192.0.2.10"])
    assert result["before"] == dict.fromkeys(place.files)
    assert not place.pending.exists()


def test_nothing_to_do(place: Place) -> None:
    place.write()
    fake = FakeKeepalived()
    result = place.make(fake).put_live(check_mode=False)
    assert (result["changed"], result["before"], result["diff"], fake.done) == (False, {}, [], [])


def test_an_address_that_nobody_has_is_waited_for_and_then_told(place: Place) -> None:
    place.write()
    fake = FakeKeepalived()
    fake.nowhere = ["192.0.2.10"]
    assert not place.make(fake).put_live(check_mode=False)["changed"]
    assert fake.done == ["settle"]
    fake.ends_badly = ["nobody"]
    with pytest.raises(ValueError, match="nobody"):
        place.make(fake).put_live(check_mode=False)


@pytest.mark.parametrize(
    ("texts", "state", "done"),
    [
        ({"config": CONFIG + "#\n"}, RUNS, ["test", "reload keepalived.service", "settle"]),
        ({"drop_in": "[Unit]\n"}, RUNS, ["test", "daemon-reload", "restart keepalived.service", "settle"]),
        # It is started anew each second.
        ({"program": "#!/bin/bash\n"}, RUNS, ["test", "settle"]),
        ({}, STOPPED, ["test", "enable keepalived.service", "start keepalived.service", "settle"]),
        (
            {},
            RUNS.replace("Reload=no", "Reload=yes"),
            ["test", "daemon-reload", "restart keepalived.service", "settle"],
        ),
    ],
)
def test_no_more_is_done_than_a_change_needs(place: Place, texts: dict[str, str], state: str, done: list[str]) -> None:
    place.write()
    fake = FakeKeepalived(state)
    assert place.make(fake, **texts).put_live(check_mode=False)["changed"]
    assert fake.done == done


def test_check_mode_tries_and_writes_nothing(place: Place) -> None:
    place.write()
    fake = FakeKeepalived()
    # nginx may not be there yet.
    fake.serves = False
    result = place.make(fake, config=CONFIG + "#\n").put_live(check_mode=True)
    assert result["changed"]
    assert [entry["after"] for entry in result["diff"]] == [CONFIG + "#\n"]
    assert fake.done == ["test"]
    assert place.config.read_text(encoding="utf-8") == CONFIG


def test_what_keepalived_refuses_is_not_written(place: Place) -> None:
    place.write()
    fake = FakeKeepalived()
    fake.refuses = "Unknown keyword"
    with pytest.raises(ValueError, match="nothing was changed:\nUnknown keyword"):
        place.make(fake, config=CONFIG + "x\n").put_live(check_mode=False)
    assert place.config.read_text(encoding="utf-8") == CONFIG
    assert not place.pending.exists()


def test_a_host_whose_nginx_does_not_serve_gets_nothing(place: Place) -> None:
    fake = FakeKeepalived(STOPPED)
    fake.serves = False
    with pytest.raises(ValueError, match="apply the role nginx_proxy first"):
        place.make(fake).put_live(check_mode=False)
    assert not place.config.exists()


@pytest.mark.parametrize("reason", ["settle", "start"])
def test_a_first_configuration_that_cannot_be_confirmed_is_gone_again(place: Place, reason: str) -> None:
    fake = FakeKeepalived(STOPPED)
    fake.ends_badly = ["no host holds it"]
    fake.fails = (reason,)
    with pytest.raises(ValueError, match="The configuration before is live again"):
        place.make(fake).put_live(check_mode=False)
    assert fake.done[-2:] == ["daemon-reload", "stop keepalived.service"]
    assert not any(Path(path).exists() for path in place.files)
    assert not place.pending.exists()


def test_a_change_that_cannot_be_confirmed_gives_way_to_what_was_there(place: Place) -> None:
    place.write()
    place.drop_in.unlink()
    fake = FakeKeepalived()
    fake.ends_badly = ["no host holds it"]
    with pytest.raises(ValueError, match="no host holds it\nThe configuration before is live again"):
        place.make(fake, config=CONFIG + "#\n").put_live(check_mode=False)
    assert fake.done[-2:] == ["daemon-reload", "restart keepalived.service"]
    assert place.config.read_text(encoding="utf-8") == CONFIG
    assert not place.drop_in.exists()


def test_a_run_that_was_killed_is_done_again_and_goes_back_to_what_it_had_found(place: Place) -> None:
    place.write()
    place.pending.parent.mkdir()
    before = {str(place.config): "# Managed by Ansible (asgi.deploy, before.\n", str(place.drop_in): None}
    place.pending.write_text(json.dumps(before), encoding="utf-8")
    fake = FakeKeepalived()
    result = place.make(fake).put_live(check_mode=False)
    # It may have been killed before keepalived was told.
    assert fake.done == ["test", "restart keepalived.service", "settle"]
    assert (result["changed"], result["before"]) == (True, before)
    assert not place.pending.exists()
    place.pending.write_text(json.dumps(before), encoding="utf-8")
    fake.ends_badly = ["no host holds it"]
    with pytest.raises(ValueError, match="live again"):
        place.make(fake).put_live(check_mode=False)
    assert "before" in place.config.read_text(encoding="utf-8")
    assert not place.drop_in.exists()


class TestSomebodyElses:
    @pytest.fixture
    def foreign(self, place: Place) -> Place:
        place.write()
        place.config.write_text("vrrp_instance theirs {\n}\n", encoding="utf-8")
        return place

    @pytest.mark.parametrize("check_mode", [True, False])
    def test_a_configuration_is_not_written_over(self, foreign: Place, check_mode: bool) -> None:
        for step in (FloatingAddress.put_live, FloatingAddress.prepare):
            with pytest.raises(ValueError, match="is not of this collection"):
                step(foreign.make(FakeKeepalived()), check_mode=check_mode)

    def test_a_keepalived_goes_on_when_ours_is_removed(self, foreign: Place) -> None:
        fake = FakeKeepalived()
        assert foreign.make(fake).remove(check_mode=False)["changed"]
        assert fake.done == ["daemon-reload"]
        assert foreign.config.exists()
        assert not foreign.drop_in.exists()
        assert not foreign.make(fake).remove(check_mode=False)["changed"]


def test_removal(place: Place) -> None:
    place.write()
    fake = FakeKeepalived()
    shown = place.make(fake).remove(check_mode=True)
    assert shown["changed"]
    assert len(shown["diff"]) == 3
    assert (fake.done, place.config.exists()) == ([], True)
    assert place.make(fake).remove(check_mode=False)["changed"]
    assert fake.done == ["disable --now keepalived.service", "daemon-reload"]
    assert not any(Path(path).exists() for path in place.files)
    assert not place.make(fake).remove(check_mode=False)["changed"]


def test_a_removal_that_leaves_the_address_is_told_and_can_be_done_again(place: Place) -> None:
    place.write()
    fake = FakeKeepalived()
    fake.here = ["192.0.2.10"]
    with pytest.raises(ValueError, match=r"still has 192\.0\.2\.10"):
        place.make(fake).remove(check_mode=False)
    assert place.config.exists()
    fake.here = []
    assert place.make(fake).remove(check_mode=False)["changed"]


@pytest.mark.parametrize(
    ("text", "foreign"),
    [(None, False), ("", False), (" \n", False), (CONFIG, False), ("global_defs {\n}\n", True)],
)
def test_foreign(text: str | None, foreign: bool) -> None:
    assert is_foreign(text) is foreign


ADDRS = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eth0    inet 192.0.2.11/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever
2: eth0    inet 192.0.2.10/24 scope global secondary eth0\\       valid_lft forever preferred_lft forever
2: eth0    inet6 2001:db8::10/64 scope global deprecated nodad \\       valid_lft forever preferred_lft 0sec
"""


class TestKeepalived:
    def test_what_a_host_holds(self, fake_run: Fixture) -> None:
        wanted = ["192.0.2.10", "192.0.2.1", "2001:db8::10", "192.0.2.100"]
        assert Keepalived(fake_run({"ip": (0, ADDRS, "")}), 1, wanted).held() == ["192.0.2.10", "2001:db8::10"]

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            ((0, "", ""), None),
            # It says so of what it takes, too.
            ((0, "", "WARNING"), None),
            ((5, "", "(/stage/k.conf: Line 3) Unknown\n"), "(/etc/keepalived/keepalived.conf: Line 3) Unknown"),
            ((5, "", ""), "exit code 5"),
        ],
    )  # fmt: skip
    def test_its_test(self, fake_run: Fixture, answer: tuple[int, str, str], problem: str | None) -> None:
        run = fake_run({"unshare": answer})
        assert Keepalived(run, 1, []).test("/stage/k.conf") == problem
        assert run.commands == ["unshare --pid --fork keepalived --config-test --use-file=/stage/k.conf"]

    def test_a_staged_test_names_the_staged_program(self) -> None:
        seen: list[str] = []

        def run(command: list[str]) -> tuple[int, str, str]:
            staged = Path(command[-1].partition("=")[2])
            seen.append(staged.read_text(encoding="utf-8"))
            program = staged.parent / "nginx_answers"
            assert program.read_text(encoding="utf-8") == "#!/bin/sh\n"
            assert program.stat().st_mode & 0o777 == 0o755
            # Its user is another one.
            assert staged.parent.stat().st_mode & 0o777 == 0o755
            assert f'"{program} 8099"' in seen[0]
            return (0, "", "")

        text = 'script "/usr/local/nginx_answers 8099"'
        assert Keepalived(run, 1, []).test_text(text, "/usr/local/nginx_answers", "#!/bin/sh\n") is None
        assert seen

    def test_a_failure_brings_keepaliveds_words(self, fake_run: Fixture) -> None:
        run = fake_run({"systemctl start": (1, "", "Job failed."), "journalctl": (0, "no such interface\n", "")})
        with pytest.raises(ValueError, match=r"systemctl start x: Job failed\.\nno such interface"):
            Keepalived(run, 1, []).systemctl("start", "x")

    @pytest.mark.parametrize(
        ("answer", "expected"), [(b"HTTP/1.1 200 OK\r\n\r\n", True), (b"HTTP/1.1 404 Not Found\r\n\r\n", False)]
    )
    def test_nginx(self, serve: Fixture, tcp_server: Fixture, answer: bytes, expected: bool) -> None:
        server, port = tcp_server
        with serve(server, answer) as requests:
            assert Keepalived(lambda command: (0, "", ""), port, []).nginx_answers() is expected
        assert requests[0].startswith(b"GET /generation HTTP/1.0\r\n")
        assert not Keepalived(lambda command: (0, "", ""), port, []).nginx_answers()


class TestSettle:
    """With a clock of its own: two and a half seconds of the real one say nothing more."""

    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        monkeypatch.setattr("time.monotonic", lambda: now[0])
        monkeypatch.setattr("time.sleep", sleep)
        monkeypatch.setattr(keepalived, "answers", lambda address: False)

    def settled(self, holds: t.Callable[[int], bool], state: str = RUNS) -> tuple[str | None, int]:
        """Return what came of it, and after how many looks. :param holds: by the number of the look"""
        looks = [0]

        def run(command: list[str]) -> tuple[int, str, str]:
            if command[0] == "systemctl":
                looks[0] += 1
                return (0, state, "")
            if command[0] == "ip":
                return (0, ADDRS if holds(looks[0]) else "", "")
            return (0, "its last words", "")

        return Keepalived(run, 1, ["192.0.2.10"]).settle(), looks[0]

    def test_it_is_there_and_stays(self) -> None:
        assert self.settled(lambda look: look > 8) == (None, 15)

    def test_it_never_comes(self) -> None:
        problem, _looks = self.settled(lambda look: False)
        assert problem == "no host holds 192.0.2.10 after 15 seconds; keepalived says:\nits last words"

    def test_it_comes_and_goes(self) -> None:
        problem, _looks = self.settled(lambda look: look % 4 > 0)
        assert problem is not None

    def test_the_unit_has_failed(self) -> None:
        problem, _looks = self.settled(lambda look: True, STOPPED)
        assert problem == "keepalived.service is inactive:\nits last words"


def test_a_host_that_refuses_the_connection_has_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    class Socket:
        error: OSError | None = None
        timeout = 0.0

        def __enter__(self) -> Socket:
            return self

        def __exit__(self, *_arguments: object) -> None:
            pass

        def settimeout(self, seconds: float) -> None:
            self.timeout = seconds

        def connect(self, address: tuple[str, int]) -> None:
            assert self.timeout
            if self.error:
                raise self.error

    monkeypatch.setattr("socket.socket", lambda family, kind: Socket())
    for error, expected in (
        (None, True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), False),
        (OSError(), False),
    ):
        Socket.error = error
        assert answers("192.0.2.10") is expected
        assert answers("2001:db8::10") is expected
