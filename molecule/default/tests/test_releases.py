"""Good releases: each goes to the idle slot and is switched to without a request lost."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from machine import Machine, wait_for
from playbook import Outcome, Playbook, environment
from sources import SMALL, example, requirements

OWN_POLICY = "default-src 'none'"
SECRET = secrets.token_hex(16)
#: What systemd's environment files, a shell or a template could take for its own.
HOSTILE = {
    "NOTES_SECRET": f"{SECRET} \" ' \\ \\n $HOME ${{HOME}} `id` # ; %h %% \t é ☃",
    "QUOTED": '"quoted"',
    "SINGLE": "'single'",
    "SPACES": "  both ends  ",
    "COMMENT": "#no comment",
    "BACKSLASH": "ends with \\",
    "EMPTY": "",
}


@contextmanager
def load(machines: list[Machine]) -> Iterator[dict[str, Any]]:
    """Requests to each host for as long as the block runs; the reports are there after it."""
    reports: dict[str, Any] = {}
    for machine in machines:
        machine.run("rm -f /tmp/load.stop /tmp/load.json")
        machine.background("load.py", "/tmp/load.stop", "/tmp/load.json")
    try:
        yield reports
    finally:
        for machine in machines:
            machine.run("touch /tmp/load.stop")
    for machine in machines:
        wait_for("the load's report", partial(machine.succeeds, "test -e /tmp/load.json"), 30)
        reports[machine.name] = json.loads(machine.run("cat /tmp/load.json"))


@dataclass
class Switch:
    """A run that switched slots, and what was before it."""

    outcome: Outcome
    slots: dict[str, str]
    releases: dict[str, list[str]]
    load: dict[str, Any]


def switch(machines: list[Machine], play: Playbook, *options: str, **extra: Any) -> Switch:
    slots = {machine.name: machine.slot() for machine in machines}
    releases = {machine.name: machine.releases() for machine in machines}
    with load(machines) as reports:
        outcome = play(*options, extra=extra, code=0)
        for machine in machines:
            ended = slots[machine.name]
            wait_for(f"{machine}: the end of {ended}", partial(is_over, machine, ended), 20)
    return Switch(outcome, slots, releases, reports)


def is_over(machine: Machine, slot: str) -> bool:
    return not [unit for unit in machine.active_slots() if f"@{slot}." in unit]


def assert_switched(machine: Machine, done: Switch, *also: str) -> None:
    assert done.outcome.hosts[machine.name].changed == ["Prepare the release", "Put the release live", *also]
    assert {machine.slot(), done.slots[machine.name]} == {"blue", "green"}
    live = machine.slot()
    assert machine.active_slots() == [f"notes@{live}.service", f"notes@{live}.socket"]
    assert machine.failed_units() == []


def assert_nothing_lost(machine: Machine, done: Switch) -> None:
    report = done.load[machine.name]
    assert report["failures"] == []
    assert min(report["counts"].values()) > 200, report


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The example with another version, and with security headers of its own on its first page."""
    own = {"Content-Security-Policy": OWN_POLICY, "X-Frame-Options": "DENY"}
    edits = {
        "notes/__init__.py": ('__version__ = "1.0.0"', '__version__ = "2.0.0"'),
        "notes/routes/diagnostics.py": (
            'async def root(request: Request) -> dict[str, str]:\n    """Name the application and its version."""',
            "async def root(request: Request, response: Response) -> dict[str, str]:\n"
            f"    response.headers.update({own!r})",
        ),
    }
    source = example(tmp_path_factory.mktemp("second"), edits)
    routes = Path(source["path"], "notes/routes/diagnostics.py")
    routes.write_text(routes.read_text().replace("import APIRouter, Request", "import APIRouter, Request, Response"))
    return source


class TestSecondRelease:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, second: dict[str, str]) -> Switch:
        return switch(machines, play, gunicorn_app_source=second)

    def test_it_is_live_in_the_other_slot(self, machine: Machine, done: Switch) -> None:
        assert_switched(machine, done)
        assert machine.ask("/version").json()["version"] == "2.0.0"
        assert len(set(machine.releases()) - set(done.releases[machine.name])) == 1

    def test_no_request_was_lost(self, machine: Machine, done: Switch) -> None:
        assert_nothing_lost(machine, done)
        assert done.load[machine.name]["versions"] == ["1.0.0", "2.0.0"]

    def test_a_header_that_the_application_sets_wins(self, machine: Machine, done: Switch) -> None:
        answer = machine.ask("/")
        assert answer.header("content-security-policy") == OWN_POLICY
        assert answer.header("x-frame-options") == "DENY"
        assert answer.header("x-content-type-options") == "nosniff"


class TestChangedEnvironment:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, second: dict[str, str]) -> Switch:
        return switch(machines, play, "-vvv", "--diff", gunicorn_app_source=second, **environment(**HOSTILE))

    def test_it_is_live_in_the_other_slot_without_a_build(self, machine: Machine, done: Switch) -> None:
        assert_switched(machine, done)
        assert machine.releases() == done.releases[machine.name]

    def test_no_request_was_lost(self, machine: Machine, done: Switch) -> None:
        assert_nothing_lost(machine, done)

    def test_the_values_reach_the_process_as_they_are(self, machine: Machine, done: Switch) -> None:
        for worker in machine.workers():
            text = machine.run("setpriv --reuid=notes --regid=notes --clear-groups cat /proc/%s/environ", worker)
            found = dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)
            assert {name: found.get(name) for name in HOSTILE} == HOSTILE
        assert machine.ask("/version").json()["secret_configured"] is True

    def test_the_secret_is_nowhere_to_be_seen(self, machine: Machine, done: Switch) -> None:
        assert SECRET not in done.outcome.output
        assert SECRET not in machine.run("ps -eo args")
        assert SECRET not in machine.run("systemctl show 'notes@*'; systemctl cat 'notes@*'")
        # All fields of all entries, those included in which Ansible's modules tell how they were called.
        journal = "journalctl --no-pager --all --output=export | grep --text --count --fixed-strings -- %s"
        assert machine.both(journal, SECRET) == (1, "0\n")
        assert machine.both(journal, "Application startup complete")[0] == 0
        readable = "setpriv --reuid=notes --regid=notes --init-groups grep --recursive --files-with-matches %s"
        assert machine.both(f"{readable} /opt/notes /etc /var/lib/notes /var/log 2>/dev/null", SECRET) == (2, "")


class TestGit:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> Outcome:
        for machine in machines:
            if machine.host.file("/srv/small").exists:
                continue
            if not machine.succeeds("command -v git"):
                machine.run("apt-get install -qq --no-install-recommends git >/dev/null 2>&1")
            machine.run("mkdir /srv/small")
            machine.write("/srv/small/small.py", SMALL)
            machine.write("/srv/small/requirements.txt", requirements())
            machine.run(
                "cd /srv/small && git init --quiet && git add . && git -c user.name=t -c user.email=t@example.com"
                " commit --quiet -m one && git tag v1"
            )
        return play(
            extra={
                "gunicorn_app_source": {"type": "git", "url": "file:///srv/small", "version": "v1"},
                "gunicorn_app_module": "small:app",
                "gunicorn_app_health_path": "/",
                "gunicorn_app_env": {},
            },
            code=0,
        )

    def test_a_tag_is_deployed(self, machine: Machine, done: Outcome) -> None:
        assert "Put the release live" in done.hosts[machine.name].changed
        assert machine.ask("/anything").body == "small, from git"
        record = json.loads(machine.run("cat /opt/notes/current/release.json"))
        commit = machine.run("git -C /srv/small rev-parse v1").strip()
        assert (record["source"]["digest"], record["source"]["version"]) == (commit, "v1")


class TestBack:
    """The release of the inventory is still there: it is switched to without a build."""

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> Switch:
        return switch(machines, play)

    def test_it_is_live_again_without_a_build(self, machine: Machine, done: Switch) -> None:
        # Another health path, whose requests nginx does not log.
        assert_switched(machine, done, "Put the configuration live")
        assert machine.ask("/version").json()["version"] == "1.0.0"
        assert set(machine.releases()) <= set(done.releases[machine.name])
        assert len(machine.releases()) <= 3

    def test_the_secret_has_left_the_host(self, machine: Machine, done: Switch) -> None:
        live = machine.run("cat /opt/notes/slots/%s/environment", machine.slot())
        assert SECRET not in live
