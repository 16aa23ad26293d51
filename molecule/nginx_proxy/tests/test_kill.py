"""The module is killed in the midst of its transaction, at ten moments: the host is on the old or the new generation.

Needs of the scenario: the fixtures `machines` and `play` (molecule/shared/verify/fixtures.py), a playbook that applies
the role nginx_proxy, and no other run against the hosts at the same time. It brings a site of its own, alone, and
leaves the hosts as converge left them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from machine import Machine
from playbook import Outcome, Playbook

#: Seconds after the lock was taken. A whole transaction takes about half a second where nothing else runs.
MOMENTS = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.45, 0.6)


def numbered(number: int) -> dict[str, Any]:
    """Variables for a configuration that tells its number."""
    site = {
        "name": "killed",
        "domains": ["killed.example.test"],
        "upstream": {"servers": ["127.0.0.1:9000"]},
        "tls": {"source": "none"},
        "extra": f'location = /number {{ return 200 "{number}"; }}',
    }
    return {"nginx_proxy_sites": [site]}


def told(machine: Machine) -> str:
    """The number that nginx serves."""
    command = "curl --silent --fail --max-time 5 --resolve killed.example.test:80:127.0.0.1 %s"
    return machine.run(command, "http://killed.example.test/number").strip()


def whole(machine: Machine) -> str:
    """What is served, of a host whose nginx also starts anew with what is on disk."""
    served = told(machine)
    code, printed = machine.both("nginx -t -q")
    assert (code, printed) == (0, ""), printed
    machine.run("systemctl reset-failed nginx.service; systemctl restart nginx.service")
    return served


class TestKilled:
    @pytest.fixture(scope="class")
    @classmethod
    def history(cls, machines: list[Machine], play: Playbook) -> dict[str, list[tuple[bool, str, str, str]]]:
        """Of each host and moment: whether it was killed, what was served then, after a restart, after the next run."""
        found: dict[str, list[tuple[bool, str, str, str]]] = {machine.name: [] for machine in machines}
        play(extra=numbered(0), code=0)
        try:
            for number, moment in enumerate(MOMENTS, start=1):
                with ThreadPoolExecutor() as pool:
                    killers = [pool.submit(m.python, "kill_transaction.py", str(moment)) for m in machines]
                    cls.run(play, number)
                    killed = [killer.result() for killer in killers]
                then = [whole(machine) for machine in machines]
                started = [told(machine) for machine in machines]
                play(extra=numbered(number), code=0)
                healed = [told(machine) for machine in machines]
                for machine, *row in zip(machines, killed, then, started, healed, strict=True):
                    found[machine.name].append((row[0], row[1], row[2], row[3]))
        finally:
            play(code=0)
        return found

    @staticmethod
    def run(play: Playbook, number: int) -> Outcome:
        """Killed, the play fails; too late, it does not."""
        return play(extra=numbered(number))

    def test_it_was_killed(self, machine: Machine, history: dict[str, list[tuple[bool, str, str, str]]]) -> None:
        """Or nothing of the rest says anything."""
        killed = [row[0] for row in history[machine.name]]
        assert killed.count(True) >= len(MOMENTS) // 2, killed

    def test_the_old_or_the_new_one_is_served(
        self, machine: Machine, history: dict[str, list[tuple[bool, str, str, str]]]
    ) -> None:
        for number, (_killed, then, started, _healed) in enumerate(history[machine.name], start=1):
            assert then in (str(number - 1), str(number)), history[machine.name]
            assert started in (str(number - 1), str(number)), history[machine.name]

    def test_the_next_run_heals(self, machine: Machine, history: dict[str, list[tuple[bool, str, str, str]]]) -> None:
        assert [row[3] for row in history[machine.name]] == [str(number) for number in range(1, len(MOMENTS) + 1)]

    def test_nothing_is_left_behind(self, machine: Machine, history: object) -> None:
        left = set(machine.run("ls -A /etc/nginx/deploy").split())
        assert left == {"current", "generations", "history", "nginx.conf.before"}
        assert int(machine.run("ls /etc/nginx/deploy/generations | wc -l")) <= 5
        assert machine.failed_units() == []
