# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a deployment, and what is left when one of its steps fails. Its parts have tests of their own."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import deployment as module
from ansible_collections.asgi.deploy.plugins.module_utils.deployment import Deployment
from ansible_collections.asgi.deploy.plugins.module_utils.health import Health
from ansible_collections.asgi.deploy.plugins.module_utils.hooks import HookError
from ansible_collections.asgi.deploy.plugins.module_utils.release import BuildError
from ansible_collections.asgi.deploy.plugins.module_utils.slots import SlotError

ONCE = {"command": ["once"], "timeout": 1, "once": True}
EACH = {"command": ["each"], "timeout": 1, "once": False}


class World:
    """A host: which releases are on it, which is live, and what was done to it, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.there: list[str] = []
        self.slots: dict[str, str] = {}
        self.live: str | None = None
        #: The slot that is gone back to when a switch is not confirmed later.
        self.before: str | None = None
        self.wanted = False
        self.fails: dict[str, Exception] = {}
        self.due: list[str] = []
        self.halves: list[str] = []
        self.settled = True
        self.secrets: list[str] = []

    def do(self, what: str) -> None:
        self.done.append(what)
        step = what.partition(" ")[0]
        if step in self.fails:
            raise self.fails[step]


class FakeReleases:
    def __init__(self, world: World) -> None:
        self.world = world

    def identify(self, described: object, install: object) -> str:
        return "new"

    def find(self, identity: str) -> str | None:
        return identity if identity in self.world.there else None

    def finished(self) -> list[str]:
        return list(self.world.there)

    def path(self, name: str) -> str:
        return f"/r/{name}"

    def build(self, identity: str, *_rest: object) -> str:
        self.world.do(f"build {identity}")
        self.world.there.append(identity)
        return identity

    def remove(self, name: str) -> None:
        self.world.do(f"remove {name}")
        self.world.there.remove(name)

    def unfinished(self, used: t.Collection[str]) -> list[str]:
        return [name for name in self.world.halves if name not in used]

    def remove_unfinished(self, used: t.Collection[str]) -> None:
        for name in self.unfinished(used):
            self.world.do(f"remove {name}")


class FakeSlots:
    environment = ""
    current = "/current"

    def __init__(self, world: World) -> None:
        self.world = world
        self.files = {slot: {f"/{slot}.service": "unit\n"} for slot in ("blue", "green")}

    def live(self) -> str | None:
        return self.world.live

    def idle(self) -> str:
        return "green" if self.world.live == "blue" else "blue"

    def release_of(self, slot: str | None) -> str | None:
        return self.world.slots.get(slot or "")

    def used_releases(self) -> set[str]:
        return set(self.world.slots.values())

    def secrets_left(self) -> list[str]:
        return self.world.secrets

    def is_as_wanted(self, slot: str | None, release: str | None) -> bool:
        return self.world.wanted and slot is not None and self.release_of(slot) == release

    def is_active(self, slot: str) -> bool:
        return True

    def on_disk(self, slot: str) -> dict[str, str | None]:
        return {}

    def service_file(self, slot: str) -> str:
        return f"/{slot}.service"

    def start(self, slot: str, release: str, health: object) -> None:
        self.world.do(f"start {release} {slot}")
        self.world.slots[slot] = release

    def switch(self, slot: str, health: object, smoke: object) -> None:
        try:
            self.world.do(f"switch {slot}")
        except SlotError:
            del self.world.slots[slot]
            raise
        self.world.live = slot
        self.world.wanted = True

    def confirm(self, slot: str, health: object, smoke: object) -> None:
        try:
            self.world.do(f"confirm {slot}")
        except SlotError:
            if self.world.before:
                del self.world.slots[slot]
                self.world.live = self.world.before
            raise

    def keep_warm(self, slot: str) -> None:
        self.world.do(f"warm {slot}")

    def repairs(self, live: str) -> list[t.Callable[[], None]]:
        return [lambda name=name: self.world.do(f"repair {name}") for name in self.world.due]  # type: ignore[misc]


class FakePublished:
    def __init__(self, world: World) -> None:
        self.world = world

    def problem(self, app: str) -> str | None:
        return None

    def add(self, app: str) -> None:
        self.world.do(f"add {app}")

    def settle(self, app: str, others: list[str]) -> None:
        self.world.do(f"settle {app} {others}")

    def is_settled(self, app: str, others: list[str]) -> bool:
        return self.world.settled

    def withdraw(self, app: str, others: list[str]) -> None:
        self.world.do(f"withdraw {app}")

    def remove(self) -> None:
        self.world.do("unpublish")


class FakeHooks:
    def __init__(self, world: World) -> None:
        self.world = world

    def run(self, when: str, hooks: list[dict[str, t.Any]], folder: str) -> None:
        for hook in hooks:
            self.world.do(f"{when} {hook['command'][0]} {folder}")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = World()

    class Source(t.NamedTuple):
        described: t.Mapping[str, str]
        needs_archive: bool
        unpack: t.Callable[[str], None]

    monkeypatch.setattr(module, "Releases", lambda *rest: FakeReleases(made))
    monkeypatch.setattr(module, "Slots", lambda *rest: FakeSlots(made))
    monkeypatch.setattr(module, "Published", lambda *rest: FakePublished(made))
    monkeypatch.setattr(module, "Hooks", lambda *rest: FakeHooks(made))
    monkeypatch.setattr(module, "environment_file", lambda name: str(tmp_path / "left"))
    monkeypatch.setattr(module, "folder_of", lambda name: str(tmp_path / "login"))
    monkeypatch.setattr(module, "source_of", lambda *rest, **more: Source({"type": "git"}, False, print))
    monkeypatch.setattr(Health, "ask", lambda self, address: None)
    return made


@pytest.fixture
def make(world: World, tmp_path: Path) -> t.Callable[..., Deployment]:
    def run(**changes: t.Any) -> Deployment:
        params: dict[str, t.Any] = {
            "name": "notes",
            "root": str(tmp_path),
            "python": "/usr/bin/python3",
            "source": {"type": "git"},
            "archive": None,
            "install": {
                "installer": "pip",
                "requirements": "r.txt",
                "index": None,
                "packages": [],
                "server": "gunicorn",
            },
            "files": {},
            "environment": "",
            "health": {"path": "/", "host": "localhost", "timeout": 1},
            "smoke": None,
            "hooks": {"before": [], "after": [], "rollback": []},
            "static": [],
            "release": None,
            "warm": 0,
            "keep": 2,
            "first": True,
        }
        return Deployment({**params, **changes}, lambda *rest: (0, "", ""))

    return run


def serving(world: World, *releases: str) -> None:
    """Have these releases on the host, the last of them live in the blue slot."""
    world.there = list(releases)
    world.slots = {"blue": releases[-1]}
    world.live = "blue"


Make = t.Callable[..., Deployment]


def test_the_first_release(world: World, make: Make) -> None:
    found = make().prepare(check_mode=False)
    assert (found["changed"], found["due"], found["release"]) == (True, True, "new")
    assert world.done == ["build new"]
    assert make().go_live("new")["changed"] is True
    assert world.done[1:] == ["add /r/new/app", "start new blue", "switch blue", "settle /r/new/app []"]
    assert make().history.releases() == ["new"]


def test_hooks_stand_around_the_switch(world: World, make: Make) -> None:
    serving(world, "old")
    hooks = {"before": [ONCE, EACH], "after": [EACH], "rollback": [EACH]}
    make(hooks=hooks).prepare(check_mode=False)
    make(hooks=hooks).go_live("new")
    kept = [what for what in world.done if not what.startswith(("settle", "add"))]
    assert kept == ["build new", "before once /r/new", "before each /r/new", "start new green", "switch green",
                    "after each /r/new"]  # fmt: skip


def test_on_the_other_hosts_what_runs_once_does_not(world: World, make: Make) -> None:
    serving(world, "old")
    make(first=False, hooks={"before": [ONCE, EACH], "after": [], "rollback": []}).prepare(check_mode=False)
    assert world.done == ["build new", "before each /r/new"]


def test_nothing_to_do(world: World, make: Make) -> None:
    serving(world, "new")
    world.wanted = True
    make().history.note("new", "blue", "deployed")
    found = make(hooks={"before": [EACH], "after": [EACH], "rollback": []}).prepare(check_mode=False)
    assert (found["changed"], found["due"]) == (False, False)
    assert world.done == []


@pytest.mark.parametrize(
    ("there", "release", "would"), [(["old"], None, "build and switch"), (["new", "old"], None, "switch"),
                                    (["older", "old"], "older", "switch")]
)  # fmt: skip
def test_check_mode_says_what_would_be_done(
    world: World, make: Make, there: list[str], release: str | None, would: str
) -> None:
    serving(world, *there)
    found = make(release=release).prepare(check_mode=True)
    assert (found["would"], found["release"], found["due"]) == (would, release or "new", False)
    assert world.done == []


@pytest.mark.parametrize("check_mode", [False, True])
def test_what_a_killed_run_left_is_put_right(world: World, make: Make, tmp_path: Path, check_mode: bool) -> None:
    serving(world, "new")
    world.wanted, world.settled, world.due, world.halves = True, False, ["retire"], ["half"]
    (tmp_path / "left").write_text("", encoding="utf-8")
    found = make().prepare(check_mode)
    assert (found["changed"], found["due"]) == (True, False)
    assert world.done == ([] if check_mode else ["repair retire", "settle /r/new/app []", "remove half"])
    assert (tmp_path / "left").exists() is check_mode
    assert make().history.releases() == ([] if check_mode else ["new"])


def killed_after_its_switch(world: World, make: Make, *releases: str) -> None:
    """The last of these releases is live in the green slot, which nobody has confirmed; the others have lived."""
    serving(world, *releases)
    world.slots = {"blue": releases[-2], "green": releases[-1]}
    world.live, world.before, world.wanted = "green", "blue", True
    for release in releases[:-1]:
        make().history.note(release, "blue", "deployed")


def test_a_switch_that_nobody_confirmed_is_confirmed(world: World, make: Make) -> None:
    killed_after_its_switch(world, make, "older", "old", "new")
    world.due = ["retire"]
    hooks = {"before": [EACH], "after": [ONCE, EACH], "rollback": []}
    found = make(hooks=hooks).prepare(check_mode=False)
    assert (found["changed"], found["due"], found["release"], found["slot"]) == (True, False, "new", "green")
    assert world.done == ["confirm green", "remove older", "repair retire", "after once /r/new", "after each /r/new"]
    last = make().history.entries()[-1]
    assert (last["release"], last["slot"], last["how"]) == ("new", "green", "deployed")
    world.done.clear()
    world.due = []
    assert make(hooks=hooks).prepare(check_mode=False)["changed"] is False
    assert world.done == []


def test_check_mode_says_that_it_would_be_confirmed(world: World, make: Make) -> None:
    killed_after_its_switch(world, make, "old", "new")
    found = make(hooks={"before": [], "after": [EACH], "rollback": []}).prepare(check_mode=True)
    assert (found["changed"], found["due"], found["release"]) == (True, False, "new")
    assert (world.done, make().history.releases()) == ([], ["old"])


def test_new_settings_that_nobody_confirmed_are_confirmed(world: World, make: Make) -> None:
    """The release is the same, and its slot another one."""
    killed_after_its_switch(world, make, "new", "new")
    assert make(warm=60).prepare(check_mode=False)["changed"] is True
    assert world.done == ["confirm green", "warm blue"]


def test_a_rollback_that_nobody_confirmed_is_one(world: World, make: Make) -> None:
    killed_after_its_switch(world, make, "r1", "r2", "r1")
    assert make(release="previous").prepare(check_mode=False)["release"] == "r1"
    assert world.done == ["confirm green"]
    assert make().history.entries()[-1]["how"] == "rolled back"


def test_one_that_is_not_confirmed_later_is_left(world: World, make: Make) -> None:
    killed_after_its_switch(world, make, "old", "new")
    world.fails = {"confirm": SlotError("answered 500")}
    with pytest.raises(SlotError, match=r"^answered 500\nThe release before it, old, serves on.$"):
        make(hooks={"before": [], "after": [EACH], "rollback": []}).prepare(check_mode=False)
    assert (world.there, world.live, make().history.releases()) == (["old"], "blue", ["old"])
    assert world.done == ["confirm green", "withdraw /r/new/app", "remove new"]


def test_one_that_is_not_confirmed_later_stays_where_there_is_none(world: World, make: Make) -> None:
    """After a reboot, for instance. The next run says so again."""
    killed_after_its_switch(world, make, "old", "new")
    world.before = None
    world.fails = {"confirm": SlotError("answered 500")}
    for _run in range(2):
        with pytest.raises(SlotError, match=r"^answered 500\nIt stays live: the release before it runs no more.$"):
            make(hooks={"before": [], "after": [EACH], "rollback": []}).prepare(check_mode=False)
    assert (world.there, world.live, make().history.releases()) == (["old", "new"], "green", ["old"])
    assert world.done == ["confirm green"] * 2


@pytest.fixture
def secrets(world: World, tmp_path: Path) -> list[Path]:
    """Leave what a killed run leaves of secrets."""
    (tmp_path / "login").mkdir()
    left = [tmp_path / name for name in ("left", ".left.x1y2z3a4", "login/netrc", ".environment.x1y2z3a4")]
    for path in left:
        path.touch()
    world.secrets = [str(left[-1])]
    return [*left, tmp_path / "login"]


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("release", [None, "r1"])
def test_no_secret_of_a_killed_run_is_left(
    world: World, make: Make, secrets: list[Path], check_mode: bool, release: str | None
) -> None:
    """Also where there is a release to put live, and nothing to build."""
    serving(world, "r1", "new")
    world.wanted = True
    found = make(release=release).prepare(check_mode)
    assert (found["changed"], found["release"]) == (True, release or "new")
    assert {path.exists() for path in secrets} == {check_mode}


def test_no_secret_of_a_killed_run_is_left_by_a_build_that_fails(world: World, make: Make, secrets: list[Path]) -> None:
    world.fails = {"build": BuildError("no space")}
    with pytest.raises(BuildError):
        make().prepare(check_mode=False)
    assert not any(path.exists() for path in secrets)


def test_check_mode_says_what_would_come(world: World, make: Make) -> None:
    serving(world, "old")
    found = make(hooks={"before": [EACH], "after": [], "rollback": []}).prepare(check_mode=True)
    assert (found["changed"], found["due"], found["slot"]) == (True, False, "green")
    assert found["diff"][-1]["before"] == "old\n"
    assert world.done == []


def test_a_hook_that_fails_ends_it(world: World, make: Make) -> None:
    serving(world, "old")
    world.fails = {"before": HookError("migration failed")}
    with pytest.raises(HookError, match=r"^migration failed\nThe release before it, old, serves on.$"):
        make(hooks={"before": [EACH], "after": [], "rollback": []}).prepare(check_mode=False)
    assert world.there == ["old"]
    assert world.live == "blue"


def test_a_build_that_fails_says_what_serves(world: World, make: Make) -> None:
    serving(world, "old")
    world.fails = {"build": BuildError("no space")}
    with pytest.raises(BuildError, match=r"^no space\nThe release before it, old, serves on.$"):
        make().prepare(check_mode=False)
    assert world.there == ["old"]


@pytest.mark.parametrize("step", ["start", "switch", "add"])
def test_a_release_that_fails_is_gone(world: World, make: Make, step: str) -> None:
    serving(world, "old")
    make().prepare(check_mode=False)
    world.fails = {step: SlotError("it failed") if step != "add" else OSError(28, "No space left on device")}
    with pytest.raises(SlotError, match=r"\nThe release before it, old, serves on.$"):
        make().go_live("new")
    assert (world.there, world.live) == (["old"], "blue")
    assert world.done[-2:] == ["withdraw /r/new/app", "remove new"]
    assert make().history.releases() == ["old"]


def test_of_the_first_release_nothing_stays_either(world: World, make: Make) -> None:
    make().prepare(check_mode=False)
    world.fails = {"start": SlotError("it failed")}
    with pytest.raises(SlotError, match=r"There is no release before it: the application is not served.$"):
        make().go_live("new")
    assert world.there == []
    assert world.done[-2:] == ["unpublish", "remove new"]


def test_an_after_hook_fails_when_the_release_is_live(world: World, make: Make) -> None:
    serving(world, "old")
    make().prepare(check_mode=False)
    world.fails = {"after": HookError("no mail")}
    with pytest.raises(HookError, match="no mail"):
        make(hooks={"before": [], "after": [EACH], "rollback": []}).go_live("new")
    assert world.live == "green"
    assert make().history.releases() == ["old", "new"]


def test_going_back(world: World, make: Make) -> None:
    serving(world, "r1", "r2", "r3")
    make().history.begin(["r1", "r2", "r3"], "r3", "blue")
    back = make(release="previous", hooks={"before": [EACH], "after": [], "rollback": [EACH]})
    found = back.prepare(check_mode=False)
    assert (found["due"], found["release"]) == (True, "r2")
    # In the release that is left: it knows what it has done.
    assert world.done == ["rollback each /r/r3"]
    make(release="previous", keep=3).go_live("r2")
    assert make().history.entries()[-1]["how"] == "rolled back"
    assert world.there == ["r1", "r2", "r3"]


def test_going_back_once_is_enough(world: World, make: Make) -> None:
    """An inventory may say ``previous``: its next run changes nothing."""
    serving(world, "r1", "r2")
    make().history.begin(["r1", "r2"], "r2", "blue")
    hooks = {"before": [], "after": [], "rollback": [EACH]}
    assert make(release="previous").prepare(check_mode=False)["release"] == "r1"
    make(release="previous").go_live("r1")
    world.done.clear()
    found = make(release="previous", hooks=hooks).prepare(check_mode=False)
    assert (found["changed"], found["due"], found["release"]) == (False, False, "r1")
    # With other settings it is proven again; no release is left, and so none undoes its work.
    world.wanted = False
    found = make(release="previous", hooks=hooks).prepare(check_mode=False)
    assert (found["changed"], found["due"], found["release"]) == (True, True, "r1")
    assert world.done == []


def test_check_mode_of_going_back_writes_no_history(world: World, make: Make, tmp_path: Path) -> None:
    """Of a host of a version of this collection that kept none."""
    serving(world, "r1", "r2")
    found = make(release="previous").prepare(check_mode=True)
    assert (found["would"], found["release"]) == ("switch", "r1")
    assert list(tmp_path.iterdir()) == []


def test_a_rollback_that_fails_keeps_the_release(world: World, make: Make) -> None:
    serving(world, "r1", "r2")
    make().history.begin(["r1", "r2"], "r2", "blue")
    world.fails = {"start": SlotError("it failed")}
    with pytest.raises(SlotError):
        make(release="previous").go_live("r1")
    assert world.there == ["r1", "r2"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("previous", 'gunicorn_app_release: "previous" is refused; accepted: the name of a release; none was live'),
        ("r9", 'gunicorn_app_release: "r9" is refused; accepted: previous, or one of those on this host: r1'),
    ],
)
def test_a_release_that_is_not_there(world: World, make: Make, wanted: str, message: str) -> None:
    serving(world, "r1")
    with pytest.raises(BuildError, match="^" + message.replace("(", "\\(")):
        make(release=wanted).prepare(check_mode=False)
    assert world.done == []


def test_only_what_was_live_is_kept(world: World, make: Make) -> None:
    """``built`` is of a deployment that failed on another host before it was live here."""
    serving(world, "r1", "r2", "built", "r3")
    make().history.begin(["r1", "r2", "r3"], "r3", "blue")
    make().prepare(check_mode=False)
    world.done.clear()
    make(warm=60).go_live("new")
    assert world.there == ["r3", "new"]
    assert world.done[-2:] == ["settle /r/new/app ['/r/r3/app']", "warm blue"]


def test_a_release_that_is_gone_is_told(world: World, make: Make) -> None:
    serving(world, "old")
    with pytest.raises(BuildError, match="release new is not on this host any more"):
        make().go_live("new")
