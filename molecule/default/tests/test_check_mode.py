"""`--check --diff` changes nothing, and says what a run would change."""

from __future__ import annotations

import secrets

import pytest
from machine import Machine
from playbook import Outcome, Playbook, environment, site

FOLDERS = ("/etc", "/opt", "/usr/local", "/var/lib/dpkg", "/var/lib/notes", "/var/www")
SECRET = secrets.token_hex(16)


class TestConverged:
    def test_nothing_would_change(self, machines: list[Machine], play: Playbook) -> None:
        before = {machine.name: machine.files(*FOLDERS) for machine in machines}
        play("--check", "--diff").assert_unchanged()
        assert {machine.name: machine.files(*FOLDERS) for machine in machines} == before


class TestChangedInput:
    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine]) -> dict[str, dict[str, str]]:
        return {machine.name: machine.files(*FOLDERS) for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook) -> Outcome:
        extra = {**site(body_size="77m"), **environment(NOTES_SECRET=SECRET), "gunicorn_app_timeout": 91}
        return play("--check", "--diff", extra=extra, code=0)

    def test_the_lines_are_shown(self, machine: Machine, outcome: Outcome) -> None:
        for line in ("client_max_body_size 10m;", "client_max_body_size 77m;", "timeout = 90", "timeout = 91"):
            assert line in outcome.output
        assert outcome.hosts[machine.name].changed == ["Prepare the release", "Put the configuration live"]

    def test_the_environments_value_is_not(self, outcome: Outcome) -> None:
        assert SECRET not in outcome.output

    def test_nothing_has_changed(self, machine: Machine, outcome: Outcome, before: dict[str, dict[str, str]]) -> None:
        assert machine.files(*FOLDERS) == before[machine.name]
        assert machine.ask("/version").json()["secret_configured"] is False
