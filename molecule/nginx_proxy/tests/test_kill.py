"""The module is killed in the midst of its transaction, after each of its steps: the host is on the old or the new
generation.

Needs of the scenario: the fixtures `machines` and `play` (molecule/shared/verify/fixtures.py), a playbook that applies
the role nginx_proxy, and no other run against the hosts at the same time. It brings a site of its own, alone, and
leaves the hosts as converge left them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from machine import Machine
from playbook import Playbook

#: What a run has just done when it is killed; see molecule/shared/verify/inside/kill_transaction.py.
STEPS = ("locked", "staged", "kept", "switched", "confirmed")


class Row(NamedTuple):
    """What became of one run: whether it was killed, whether it failed, and what was served."""

    killed: bool
    failed: bool
    then: str
    restarted: str
    healed: str


History = dict[str, list[Row]]


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


def looked_at(machine: Machine) -> tuple[str, str]:
    """What is served, and what a restarted nginx serves: it starts with what is on disk."""
    served = told(machine)
    code, printed = machine.both("nginx -t -q")
    assert (code, printed) == (0, ""), printed
    machine.run("systemctl reset-failed nginx.service; systemctl restart nginx.service")
    return served, told(machine)


class TestKilled:
    @pytest.fixture(scope="class")
    @classmethod
    def history(cls, machines: list[Machine], play: Playbook) -> Iterator[History]:
        """Of each host, a row for each step. All hosts are killed in the same run."""
        found: History = {machine.name: [] for machine in machines}
        try:
            play(extra=numbered(0), code=0)
            for number, step in enumerate(STEPS, start=1):
                with ThreadPoolExecutor() as pool:
                    killers = [pool.submit(machine.python, "kill_transaction.py", step) for machine in machines]
                    # Killed, the play fails; too late, it does not.
                    outcome = play(extra=numbered(number))
                    killed = [killer.result() for killer in killers]
                with ThreadPoolExecutor() as pool:
                    served = list(pool.map(looked_at, machines))
                play(extra=numbered(number), code=0)
                for machine, kill, (then, restarted) in zip(machines, killed, served, strict=True):
                    failed = bool(outcome.hosts[machine.name].failed)
                    found[machine.name].append(Row(kill, failed, then, restarted, told(machine)))
            yield found
        finally:
            play(code=0)

    def test_it_was_killed(self, machine: Machine, history: History) -> None:
        """Or nothing of the rest says anything. After the last step little is left to do: it may come too late."""
        rows = history[machine.name]
        assert [row.failed for row in rows] == [row.killed for row in rows]
        assert all(row.killed for row in rows[:-1]), rows

    def test_each_side_of_the_switch_was_met(self, machine: Machine, history: History) -> None:
        """What an nginx serves that starts anew: before the switch what was there, after it the new one."""
        new = [row.restarted == str(number) for number, row in enumerate(history[machine.name], start=1)]
        assert (new[0], new[1]) == (False, False), history[machine.name]
        assert (new[3], new[4]) == (True, True), history[machine.name]

    def test_the_old_or_the_new_one_is_served(self, machine: Machine, history: History) -> None:
        for number, row in enumerate(history[machine.name], start=1):
            assert row.then in (str(number - 1), str(number)), history[machine.name]
            assert row.restarted in (str(number - 1), str(number)), history[machine.name]

    def test_the_next_run_heals(self, machine: Machine, history: History) -> None:
        assert [row.healed for row in history[machine.name]] == [str(number) for number in range(1, len(STEPS) + 1)]

    def test_nothing_is_left_behind(self, machine: Machine, history: History) -> None:
        left = set(machine.run("ls -A /etc/nginx/deploy").split())
        assert left == {"current", "generations", "history", "nginx.conf.before"}
        assert int(machine.run("ls /etc/nginx/deploy/generations | wc -l")) <= 5
        assert machine.failed_units() == []
