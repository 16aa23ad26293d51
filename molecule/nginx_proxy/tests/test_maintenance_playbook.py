"""asgi.deploy.maintenance: the page of sites on and off, on all proxies or on none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from machine import Machine
from playbook import Outcome, Playbook
from proxy_sites import sites, without

FOLDER = "/etc/nginx/maintenance"
PAGES, ERRORS, CLEAR = "https://pages.example.test/", "https://errors.example.test/", "http://clear.example.test/"
TASK = "Switch and confirm"

Switch = partial[Outcome]


@pytest.fixture(scope="module")
def switch(machines: list[Machine], play: Playbook) -> Iterator[Switch]:
    """Run the playbook. At the end no site is away."""
    yield partial(play, playbook="asgi.deploy.maintenance")
    for machine in machines:
        machine.run(f"rm -f {FOLDER}/*")


def given(state: str, **more: Any) -> dict[str, Any]:
    return {"state": state, **more}


def switched(machine: Machine) -> list[str]:
    """The sites whose file is there."""
    return machine.run(f"ls {FOLDER}").split()


class TestOneSite:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def outcome(cls, switch: Switch) -> Outcome:
        return switch("--diff", extra=given("on", site="pages"), code=0)

    def test_its_page_is_shown_and_no_other(self, machine: Machine, outcome: Outcome) -> None:
        assert outcome.hosts[machine.name].changed == [TASK]
        assert f"+++ after: {FOLDER}/pages" in outcome.output
        # At once: the run has waited until each worker of nginx looked anew.
        answers = [machine.ask(PAGES) for _number in range(8)]
        assert {answer.status for answer in answers} == {503}
        assert answers[0].header("retry-after") == "300"
        assert machine.ask(ERRORS).status == 200
        assert machine.run(f"stat --format='%a %U' {FOLDER}/pages") == "644 root"

    def test_again_changes_nothing(self, machines: list[Machine], switch: Switch) -> None:
        before = [machine.files(FOLDER) for machine in machines]
        switch(extra=given("on", site="pages")).assert_unchanged()
        assert [machine.files(FOLDER) for machine in machines] == before

    def test_a_run_of_the_role_and_a_new_nginx_leave_it(self, machines: list[Machine], play: Playbook) -> None:
        play().assert_unchanged()
        for machine in machines:
            machine.run("systemctl restart nginx.service")
            assert machine.ask(PAGES).status == 503

    def test_check_mode_says_what_would_be(self, machines: list[Machine], switch: Switch) -> None:
        outcome = switch("--check", "--diff", extra=given("on", site="pages,clear"), code=0)
        assert f"+++ after: {FOLDER}/clear" in outcome.output
        # What is as it should be is not shown.
        assert f"{FOLDER}/pages" not in outcome.output
        for machine in machines:
            assert outcome.hosts[machine.name].changed == [TASK]
            assert switched(machine) == ["pages"]
            assert machine.ask(CLEAR).status == 200

    def test_off(self, machines: list[Machine], switch: Switch) -> None:
        outcome = switch(extra=given("off", site="pages"), code=0)
        for machine in machines:
            assert outcome.hosts[machine.name].changed == [TASK]
            assert [machine.ask(PAGES).status for _number in range(8)] == [200] * 8
            assert switched(machine) == []


class TestAllSites:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def outcome(cls, switch: Switch) -> Outcome:
        return switch(extra=given("on"), code=0)

    def test_on(self, machine: Machine) -> None:
        assert switched(machine) == sorted(site["name"] for site in sites())
        assert {machine.ask(url).status for url in (PAGES, ERRORS, CLEAR)} == {503}

    def test_one_that_nobody_can_be_asked_for_is_named(self, machine: Machine, outcome: Outcome) -> None:
        said = " ".join(outcome.output.split())
        assert (
            "members: switched, and not confirmed by a request: it answers nobody without a client certificate" in said
        )

    def test_off_is_refused_where_the_inventory_says_on(self, machines: list[Machine], switch: Switch) -> None:
        outcome = switch(extra=given("off"), code=2)
        for machine in machines:
            message = outcome.hosts[machine.name].message
            refused = r"nginx_proxy_sites\[\d+\]\.maintenance\.enabled: true is refused; accepted: false and a run of "
            assert re.match(refused, message), message
            assert "\n" not in message
            assert len(switched(machine)) == len(sites())

    def test_off_is_refused_where_only_nginx_says_on(self, machines: list[Machine], switch: Switch) -> None:
        """The inventory was changed, and is not live yet: without the file the site would be away still."""
        changed = [{**site, "maintenance": {}} if site["name"] == "away" else site for site in sites()]
        outcome = switch(extra=given("off", site="away", nginx_proxy_sites=changed), code=2)
        for machine in machines:
            assert "that nginx serves has maintenance.enabled: true for away" in outcome.hosts[machine.name].message

    def test_off(self, machines: list[Machine], switch: Switch) -> None:
        switch(extra={**given("off"), **without("away")}, code=0)
        for machine in machines:
            assert switched(machine) == ["away"]
            assert {machine.ask(url).status for url in (PAGES, ERRORS, CLEAR)} == {200}
            machine.run(f"rm {FOLDER}/away")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({}, "state: null is refused; accepted: on or off, as in -e state=on"),
        (given("on", site="page,nobody"), 'site: "nobody" is refused; accepted: a site of this host: bootstrap, '),
        # In the inventory, and nginx does not serve it yet.
        (
            given("on", site="new", nginx_proxy_sites=[{"name": "new", "domains": ["new.example.test"]}]),
            'site: "new" is refused; accepted: one that nginx serves on this host already.',
        ),
    ],
)  # fmt: skip
def test_refused(machines: list[Machine], switch: Switch, extra: dict[str, Any], message: str) -> None:
    outcome = switch(extra=extra, code=2)
    for machine in machines:
        said = outcome.hosts[machine.name].message
        assert said.startswith(message)
        assert "\n" not in said
        assert switched(machine) == []


@contextmanager
def mounted(machine: Machine, options: str) -> Iterator[None]:
    """Put a file system over the folder of the switches."""
    machine.run(f"mount -t tmpfs -o {options} tmpfs {FOLDER}")
    try:
        yield
    finally:
        machine.run(f"umount {FOLDER}")


class TestOneProxyCannot:
    """All or none: the other proxies are as they were."""

    def test_seen_before_any_change(self, machines: list[Machine], switch: Switch) -> None:
        first, second = machines
        with mounted(second, "ro"):
            outcome = switch(extra=given("on", site="pages"), code=2)
        assert outcome.hosts[second.name].message == f"{FOLDER} cannot be written to: its file system is read-only"
        assert TASK not in outcome.hosts[first.name].changed
        assert first.ask(PAGES).status == 200

    def test_found_while_it_is_switched(self, machines: list[Machine], switch: Switch) -> None:
        first, second = machines
        # The one inode is the folder's own.
        with mounted(second, "nr_inodes=1,mode=0755"):
            outcome = switch(extra=given("on", site=["pages", "clear"]), code=2)
            assert switched(second) == []
        assert outcome.hosts[first.name].changed == [TASK, "Switch back"]
        assert "No space left on device" in outcome.hosts[second.name].failed[0]
        assert "All proxies are as they were." in outcome.output
        for machine in machines:
            assert switched(machine) == []
            assert {machine.ask(url).status for url in (PAGES, CLEAR)} == {200}

    def test_not_reached(self, machines: list[Machine], switch: Switch, tmp_path: Path) -> None:
        first, second = machines
        inventory = tmp_path / "inventory.yml"
        # Nobody listens on that port.
        gone = "{ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}"
        inventory.write_text(f"all: {{hosts: {{{second.name}: {gone}}}}}\n", encoding="utf-8")
        outcome = switch(f"--inventory={inventory}", extra=given("on", site="pages"))
        assert outcome.code != 0
        assert "Connection refused" in outcome.hosts[second.name].message
        assert outcome.hosts[first.name].changed == []
        assert switched(first) == []
