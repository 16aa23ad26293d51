"""Under constant load through the proxy: a release host by host, one whose code fails on the second host, a way back.

The classes of this file are one sequence; each begins where the one before it ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from machine import Machine
from playbook import ROOT, Outcome, Playbook
from trial import assert_nothing_lost, load, trial, wait_for_one_slot

RELEASE = str(ROOT / "playbooks/release.yml")
ROLLBACK = str(ROOT / "playbooks/rollback.yml")
#: What the third release needs, and only the first host has.
FILE = "/var/lib/notes/only-here"


class Done(NamedTuple):
    """A run under load: what it did, its report, and what the load met."""

    outcome: Outcome
    report: dict[str, Any]
    load: dict[str, Any]

    def column(self, name: str) -> list[Any]:
        """One value of each host, in the order of the play."""
        return [row[name] for row in self.report["hosts"]]


class Run:
    def __init__(self, play: Playbook, proxy: Machine, apps: list[Machine], folder: Path) -> None:
        self.play, self.proxy, self.apps, self.path = play, proxy, apps, folder / "report.json"
        # A rollback does nothing on proxies.
        self.without_proxy = replace(play, hosts=[app.name for app in apps])

    def __call__(self, playbook: str, code: int, **extra: Any) -> Done:
        self.path.unlink(missing_ok=True)
        with load([self.proxy]) as loads:
            play = self.play if playbook == RELEASE else self.without_proxy
            outcome = play(extra={"release_report": str(self.path), **extra}, code=code, playbook=playbook)
            wait_for_one_slot(self.apps)
        return Done(outcome, json.loads(self.path.read_text(encoding="utf-8")), loads[self.proxy.name])


@pytest.fixture(scope="module")
def run(play: Playbook, proxy: Machine, apps: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(play, proxy, apps, tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module", autouse=True)
def _as_converged(apps: list[Machine], play: Playbook) -> Iterator[None]:
    apps[0].run(f"touch {FILE}")
    yield
    apps[0].run(f"rm -f {FILE}")
    play(code=0)
    wait_for_one_slot(apps)


def versions(apps: list[Machine]) -> list[str]:
    """What each host answers at its port."""
    asked = (app.run("curl --silent --fail http://127.0.0.1:8000/version") for app in apps)
    return [json.loads(answer)["version"] for answer in asked]


class TestRelease:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Done:
        return run(RELEASE, 0, **trial(tmp_path_factory.mktemp("second"), "second"))

    def test_all_hosts_serve_it(self, apps: list[Machine], done: Done) -> None:
        assert versions(apps) == ["second"] * 3
        assert done.column("result") == ["live"] * 3

    def test_nothing_was_lost(self, done: Done) -> None:
        assert_nothing_lost(done.load, 100)

    def test_nginx_has_counted_it_for_each_host(self, done: Done) -> None:
        assert done.column("lost") == [0, 0, 0]


class TestCodeThatFailsOnTheSecondHost:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Done:
        folder = tmp_path_factory.mktemp("third")
        made = trial(folder, "third")
        main = folder / "trial/main.py"
        main.write_text(main.read_text(encoding="utf-8") + f'\nopen("{FILE}").close()\n', encoding="utf-8")
        return run(RELEASE, 2, **made)

    def test_it_stops_there(self, apps: list[Machine], done: Done) -> None:
        assert done.column("result") == ["live", "failed", "untouched"]
        assert versions(apps) == ["third", "second", "second"]

    def test_the_application_s_own_error_is_shown(self, done: Done) -> None:
        assert "FileNotFoundError" in done.outcome.output

    def test_nothing_was_lost(self, done: Done) -> None:
        assert_nothing_lost(done.load, 100)


class TestRollback:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, run: Run) -> Done:
        return run(ROLLBACK, 0)

    def test_all_hosts_have_one_release_again(self, apps: list[Machine], done: Done) -> None:
        assert versions(apps) == ["second"] * 3

    def test_nothing_was_lost(self, done: Done) -> None:
        assert_nothing_lost(done.load)
