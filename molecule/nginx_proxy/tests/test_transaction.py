"""The configuration goes live whole or not at all, and what is live is what the run says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from machine import Machine, wait_for
from playbook import Outcome, Playbook
from proxy_sites import only

FOLDERS = ("/etc/nginx", "/etc/systemd", "/usr/local")
SITE = "https://smallest.example.test/"
TASK = "Put the configuration live"
#: Two sites are enough for each run here.
BASE = only("smallest", "unencrypted")


def changed(**keys: Any) -> dict[str, Any]:
    """The two sites, the first with other keys."""
    first, *others = BASE["nginx_proxy_sites"]
    return {"nginx_proxy_sites": [{**first, **keys}, *others]}


def workers(machine: Machine) -> set[str]:
    """Those that accept connections; the ones of the configuration before may still be finishing theirs."""
    listed = machine.run("ps --ppid $(cat /run/nginx.pid) -o pid=,args=").splitlines()
    return {line.split()[0] for line in listed if "worker process" in line and "shutting down" not in line}


def served_generation(machine: Machine) -> str:
    return machine.ask("http://127.0.0.1:8099/generation").body.strip()


def serves(machine: Machine, generation: str) -> bool:
    return generation.endswith(served_generation(machine))


def live_generation(machine: Machine) -> str:
    """The folder that `current` points at."""
    return machine.run("basename $(readlink /etc/nginx/deploy/current)").strip()


@pytest.fixture(scope="module", autouse=True)
def _base(play: Playbook) -> Iterator[None]:
    play(extra=BASE, code=0)
    yield
    play(code=0)


@pytest.fixture(scope="class")
def before(machines: list[Machine]) -> dict[str, dict[str, str]]:
    return {machine.name: machine.files(*FOLDERS) for machine in machines}


def assert_same(machine: Machine, before: dict[str, dict[str, str]]) -> None:
    """The files are the very ones of before, and nginx serves them, also when it is started anew."""
    assert machine.files(*FOLDERS) == before[machine.name]
    assert machine.ask(SITE).status == 200
    machine.run("systemctl reset-failed nginx.service && systemctl restart nginx.service")
    assert machine.ask(SITE).status == 200
    assert live_generation(machine).endswith(served_generation(machine))
    assert machine.failed_units() == []


class TestNothingToChange:
    def test_nothing_changes_and_nothing_is_reloaded(self, machines: list[Machine], play: Playbook) -> None:
        before = [(machine.files(*FOLDERS), workers(machine)) for machine in machines]
        assert all(found for _files, found in before)
        play(extra=BASE).assert_unchanged()
        assert [(machine.files(*FOLDERS), workers(machine)) for machine in machines] == before


class TestUnknownDirective:
    EXTRA = changed(extra="location = /x {\n    return 204;\n}\nno_such_directive on;")

    @pytest.fixture(scope="class")
    @classmethod
    def outcomes(cls, before: object, play: Playbook) -> list[Outcome]:
        """Twice: the roles that are known for it fail the first time only."""
        return [play(extra=cls.EXTRA, code=2) for _index in range(2)]

    def test_each_run_says_what_and_where(self, machine: Machine, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            tasks = outcome.hosts[machine.name]
            assert 'unknown directive "no_such_directive"' in tasks.message
            assert "It belongs to the site smallest." in tasks.message
            assert re.search(r"^> +\d+ +no_such_directive on;$", tasks.message, re.MULTILINE), tasks.message
            assert "return 204;" in tasks.message
            assert tasks.changed == []

    def test_the_site_before_is_served(self, machine: Machine, before: dict[str, dict[str, str]]) -> None:
        assert_same(machine, before)

    def test_check_mode_says_the_same(
        self, machines: list[Machine], play: Playbook, before: dict[str, dict[str, str]]
    ) -> None:
        outcome = play("--check", "--diff", extra=self.EXTRA, code=2)
        for machine in machines:
            assert 'unknown directive "no_such_directive"' in outcome.hosts[machine.name].message
            assert machine.files(*FOLDERS) == before[machine.name]


class TestWarning:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook) -> Outcome:
        return play(extra=changed(extra="gzip on;\ngzip_types text/html;"), code=2)

    def test_a_warning_is_a_failure(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        assert "[warn]" in message
        assert 'duplicate MIME type "text/html"' in message

    def test_the_site_before_is_served(
        self, machine: Machine, outcome: Outcome, before: dict[str, dict[str, str]]
    ) -> None:
        assert_same(machine, before)


class TestOutsideTheSandbox:
    """A test as root sees no read-only folder: the run would be green, and the next start would fail."""

    EXTRA = changed(extra="access_log /data/x.log;")
    DROP_IN = "/etc/systemd/system/nginx.service.d/local.conf"

    @pytest.fixture(scope="class")
    @classmethod
    def outcomes(cls, before: object, machines: list[Machine], play: Playbook) -> Iterator[list[Outcome]]:
        for machine in machines:
            machine.run("mkdir -p /data")
        try:
            yield [play(extra=cls.EXTRA, code=2), play("--check", extra=cls.EXTRA, code=2)]
        finally:
            for machine in machines:
                machine.run("rm -rf /data")

    def test_the_run_says_what_forbids_it(self, machine: Machine, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            message = outcome.hosts[machine.name].message
            assert "[emerg]" in message
            assert 'open() "/data/x.log" failed (30: Read-only file system)' in message
            assert "[Service] and ReadWritePaths=/data" in message

    def test_the_site_before_is_served(
        self, machine: Machine, outcomes: list[Outcome], before: dict[str, dict[str, str]]
    ) -> None:
        assert machine.run("ls /data") == ""
        assert_same(machine, before)

    def test_a_drop_in_opens_the_folder(self, machines: list[Machine], outcomes: object, play: Playbook) -> None:
        """As the message says; from nginx's next start on it is so, and the one that runs has no sandbox for logs."""
        try:
            for machine in machines:
                machine.run("printf '[Service]\\nReadWritePaths=/data\\n' >%s", self.DROP_IN)
            play("--check", extra=self.EXTRA, code=0)
            for machine in machines:
                machine.run("systemctl daemon-reload && systemctl restart nginx.service")
            play(extra=self.EXTRA, code=0)
            for machine in machines:
                machine.run("systemctl restart nginx.service")
                assert machine.ask(SITE).status == 200
                machine.run("test -s /data/x.log")
        finally:
            play(extra=BASE, code=0)
            for machine in machines:
                machine.run("rm -f %s", self.DROP_IN)
                machine.run("systemctl daemon-reload && systemctl restart nginx.service")


class TestPortOfAnotherProgram:
    """`nginx -t` does not try the ports, and a reload that cannot have one still exits 0."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, machines: list[Machine], play: Playbook) -> Outcome:
        holder = "python3 -m http.server --bind 127.0.0.1 8098"
        for machine in machines:
            machine.run(f"setsid {holder} >/dev/null 2>&1 </dev/null & echo $! >/run/holder")
            wait_for("the port is held", partial(machine.succeeds, "ss -Hltn | grep -q 127.0.0.1:8098"))
        try:
            return play(extra={**BASE, "nginx_proxy_status_port": 8098}, code=2)
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
        assert_same(machine, before)


class TestCheckMode:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook) -> Outcome:
        first = changed(body_size="77m")["nginx_proxy_sites"][0]
        return play("--check", "--diff", extra={"nginx_proxy_sites": [first]}, code=0)

    def test_each_file_is_shown(self, machine: Machine, outcome: Outcome) -> None:
        sites = "/etc/nginx/deploy/current/sites"
        assert outcome.hosts[machine.name].changed == [TASK]
        assert "-    client_max_body_size 10m;" in outcome.output
        assert "+    client_max_body_size 77m;" in outcome.output
        assert f"--- before: {sites}/smallest/site.conf" in outcome.output
        assert f"--- before: {sites}/unencrypted/site.conf" in outcome.output
        assert "-    server_name unencrypted.example.test;" in outcome.output
        # What stays as it is is not shown.
        assert f"{sites}/smallest/upstream" not in outcome.output
        assert "http/tls.conf" not in outcome.output

    def test_nothing_has_changed(self, machine: Machine, outcome: Outcome, before: dict[str, dict[str, str]]) -> None:
        assert machine.files(*FOLDERS) == before[machine.name]


class TestDrift:
    """What a hand has changed or stopped is put right, and what it broke does not pass for live."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Outcome:
        for machine in machines:
            machine.run("echo 'listen 81;' >>/etc/nginx/deploy/current/sites/smallest/locations.conf")
            machine.run("echo 'broken' >/etc/nginx/nginx.conf")
            machine.run("chown root /var/log/nginx/*.log && chmod 600 /var/log/nginx/*.log")
            machine.run("systemctl stop nginx.service && systemctl disable nginx.service")
            assert machine.code("nginx -t") == 1
        return play(extra=BASE, code=0)

    def test_the_site_is_served(self, machine: Machine, outcome: Outcome) -> None:
        assert TASK in outcome.hosts[machine.name].changed
        assert machine.ask(SITE).status == 200
        assert "listen 81" not in machine.run("nginx -T 2>/dev/null")
        assert machine.run("stat --format=%U /var/log/nginx/access.log").strip() == "www-data"
        assert machine.host.service("nginx").is_enabled

    def test_the_next_run_changes_nothing(self, play: Playbook, outcome: Outcome) -> None:
        play(extra=BASE).assert_unchanged()


class TestMissedReload:
    """A run that was killed between the switch and the reload leaves files that nginx has not read."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Outcome:
        play(extra=changed(body_size="76m"), code=0)
        for machine in machines:
            new = live_generation(machine)
            old = machine.run("ls /etc/nginx/deploy/generations | grep -v %s | tail -n 1", new).strip()
            machine.run(f"ln -sfn generations/{old} /etc/nginx/deploy/current && systemctl reload nginx.service")
            wait_for("the old generation is served", partial(serves, machine, old))
            machine.run(f"ln -sfn generations/{new} /etc/nginx/deploy/current")
        return play(extra=changed(body_size="76m"), code=0)

    def test_the_next_run_does_it(self, machine: Machine, outcome: Outcome) -> None:
        assert outcome.hosts[machine.name].changed == [TASK]
        assert live_generation(machine).endswith(served_generation(machine))
        machine.run("head -c 20000000 /dev/zero >/tmp/body")
        assert machine.ask(SITE, "--data-binary", "@/tmp/body").status == 200


class TestSiteThatIsGone:
    """Its cache goes with the last generation that has it: nobody may ask for those answers any more."""

    @pytest.fixture(scope="class")
    @classmethod
    def kept(cls, machines: list[Machine], play: Playbook) -> Iterator[dict[str, list[int]]]:
        found: dict[str, list[int]] = {machine.name: [] for machine in machines}

        def count() -> None:
            for machine in machines:
                listed = machine.run("find /var/cache/nginx/cache -type f 2>/dev/null || true")
                found[machine.name].append(len(listed.split()))

        play(extra=only("smallest", "cache"), code=0)
        for machine in machines:
            machine.run("echo other >/var/cache/nginx/other")
            assert machine.ask("https://cache.example.test/minute/gone").header("x-cache") == "MISS"
        count()
        for variables in (changed(body_size="77m"), BASE):
            play(extra={**variables, "nginx_proxy_generations": 2}, code=0)
            count()
        yield found
        for machine in machines:
            machine.run("rm /var/cache/nginx/other")

    def test_its_cache_stays_for_the_way_back(self, machine: Machine, kept: dict[str, list[int]]) -> None:
        assert kept[machine.name][:2] == [1, 1]

    def test_then_it_is_gone_and_nothing_else(self, machine: Machine, kept: dict[str, list[int]]) -> None:
        assert kept[machine.name][2] == 0
        assert machine.run("ls -A /var/cache/nginx").split() == ["other"]
