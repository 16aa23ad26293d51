"""What was there before: sites that left, generations to go back to, an nginx that was configured by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from machine import Machine
from playbook import Outcome, Playbook
from proxy_sites import only

SMALLEST, SECOND = "https://smallest.example.test/", "http://unencrypted.example.test/"
ONE, TWO = only("smallest"), only("smallest", "unencrypted")
TASK = "Put the configuration live"
#: curl's: the connection ended without an answer.
NO_ANSWER = 52


def generation(machine: Machine) -> str:
    return machine.ask("http://127.0.0.1:8099/generation").body.strip()


def has_second_site(machine: Machine) -> bool:
    """Whether the second site is served, and is part of what is live."""
    answer = machine.ask(SECOND)
    there = machine.succeeds("test -e /etc/nginx/deploy/current/sites/unencrypted")
    assert (answer.code, answer.status) == ((0, 200) if there else (NO_ANSWER, 0))
    assert machine.ask(SMALLEST).status == 200
    return there


@pytest.fixture(scope="module", autouse=True)
def _back(play: Playbook) -> Iterator[None]:
    """Leave the hosts as converge left them."""
    yield
    play(code=0)


class TestRemovedSite:
    """Its files go; those of others stay, and are included where that is asked for."""

    FOREIGN = "/etc/nginx/conf.d/foreign.conf"
    UNREAD = "/etc/nginx/sites-enabled/foreign"
    EXTRA: ClassVar[dict[str, Any]] = {**ONE, "nginx_proxy_includes": ["/etc/nginx/conf.d/*.conf"]}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Iterator[Outcome]:
        play(extra=TWO, code=0)
        for machine in machines:
            machine.write(cls.FOREIGN, 'server { listen 127.0.0.1:8088; return 200 "foreign"; }\n')
            machine.write(cls.UNREAD, "this is no nginx configuration\n")
        cls.before = {machine.name: machine.files(cls.FOREIGN, cls.UNREAD) for machine in machines}
        yield play(extra=cls.EXTRA, code=0)
        for machine in machines:
            machine.run("rm %s %s", cls.FOREIGN, cls.UNREAD)

    before: dict[str, dict[str, str]]

    def test_it_is_gone(self, machine: Machine) -> None:
        assert not has_second_site(machine)
        assert "unencrypted" not in machine.run("nginx -T 2>/dev/null")

    def test_files_of_others_are_there_and_included(self, machine: Machine) -> None:
        assert machine.files(self.FOREIGN, self.UNREAD) == self.before[machine.name]
        assert machine.ask("http://127.0.0.1:8088/").body == "foreign"

    def test_what_is_included_is_tested_on_each_run(self, machines: list[Machine], play: Playbook) -> None:
        for machine in machines:
            machine.run("echo 'no_such_directive on;' >>%s", self.FOREIGN)
        outcome = play(extra=self.EXTRA, code=2)
        for machine in machines:
            message = outcome.hosts[machine.name].message
            assert 'unknown directive "no_such_directive"' in message
            assert f"{self.FOREIGN}:2" in message
            assert machine.ask(SMALLEST).status == 200


class TestGoingBack:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _two_generations(cls, play: Playbook) -> None:
        play(extra=ONE, code=0)
        play(extra=TWO, code=0)

    def test_by_a_command_on_the_host(self, machine: Machine) -> None:
        assert has_second_site(machine)
        live = generation(machine)
        printed = machine.run("asgi-deploy-nginx-rollback")
        assert not has_second_site(machine)
        assert printed.startswith(f"nginx serves the generation {generation(machine)}.")
        listed = machine.run("asgi-deploy-nginx-rollback --list").splitlines()
        assert [line.split()[3] for line in listed if line.endswith(" live")] == [generation(machine)]
        assert live in "".join(listed)
        machine.run("systemctl restart nginx.service")
        assert not has_second_site(machine)

    def test_by_the_command_to_what_is_not_there(self, machine: Machine) -> None:
        before = machine.files("/etc/nginx")
        code, printed = machine.both("asgi-deploy-nginx-rollback 000000000000")
        assert (code, len(printed.splitlines())) == (1, 1)
        assert generation(machine) in printed
        assert machine.files("/etc/nginx") == before

    def test_the_next_run_puts_the_inventory_live_again(self, machines: list[Machine], play: Playbook) -> None:
        outcome = play(extra=TWO, code=0)
        for machine in machines:
            assert outcome.hosts[machine.name].changed == [TASK]
            assert has_second_site(machine)

    def test_by_a_variable(self, machines: list[Machine], play: Playbook) -> None:
        back = {**TWO, "nginx_proxy_generation": "previous"}
        before = {machine.name: machine.files("/etc/nginx") for machine in machines}
        outcome = play("--check", "--diff", extra=back, code=0)
        assert "-    server_name unencrypted.example.test;" in outcome.output
        for machine in machines:
            assert outcome.hosts[machine.name].changed == [TASK]
            assert machine.files("/etc/nginx") == before[machine.name]
        outcome = play(extra=back, code=0)
        for machine in machines:
            assert outcome.hosts[machine.name].changed == [TASK]
            assert not has_second_site(machine)
        ids = {generation(machine) for machine in machines}
        # The configurations of the two releases differ, and so do their ids.
        assert len(ids) == len(machines)

    def test_by_a_variable_to_what_is_not_there(self, machines: list[Machine], play: Playbook) -> None:
        outcome = play(extra={**TWO, "nginx_proxy_generation": "000000000000"}, code=2)
        for machine in machines:
            message = outcome.hosts[machine.name].message.strip()
            assert message.startswith('nginx_proxy_generation: "000000000000" is refused')
            assert generation(machine) in message.partition("accepted: ")[2]
            assert "\n" not in message

    def test_as_many_are_kept_as_are_asked_for(self, machines: list[Machine], play: Playbook) -> None:
        play(extra={**TWO, "nginx_proxy_generations": 2}, code=0)
        for machine in machines:
            kept = machine.run("ls /etc/nginx/deploy/generations").split()
            assert len(kept) == 2
            assert machine.run("basename $(readlink /etc/nginx/deploy/current)").strip() in kept


class TestGoingBackTwice:
    def test_what_was_gone_back_to_is_kept_though_it_is_the_oldest(
        self, machines: list[Machine], play: Playbook
    ) -> None:
        few = {"nginx_proxy_generations": 2}
        play(extra={**ONE, **few}, code=0)
        first = {machine.name: generation(machine) for machine in machines}
        play(extra={**TWO, **few}, code=0)
        for machine in machines:
            machine.run("asgi-deploy-nginx-rollback")
            assert generation(machine) == first[machine.name]
        # What was gone back from is younger, and goes in its place.
        play(extra={**TWO, **few, "nginx_proxy_gzip": False}, code=0)
        for machine in machines:
            assert has_second_site(machine)
            assert len(machine.run("ls /etc/nginx/deploy/generations").split()) == 2
            machine.run("asgi-deploy-nginx-rollback")
            assert generation(machine) == first[machine.name]
            assert not has_second_site(machine)


class TestHandMade:
    """An nginx that somebody has configured by hand is taken over without the loss of a file."""

    MAIN = "user www-data;\nevents {}\nhttp {\n    include /etc/nginx/sites-enabled/*;\n}\n"
    SITE = 'server {\n    listen 80;\n    server_name hand.example.test;\n    return 200 "by hand";\n}\n'
    FILES = ("/etc/nginx/nginx.conf", "/etc/nginx/sites-enabled", "/etc/nginx/sites-available", "/etc/nginx/conf.d")
    DROP_IN = "/etc/systemd/system/nginx.service.d/asgi-deploy.conf"
    BY_HAND = ("http://hand.example.test/", "--resolve", "hand.example.test:80:127.0.0.1")
    before: dict[str, dict[str, str]]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _hand_made(cls, machines: list[Machine]) -> Iterator[None]:
        for machine in machines:
            machine.run("systemctl stop nginx.service && rm -r /etc/nginx/deploy /etc/nginx/tls")
            machine.run("rm %s && systemctl daemon-reload", cls.DROP_IN)
            machine.write("/etc/nginx/nginx.conf", cls.MAIN)
            machine.write("/etc/nginx/sites-enabled/hand", cls.SITE)
            machine.run("systemctl start nginx.service")
            assert machine.ask(*cls.BY_HAND).body == "by hand"
        cls.before = {machine.name: machine.files(*cls.FILES) for machine in machines}
        yield
        for machine in machines:
            # Restarted: the runs after this would say that it is not in its sandbox yet.
            machine.run("rm /etc/nginx/sites-enabled/hand && systemctl restart nginx.service")

    def test_what_does_not_load_does_not_take_it_over(self, machines: list[Machine], play: Playbook) -> None:
        first: dict[str, Any] = {**ONE["nginx_proxy_sites"][0], "extra": "no_such_directive on;"}
        outcome = play(extra={"nginx_proxy_sites": [first]}, code=2)
        for machine in machines:
            assert "no_such_directive" in outcome.hosts[machine.name].message
            assert machine.files(*self.FILES) == self.before[machine.name]
            # The sandbox may be too narrow for it.
            assert not machine.host.file(self.DROP_IN).exists
            machine.run("systemctl restart nginx.service")
            assert machine.ask(*self.BY_HAND).body == "by hand"

    def test_the_first_run_says_what_it_found(self, machines: list[Machine], play: Playbook) -> None:
        outcome = play(extra=TWO, code=0)
        said = " ".join(outcome.output.split())
        for machine in machines:
            assert f"{machine.name}: nginx has a configuration that this collection did not make." in said
        assert "/etc/nginx/nginx.conf is kept as /etc/nginx/deploy/nginx.conf.before" in said
        assert "/etc/nginx/sites-enabled/hand (hand.example.test)" in said
        assert 'nginx_proxy_includes: ["/etc/nginx/sites-enabled/hand"]' in said

    def test_its_files_are_there(self, machine: Machine) -> None:
        files = machine.files(*self.FILES)
        main = "/etc/nginx/nginx.conf"
        assert {**files, main: ""} == {**self.before[machine.name], main: ""}
        assert machine.run("cat /etc/nginx/deploy/nginx.conf.before") == self.MAIN.rstrip("\n")

    def test_the_inventory_is_served_instead(self, machine: Machine) -> None:
        assert has_second_site(machine)
        assert machine.host.file(self.DROP_IN).exists
        assert machine.ask(*self.BY_HAND).code == NO_ANSWER

    def test_the_second_run_says_nothing_more(self, play: Playbook) -> None:
        outcome = play(extra=TWO)
        outcome.assert_unchanged()
        assert "did not make" not in outcome.output
