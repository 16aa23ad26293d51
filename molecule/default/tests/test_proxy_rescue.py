"""A configuration that nginx does not take, or takes and does not serve: the one before stays."""

from __future__ import annotations

import re
from functools import partial

import pytest
from machine import Machine, wait_for
from playbook import Outcome, Playbook, site

FOLDERS = ("/etc/nginx", "/etc/systemd", "/usr/local")


def assert_same_site(machine: Machine, before: dict[str, str]) -> None:
    """The files are the very ones of before, and nginx serves them, also when it is started anew."""
    assert machine.files(*FOLDERS) == before
    assert machine.ask("/version").status == 200
    machine.run("systemctl restart nginx.service")
    assert machine.ask("/version").status == 200
    assert machine.failed_units() == []


@pytest.fixture(scope="class")
def before(machines: list[Machine]) -> dict[str, dict[str, str]]:
    return {machine.name: machine.files(*FOLDERS) for machine in machines}


class TestUnknownDirective:
    EXTRA = site(extra="location = /x {\n    return 204;\n}\nno_such_directive on;")

    @pytest.fixture(scope="class")
    @classmethod
    def outcomes(cls, before: object, play: Playbook) -> list[Outcome]:
        """Twice: the roles that are known for it fail the first time only."""
        return [play(extra=cls.EXTRA, code=2) for _index in range(2)]

    def test_each_run_says_what_and_where(self, machine: Machine, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            tasks = outcome.hosts[machine.name]
            assert 'unknown directive "no_such_directive"' in tasks.message
            assert "It belongs to the site notes." in tasks.message
            assert re.search(r"^> +\d+ +no_such_directive on;$", tasks.message, re.MULTILINE), tasks.message
            assert "return 204;" in tasks.message
            assert tasks.changed == []

    def test_the_site_before_is_served(self, machine: Machine, before: dict[str, dict[str, str]]) -> None:
        assert_same_site(machine, before[machine.name])


class TestWarning:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook) -> Outcome:
        return play(extra=site(extra="gzip on;\ngzip_types text/html;"), code=2)

    def test_a_warning_is_a_failure(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        assert "[warn]" in message
        assert 'duplicate MIME type "text/html"' in message

    def test_the_site_before_is_served(
        self, machine: Machine, outcome: Outcome, before: dict[str, dict[str, str]]
    ) -> None:
        assert_same_site(machine, before[machine.name])


class TestPortOfAnotherProgram:
    """`nginx -t` does not try the ports, and a reload that cannot have one still exits 0."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, machines: list[Machine], play: Playbook) -> Outcome:
        self_serving = "python3 -m http.server --bind 127.0.0.1 8098"
        for machine in machines:
            machine.run(f"setsid {self_serving} >/dev/null 2>&1 </dev/null & echo $! >/run/holder")
            wait_for("the port is held", partial(machine.succeeds, "ss -Hltn | grep -q 127.0.0.1:8098"))
        try:
            return play(extra={"nginx_proxy_status_port": 8098}, code=2)
        finally:
            for machine in machines:
                machine.run("kill $(cat /run/holder)")

    def test_the_run_says_that_nginx_goes_on_as_before(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        assert "the new generation does not answer" in message
        assert "The configuration before it is live again." in message
        assert "127.0.0.1:8098 failed (98: Address already in use)" in message

    def test_the_site_before_is_served(
        self, machine: Machine, outcome: Outcome, before: dict[str, dict[str, str]]
    ) -> None:
        assert_same_site(machine, before[machine.name])
