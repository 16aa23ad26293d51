"""Two applications on a host, of which the second goes again: the first one does not notice any of it.

The classes of this file are one sequence; each begins where the one before it ended. The second one's name begins with
that of the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from machine import Machine
from playbook import Outcome, Playbook
from trial import Deployment, assert_nothing_lost, deploy, state

OURS = {"name": "notes", "domains": ["notes.example.com"], "app": "notes", "tls": {"source": "self_signed"}}
THEIRS = {**OURS, "name": "api", "domains": ["api.example.com"], "app": "notes-api"}
API = {"name": "notes-api", "env": {"TRIAL_GREETING": "the-second"}, "workers": 1}
ABSENT = {"name": "notes-api", "state": "absent"}

TWO: dict[str, Any] = {"gunicorn_app_applications": [{"name": "notes"}, API]}
ONE: dict[str, Any] = {"gunicorn_app_applications": [{"name": "notes"}, ABSENT]}
#: Not while requests are counted: each reload of nginx may reset a connection that a client has kept.
SITES: dict[str, Any] = {"nginx_proxy_sites": [OURS, THEIRS]}

DATA = "/var/lib/notes-api/data"
#: All that can bear the name of the second, but for its data and for the lock, which is nobody's.
LEFT = (
    "ls -d /opt/notes-api /run/notes-api /var/cache/notes-api /var/www/notes-api /etc/systemd/system/notes-api*"
    " /etc/systemd/system/*.wants/notes-api* /run/systemd/transient/notes-api* 2>/dev/null"
    "; getent passwd notes-api; getent group notes-api; ps -e -o args= | grep '[n]otes-api@\\|/opt/[n]otes-api/'"
    "; systemctl list-units --all --plain --no-legend 'notes-api*'; true"
)


@pytest.fixture(scope="module", autouse=True)
def _as_converged(machines: list[Machine], play: Playbook) -> Iterator[None]:
    yield
    play(extra=ONE, code=0)
    for machine in machines:
        machine.run("rm -rf /var/lib/notes-api")


def greeting(machine: Machine) -> Any:
    """What the second one says on its own socket."""
    asked = machine.run("curl --silent --unix-socket /opt/notes-api/current.sock http://localhost/version")
    return json.loads(asked)["greeting"]


class TestTwo:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> Deployment:
        return deploy(machines, play, code=0, **TWO)

    def test_each_answers_with_its_own_environment(self, machine: Machine, done: Deployment) -> None:
        assert machine.ask("/version").json()["greeting"] is None
        assert greeting(machine) == "the-second"

    def test_the_first_was_not_touched(self, machine: Machine, done: Deployment) -> None:
        assert state(machine) == done.before[machine.name]
        assert_nothing_lost(done.load[machine.name])

    def test_each_has_its_own_user_and_workers(self, machine: Machine, done: Deployment) -> None:
        users = {}
        for name in ("notes", "notes-api"):
            slot = machine.run("basename $(readlink /opt/%s/current.sock) .sock", name).strip()
            unit = f"{name}@{slot}.service"
            master = machine.run("systemctl show --property=MainPID --value %s", unit).strip()
            workers = machine.run("pgrep --parent %s", master).split()
            users[name] = {machine.run("ps -o user= -p %s", pid).strip() for pid in [master, *workers]}, len(workers)
        assert users == {"notes": ({"notes"}, 2), "notes-api": ({"notes-api"}, 1)}

    @pytest.mark.parametrize(("who", "whose"), [("notes", "notes-api"), ("notes-api", "notes")])
    def test_neither_reaches_what_is_the_others(self, machine: Machine, done: Deployment, who: str, whose: str) -> None:
        as_user = f"runuser -u {who} --"
        for path in (f"/opt/{whose}/current/app", f"/opt/{whose}/releases", f"/var/lib/{whose}", f"/var/cache/{whose}"):
            assert machine.succeeds(f"test -d {path}"), path
            assert not machine.succeeds(f"{as_user} ls {path}"), path
        slot = machine.run(f"basename $(readlink /opt/{whose}/current.sock) .sock").strip()
        for name in ("environment", "probe"):
            assert machine.succeeds(f"test -s /opt/{whose}/slots/{slot}/{name}")
            assert not machine.succeeds(f"{as_user} cat /opt/{whose}/slots/{slot}/{name}")
        assert not machine.succeeds(f"{as_user} curl --silent --unix-socket /opt/{whose}/current.sock http://x/health")

    def test_again_changes_nothing(self, play: Playbook, done: Deployment) -> None:
        play(extra=TWO).assert_unchanged()


class TestCheckMode:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, play: Playbook) -> Outcome:
        return play("--check", "--diff", extra=ONE, code=0)

    def test_it_says_what_would_go_and_what_stays(self, machine: Machine, outcome: Outcome) -> None:
        for line in ("-/opt/notes-api", "-user notes-api", "-/etc/systemd/system/notes-api@blue.service"):
            assert line in outcome.output.splitlines()
        assert " /var/lib/notes-api" in outcome.output.splitlines()
        assert greeting(machine) == "the-second"


class TestRemoval:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook) -> Deployment:
        for machine in machines:
            machine.run(f"runuser -u notes-api -- sh -c 'echo kept >{DATA}'")
        return deploy(machines, play, code=0, **ONE)

    def test_nothing_of_it_is_left(self, machine: Machine, done: Deployment) -> None:
        assert machine.run(LEFT) == ""
        assert machine.failed_units() == []

    def test_its_data_are_there_for_root_only(self, machine: Machine, done: Deployment) -> None:
        assert machine.run(f"cat {DATA}") == "kept"
        assert machine.run("stat --format '%U %a' /var/lib/notes-api") == "root 700"

    def test_the_first_was_not_touched(self, machine: Machine, done: Deployment) -> None:
        assert state(machine) == done.before[machine.name]
        assert_nothing_lost(done.load[machine.name])

    def test_again_changes_nothing(self, play: Playbook, done: Deployment) -> None:
        play(extra=ONE).assert_unchanged()


class TestBack:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Iterator[Outcome]:
        for machine in machines:
            # It may get the number that was the application's.
            machine.run("useradd --system --user-group somebody")
        yield play(extra={**TWO, **SITES}, code=0)
        for machine in machines:
            machine.run("userdel somebody")

    def test_each_site_has_its_own(self, machine: Machine, outcome: Outcome) -> None:
        options = ("--insecure", "--resolve", "api.example.com:443:127.0.0.1")
        answer = machine.ask("https://api.example.com/version", *options)
        assert answer.json()["greeting"] == "the-second"
        assert machine.ask("/version").json()["greeting"] is None

    def test_it_has_its_data_again_and_nobody_else(self, machine: Machine, outcome: Outcome) -> None:
        assert machine.run(f"runuser -u notes-api -- cat {DATA}") == "kept"
        assert not machine.succeeds(f"runuser -u somebody -- cat {DATA}")


class TestStillNamed:
    """By a site: nginx would pass requests on to nobody."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, play: Playbook) -> Outcome:
        return play(extra={**ONE, **SITES}, code=2)

    def test_it_is_refused_and_serves_on(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        assert 'gunicorn_app_applications[1].state: "absent" is refused; accepted: present, as long as' in message
        assert "nginx_proxy_sites[1] names notes-api" in message
        assert outcome.hosts[machine.name].changed == []
        assert greeting(machine) == "the-second"


class TestSomebodyElses:
    """A user of that name whom this collection has not made."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Iterator[Outcome]:
        for machine in machines:
            machine.run("useradd --system --comment 'Backup of the shop' others && mkdir /opt/others")
        absent = {"name": "others", "state": "absent"}
        yield play(extra={"gunicorn_app_applications": [{"name": "notes"}, API, absent], **SITES}, code=2)
        for machine in machines:
            machine.run("userdel others && rmdir /opt/others")

    def test_it_is_left_alone(self, machine: Machine, outcome: Outcome) -> None:
        assert 'gunicorn_app_applications[2].name: "others" is refused' in outcome.hosts[machine.name].message
        assert outcome.hosts[machine.name].changed == []
        assert machine.succeeds("getent passwd others && test -d /opt/others")
