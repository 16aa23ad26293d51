"""What goes wrong around a deployment: no room on the disk, no index, another deployment at the same time. The release
before serves, the message says what it was, nothing is left, and the next run works.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from machine import Machine, wait_for
from playbook import Outcome, Playbook
from trial import OTHER, TRIAL, State, dangling, state, trial, version, wait_for_one_slot

LOCK = "/run/asgi-deploy/notes"
#: What a build wants to be free before it begins, and some.
SPARE_KB = 70 * 1024
#: Fill the disk when the release has its virtual environment, and pip is about to install into it.
FILL = """\
count() { ls -d /opt/notes/releases/*/venv | wc -l; }
before=$(count)
until [ $(count) -gt $before ]; do sleep 0.02; done
cat /dev/zero >/opt/notes/filler
"""


@pytest.fixture(scope="module", autouse=True)
def _as_converged(machines: list[Machine], play: Playbook) -> Iterator[None]:
    yield
    play(code=0)
    wait_for_one_slot(machines)


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A release with a version of Gunicorn that no cache of the host holds."""
    requirements = (TRIAL / "requirements.txt").read_text(encoding="utf-8")
    other = re.sub(r"gunicorn==.*", "gunicorn==26.0.0", requirements, count=1)
    assert other != requirements
    return trial(tmp_path_factory.mktemp("third"), "third", requirements=other)


class Trouble:
    WORDS: tuple[str, ...] = ()

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine]) -> dict[str, State]:
        return {machine.name: state(machine) for machine in machines}

    def test_the_run_says_what_it_was(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        assert [word for word in self.WORDS if not re.search(word, message)] == [], message

    def test_the_release_before_serves_and_nothing_is_left(
        self, machine: Machine, outcome: Outcome, before: dict[str, State]
    ) -> None:
        assert state(machine) == before[machine.name]
        assert dangling(machine) == []
        assert version(machine) == "first"


class TestNoRoom(Trouble):
    """The application's folder lies on a small disk, which somebody else fills while the release is built."""

    WORDS = ("No space left on device", r"Only \d+ MB are free below /opt/notes/releases")

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, machines: list[Machine], play: Playbook, third: dict[str, Any]) -> Outcome:
        for machine in machines:
            machine.run(
                f"size=$(($(du --summarize --block-size=1024 /opt/notes | cut -f 1) + {SPARE_KB}))"
                " && mkdir -p /mnt/small && mount -t tmpfs -o size=${size}k tmpfs /mnt/small"
                " && cp --archive /opt/notes/. /mnt/small/ && mount --bind /mnt/small /opt/notes"
            )
            machine.run("setsid timeout 120 sh -c %s >/dev/null 2>&1 </dev/null &", FILL)
        try:
            return play(extra=third, code=2)
        finally:
            for machine in machines:
                machine.run("umount /opt/notes && umount /mnt/small")


class TestNoIndex(Trouble):
    WORDS = ("Connection refused", "No matching distribution found for gunicorn==26.0.0")

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook, third: dict[str, Any]) -> Outcome:
        return play(extra={**third, "gunicorn_app_index": {"url": "http://127.0.0.1:9/simple"}}, code=2)


class TestTwoAtOnce:
    """A real one, whose application takes its time to start; it serves in the end as if nothing had been."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcomes(
        cls, machines: list[Machine], play: Playbook, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Outcome, Outcome]:
        slow = trial(tmp_path_factory.mktemp("slow"), "slow", "slow:20")
        idle = {machine.name: OTHER[machine.slot()] for machine in machines}
        with ThreadPoolExecutor() as pool:
            first = pool.submit(play, extra=slow)
            for machine in machines:
                wait_for("the start of the first one's release", partial(starts, machine, idle[machine.name]), 120)
            second = play(code=2)
            return first.result(), second

    def test_the_second_is_told_who_holds_the_lock(self, machine: Machine, outcomes: tuple[Outcome, Outcome]) -> None:
        message = outcomes[1].hosts[machine.name].message
        said = r"Another deployment of notes is running on this host: process \d+, started by \S+@\S+"
        assert re.fullmatch(said, message), message

    def test_the_first_goes_on(self, machine: Machine, outcomes: tuple[Outcome, Outcome]) -> None:
        assert outcomes[0].code == 0, outcomes[0].output
        assert version(machine) == "slow"

    def test_the_application_cannot_hold_the_lock(self, machine: Machine) -> None:
        assert machine.succeeds(f"flock --nonblock {LOCK} true")
        assert not machine.succeeds("setpriv --reuid=notes --regid=notes --clear-groups flock --nonblock %s true", LOCK)


def starts(machine: Machine, slot: str) -> bool:
    return machine.run("systemctl is-active notes@%s.service || true", slot).strip() == "activating"


class TestAfterwards:
    """What found no room and no index is live as soon as there are both."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, play: Playbook, third: dict[str, Any]) -> Outcome:
        return play(extra=third, code=0)

    def test_it_is_live(self, machine: Machine, outcome: Outcome) -> None:
        assert version(machine) == "third"
        assert dangling(machine) == []
