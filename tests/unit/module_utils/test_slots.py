# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two slots: which one is live, and what happens to a release that does not start or answer."""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import slots as module
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import flip
from ansible_collections.asgi.deploy.plugins.module_utils.health import Health
from ansible_collections.asgi.deploy.plugins.module_utils.slots import SlotError, Slots
from ansible_collections.asgi.deploy.plugins.module_utils.smoke import Answer, Smoke

HEALTH = Health("/health?x=1", "notes.example.com", 1)
SMOKE = Smoke("/health", "notes.example.com", https=True, timeout=1)
PROBE = re.compile(r"[0-9a-f]{32}")

Fixture = t.Any


@pytest.fixture
def make(tmp_path: Path, fake_run: Fixture, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., tuple[Slots, Fixture]]:
    # The tests' machine has no such user.
    monkeypatch.setattr(Slots, "_group", lambda self: os.getgid())

    def run(answers: dict[str, tuple[int, str, str]] | None = None, warm: int = 0) -> tuple[Slots, Fixture]:
        files = {slot: {str(tmp_path / f"{slot}.service"): f"unit {slot}\n"} for slot in ("blue", "green")}
        runner = fake_run(answers)
        return Slots("notes", str(tmp_path), files, 'API_KEY="hunter2"\n', warm, runner), runner

    return run


def point(slots: Slots, slot: str, release: str = "r1") -> None:
    """Make ``slot`` the live one, as a deployment leaves it."""
    slots._write(slot, release)
    flip(slots.current, slots.socket(slot))


def test_before_the_first_release(make: Fixture) -> None:
    slots, _run = make()
    assert slots.live() is None
    assert slots.idle() == "blue"
    assert slots.release_of(None) is None
    assert slots.release_of("blue") is None
    assert slots.used_releases() == set()
    assert not slots.is_as_wanted(None, "r1")
    assert not slots.is_as_wanted("blue", None)
    assert not slots.is_as_wanted("blue", "r1")


@pytest.mark.parametrize(("live", "idle"), [("blue", "green"), ("green", "blue")])
def test_live_and_idle(make: Fixture, live: str, idle: str) -> None:
    slots, _run = make()
    point(slots, live)
    assert (slots.live(), slots.idle()) == (live, idle)
    assert slots.socket(live) == f"/run/notes/{live}.sock"


@pytest.mark.parametrize("target", ["/run/notes/red.sock", "/elsewhere", "x"])
def test_a_link_by_somebody_else_is_no_slot(make: Fixture, target: str) -> None:
    slots, _run = make()
    os.symlink(target, slots.current)
    assert slots.live() is None


def test_is_as_wanted(make: Fixture, tmp_path: Path) -> None:
    slots, _run = make()
    point(slots, "blue")
    assert slots.is_as_wanted("blue", "r1")
    assert not slots.is_as_wanted("blue", "r2")
    assert not slots.is_as_wanted("green", "r1")
    assert slots.used_releases() == {"r1"}
    for path in (tmp_path / "blue.service", tmp_path / "slots/blue/environment"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text + "changed by hand\n", encoding="utf-8")
        assert not slots.is_as_wanted("blue", "r1")
        path.unlink()
        assert not slots.is_as_wanted("blue", "r1")
        path.write_text(text, encoding="utf-8")
        assert slots.is_as_wanted("blue", "r1")


def test_what_a_killed_run_was_just_writing_is_known(make: Fixture, tmp_path: Path) -> None:
    slots, _run = make()
    assert slots.secrets_left() == []
    point(slots, "blue")
    assert slots.secrets_left() == []
    left = [tmp_path / "slots" / slot / ".environment.x1y2z3a4" for slot in ("blue", "green")]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert slots.secrets_left() == [str(path) for path in left]


def test_the_environment_is_readable_by_root_only(make: Fixture, tmp_path: Path) -> None:
    slots, _run = make()
    slots._write("blue", "r1")
    assert (tmp_path / "slots/blue/environment").stat().st_mode & 0o777 == 0o600


ON, OFF = "ActiveState=active\nUnitFileState=enabled", "ActiveState=inactive\nUnitFileState=disabled"


def states(slot: str, service: str, socket: str) -> dict[str, tuple[int, str, str]]:
    """What systemd answers to the question for a slot's units."""
    asked = f"systemctl show --property=ActiveState,UnitFileState notes@{slot}.service notes@{slot}.socket"
    return {asked: (0, f"{service}\n\n{socket}\n", "")}


@pytest.mark.parametrize(
    ("service", "socket", "active"),
    [(ON, ON, True), (ON, OFF, False), (OFF, ON, False), (ON.replace("active", "deactivating"), ON, False)],
)
def test_is_active(make: Fixture, service: str, socket: str, active: bool) -> None:
    assert make(states("blue", service, socket))[0].is_active("blue") is active


def test_a_lost_link_leaves_the_slot_that_runs_alone(make: Fixture) -> None:
    slots, _run = make({**states("blue", ON, ON), **states("green", OFF, OFF)})
    assert (slots.live(), slots.idle()) == (None, "green")


GOOD = {**states("blue", ON, ON), **states("green", OFF, OFF)}


def settled(make: Fixture, tmp_path: Path, answers: t.Any, monkeypatch: pytest.MonkeyPatch) -> t.Any:
    """Return slots of which blue is live, and what was run for the repairs that it needed."""
    monkeypatch.setattr(module, "_SETTLE", 0)
    # The tests' user is not always root.
    monkeypatch.setattr(os, "chown", lambda path, user, group: None)
    slots, run = make(answers)
    point(slots, "blue")
    os.symlink("releases/r1", tmp_path / "current")
    return slots, run


def repaired(slots: Slots, run: t.Any) -> list[str]:
    run.commands.clear()
    for repair in slots.repairs("blue"):
        repair()
    return [command for command in run.commands if " show " not in command]


def test_the_probe_is_for_the_application_alone(make: Fixture, tmp_path: Path) -> None:
    slots, _run = make()
    assert slots.probe("blue") is None
    slots._write("blue", "r1")
    first = slots.probe("blue")
    assert PROBE.fullmatch(first)
    assert (tmp_path / "slots/blue/probe").stat().st_mode & 0o777 == 0o640
    slots._write("blue", "r1")
    assert slots.probe("blue") != first


@pytest.mark.parametrize(
    ("answers", "commands"),
    [
        (GOOD, []),
        ({**GOOD, **states("blue", ON.replace("enabled", "disabled"), ON)},
         ["systemctl --quiet enable notes@blue.service notes@blue.socket"]),
        ({**GOOD, **states("green", ON, ON)},
         ["systemctl --quiet disable notes@green.service notes@green.socket",
          "systemctl stop --no-block notes@green.service notes@green.socket",
          "systemctl --quiet reset-failed notes@green.service notes@green.socket"]),
        ({**GOOD, **states("green", OFF.replace("inactive", "failed"), OFF)},
         ["systemctl --quiet disable notes@green.service notes@green.socket",
          "systemctl stop --no-block notes@green.service notes@green.socket",
          "systemctl --quiet reset-failed notes@green.service notes@green.socket"]),
        ({**GOOD, **states("green", OFF, OFF.replace("disabled", "enabled"))},
         ["systemctl --quiet disable notes@green.service notes@green.socket",
          "systemctl stop --no-block notes@green.service notes@green.socket",
          "systemctl --quiet reset-failed notes@green.service notes@green.socket"]),
    ],
)  # fmt: skip
def test_repairs_of_units(
    make: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: t.Any, commands: list[str]
) -> None:
    slots, run = settled(make, tmp_path, answers, monkeypatch)
    monkeypatch.setattr(module, "_is_secret", lambda path: True)
    assert repaired(slots, run) == commands


def test_repairs_of_files(make: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, run = settled(make, tmp_path, GOOD, monkeypatch)
    environment = tmp_path / "slots/blue/environment"
    environment.chmod(0o644)
    os.unlink(tmp_path / "current")
    assert repaired(slots, run) == []
    assert environment.stat().st_mode & 0o777 == 0o600
    assert os.readlink(tmp_path / "current") == "releases/r1"


def test_start(make: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, run = make()
    healthy = {"/run/notes/green.sock": (200, None)}
    monkeypatch.setattr(Health, "_ask", lambda self, address: healthy.get(address, (500, "wrong")))
    slots.start("green", "r2", HEALTH)
    assert run.commands == [
        "systemctl --quiet stop notes-retire.timer",
        "systemctl --quiet stop notes@green.service notes@green.socket",
        "systemctl --quiet reset-failed notes@green.service notes@green.socket",
        "systemctl daemon-reload",
        "systemctl start notes@green.service notes@green.socket",
    ]
    assert slots.release_of("green") == "r2"
    # Started is not live.
    assert slots.live() is None


@pytest.mark.parametrize(
    ("answers", "asked", "message"),
    [
        ({"systemctl start": (1, "", "Job failed.\nSee it.\n"), "journalctl": (0, "ImportError: hunter2\n", "")}, None,
         "Job failed.\nThe application's last log lines:\nImportError: ***"),
        ({"systemctl start": (1, "", "")}, None,
         "systemctl could not start notes@green.service\nThe application's last log lines:\n(none)"),
        ({"journalctl": (0, "boom\n", "")}, "GET / answered 500",
         "GET / answered 500\nThe application's last log lines:\nboom"),
    ],
)  # fmt: skip
def test_start_that_fails(
    make: Fixture, monkeypatch: pytest.MonkeyPatch, answers: Fixture, asked: str | None, message: str
) -> None:
    slots, run = make(answers)
    point(slots, "blue")
    monkeypatch.setattr(Health, "wait", lambda self, address: asked)
    with pytest.raises(SlotError) as caught:
        slots.start("green", "r2", HEALTH)
    assert str(caught.value) == message
    assert run.commands[-2:] == [
        "systemctl --quiet stop notes@green.service notes@green.socket",
        "systemctl --quiet reset-failed notes@green.service notes@green.socket",
    ]
    assert slots.live() == "blue"


def test_a_warm_slot_is_not_started_again(make: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, run = make(states("green", ON, ON), warm=60)
    slots._write("green", "r2")
    monkeypatch.setattr(Health, "wait", lambda self, address: None)
    run.commands.clear()
    slots.start("green", "r2", HEALTH)
    assert [command for command in run.commands if " show " not in command] == [
        "systemctl --quiet stop notes-retire.timer"
    ]


def test_a_warm_slot_that_is_ill_is(make: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, run = make(states("green", ON, ON), warm=60)
    slots._write("green", "r2")
    said = iter(["GET / answered 500", None])
    monkeypatch.setattr(Health, "wait", lambda self, address: next(said))
    slots.start("green", "r2", HEALTH)
    assert "systemctl start notes@green.service notes@green.socket" in run.commands


@pytest.mark.parametrize(("warm", "timer", "repairs"), [(60, 0, 0), (60, 3, 1), (0, 0, 1)])
def test_a_warm_slot_needs_no_repair(
    make: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm: int, timer: int, repairs: int
) -> None:
    """Unless its timer is lost, or nobody wants it warm any more."""
    monkeypatch.setattr(module, "_is_secret", lambda path: True)
    answers = {
        **states("blue", ON, ON),
        **states("green", ON.replace("enabled", "disabled"), ON.replace("enabled", "disabled")),
        "systemctl is-active --quiet notes-retire.timer": (timer, "", ""),
    }
    slots, _run = make(answers, warm=warm)
    point(slots, "blue")
    os.symlink("releases/r1", tmp_path / "current")
    assert len(slots.repairs("blue")) == repairs


def test_keeping_a_slot_warm(make: Fixture) -> None:
    slots, run = make(warm=600)
    slots.keep_warm("blue")
    assert run.commands[0] == "systemctl --quiet disable notes@blue.service notes@blue.socket"
    (timer,) = [command for command in run.commands if command.startswith("systemd-run ")]
    assert " --unit=notes-retire --on-active=600s " in timer
    assert timer.endswith(" systemctl stop notes@blue.service notes@blue.socket")


def test_switch(make: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, run = make()
    point(slots, "blue")
    slots._write("green", "r2")
    monkeypatch.setattr(Health, "ask", lambda self, address: None if address == slots.current else "wrong")
    assert slots.switch("green", HEALTH, None) == "no site of this host serves the application"
    assert slots.live() == "green"
    assert "systemctl --quiet enable notes@green.service notes@green.socket" in run.commands


def through_nginx(slots: Slots, status: dict[str, int]) -> t.Callable[..., Answer]:
    """An nginx that passes on to the live slot, whose answers have this status."""

    def ask(self: Smoke, probe: str) -> Answer:
        live = slots.live() or ""
        return Answer(status[live], live if probe == slots.probe(live) else None, "said")

    return ask


@pytest.mark.parametrize("status", [200, 404])
def test_switch_is_confirmed_through_nginx(make: Fixture, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    slots, _run = make()
    point(slots, "blue")
    slots._write("green", "r2")
    monkeypatch.setattr(Health, "ask", lambda self, address: None)
    monkeypatch.setattr(Smoke, "ask", through_nginx(slots, {"blue": 200, "green": status}))
    assert slots.switch("green", HEALTH, SMOKE) is None
    assert slots.live() == "green"


def test_switch_back_after_the_answer_through_nginx(make: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    slots, _run = make()
    point(slots, "blue")
    slots._write("green", "r2")
    monkeypatch.setattr(Health, "ask", lambda self, address: None)
    monkeypatch.setattr(Smoke, "ask", through_nginx(slots, {"blue": 200, "green": 500}))
    said = "After the switch: Through nginx: GET /health was answered 500 by the new release: said\n"
    with pytest.raises(SlotError, match="^" + re.escape(said)):
        slots.switch("green", HEALTH, SMOKE)
    assert slots.live() == "blue"


@pytest.mark.parametrize("before", ["maintenance", "none", "unknown"])
def test_what_nginx_did_not_answer_before_tells_nothing(
    make: Fixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: str
) -> None:
    slots, _run = make()
    if before != "none":
        point(slots, "blue")
    if before == "unknown":
        # A slot that an earlier version of the role has started.
        (tmp_path / "slots/blue/probe").unlink()
    slots._write("green", "r2")
    monkeypatch.setattr(Health, "ask", lambda self, address: None)
    monkeypatch.setattr(Smoke, "ask", lambda self, probe: Answer(503, None, "Back soon"))
    skipped = slots.switch("green", HEALTH, SMOKE)
    assert skipped is not None
    assert ("no release yet" in skipped) is (before == "none")
    assert slots.live() == "green"


@pytest.mark.parametrize("before", ["blue", None])
def test_switch_back(make: Fixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: str | None) -> None:
    slots, run = make({"journalctl": (0, "boom\n", "")})
    if before:
        point(slots, before)
    slots._write("green", "r2")
    monkeypatch.setattr(Health, "ask", lambda self, address: "GET / answered 500")
    said = "After the switch: GET / answered 500\nThe application's last log lines:\nboom"
    with pytest.raises(SlotError, match="^" + re.escape(said) + "$"):
        slots.switch("green", HEALTH, None)
    assert slots.live() == before
    assert os.path.lexists(slots.current) is (before is not None)
    assert not os.path.lexists(tmp_path / "current")
    assert [command for command in run.commands if "journalctl" not in command][-3:] == [
        "systemctl --quiet disable notes@green.service notes@green.socket",
        "systemctl --quiet stop notes@green.service notes@green.socket",
        "systemctl --quiet reset-failed notes@green.service notes@green.socket",
    ]
    assert slots.release_of("green") is None
    assert slots.probe("green") is None


BOTH = {**states("blue", ON, ON), **states("green", ON, ON), "journalctl": (0, "boom\n", "")}


@pytest.fixture
def unconfirmed(make: Fixture, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., tuple[Slots, Fixture]]:
    """What a run has left that was killed after its switch to green; nginx gets these answers from the two slots."""

    def run(blue: int, green: int, answers: t.Any = BOTH) -> tuple[Slots, Fixture]:
        slots, runner = make(answers)
        slots._write("blue", "r1")
        point(slots, "green", "r2")
        runner.commands.clear()
        monkeypatch.setattr(Health, "ask", lambda self, address: None)
        monkeypatch.setattr(Smoke, "ask", through_nginx(slots, {"blue": blue, "green": green}))
        return slots, runner

    return run


def changes(run: Fixture) -> list[str]:
    return [command for command in run.commands if " show " not in command and "journalctl" not in command]


def test_a_switch_is_confirmed_later(unconfirmed: Fixture) -> None:
    slots, run = unconfirmed(200, 200)
    assert slots.confirm("green", HEALTH, SMOKE) is None
    assert slots.confirm("green", HEALTH, None) == "no site of this host serves the application"
    assert (slots.live(), run.commands) == ("green", [])


def test_what_is_not_confirmed_later_is_left(unconfirmed: Fixture) -> None:
    slots, run = unconfirmed(200, 500)
    said = "After the switch: Through nginx: GET /health was answered 500 by the new release: said\n"
    with pytest.raises(SlotError, match="^" + re.escape(said) + "The application's last log lines:\nboom$"):
        slots.confirm("green", HEALTH, SMOKE)
    assert (slots.live(), slots.release_of("green")) == ("blue", None)
    assert changes(run) == [
        "systemctl --quiet enable notes@blue.service notes@blue.socket",
        "systemctl --quiet disable notes@green.service notes@green.socket",
        "systemctl --quiet stop notes@green.service notes@green.socket",
        "systemctl --quiet reset-failed notes@green.service notes@green.socket",
    ]


def test_what_neither_answers_tells_nothing_later_either(unconfirmed: Fixture) -> None:
    """A maintenance page: the release that was switched to stays."""
    slots, run = unconfirmed(503, 503)
    assert slots.confirm("green", HEALTH, SMOKE) == "the release before did not answer /health through nginx either"
    assert (slots.live(), changes(run)) == ("green", [])


def test_an_nginx_that_does_not_reach_it_tells_nothing_of_it(
    unconfirmed: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is configured yet, or a maintenance page: a host that was started again has nowhere to go back to."""
    slots, run = unconfirmed(200, 200, {**BOTH, **states("blue", OFF, OFF)})
    monkeypatch.setattr(Smoke, "ask", lambda self, probe: Answer(0, None, "refused"))
    told = slots.confirm("green", HEALTH, SMOKE._replace(timeout=0))
    assert told is not None
    assert "did not reach the new release" in told
    assert (slots.live(), changes(run)) == ("green", [])


@pytest.mark.parametrize("lost", ["unit", "release", "health"])
def test_there_is_nowhere_to_go_back_to(
    unconfirmed: Fixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: str
) -> None:
    slots, run = unconfirmed(200, 500, {**BOTH, **states("blue", OFF, OFF)} if lost == "unit" else BOTH)
    if lost == "release":
        (tmp_path / "slots/blue/release").unlink()
    if lost == "health":
        ill = slots.socket("blue")
        monkeypatch.setattr(Health, "ask", lambda self, address: "it is ill" if address == ill else None)
    said = r"answered 500 by the new release: said\nThe application's last log lines:\nboom$"
    with pytest.raises(SlotError, match=said):
        slots.confirm("green", HEALTH, SMOKE)
    assert (slots.live(), slots.release_of("green"), changes(run)) == ("green", "r2", [])
