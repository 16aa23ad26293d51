"""The module is killed in the midst of its transaction, at five moments: the host is on the old or the new generation.

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
from playbook import Outcome, Playbook

#: Shares of the time that a whole transaction takes on the host, which is measured first. Closest where the switch is.
MOMENTS = (0.0, 0.15, 0.3, 0.45, 0.75)


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


def beside(machines: list[Machine], options: list[list[str]], play: Playbook, number: int) -> tuple[list[Any], Outcome]:
    """Run the playbook, on each host with kill_transaction.py beside it; return what that printed, and the outcome."""
    with ThreadPoolExecutor() as pool:
        waiting = [
            pool.submit(machine.python, "kill_transaction.py", *given)
            for machine, given in zip(machines, options, strict=True)
        ]
        outcome = play(extra=numbered(number))
        return [each.result() for each in waiting], outcome


class TestKilled:
    @pytest.fixture(scope="class")
    @classmethod
    def history(cls, machines: list[Machine], play: Playbook) -> Iterator[History]:
        """Of each host, a row for each moment. All hosts are killed in the same run."""
        found: History = {machine.name: [] for machine in machines}
        try:
            seconds, outcome = beside(machines, [[] for _machine in machines], play, 0)
            assert outcome.code == 0, outcome.output
            for number, share in enumerate(MOMENTS, start=1):
                moments = [[str(share * each)] for each in seconds]
                killed, outcome = beside(machines, moments, play, number)
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
        """Or nothing of the rest says anything. A kill that came too late leaves a run that has ended well."""
        rows = history[machine.name]
        assert [row.failed for row in rows] == [row.killed for row in rows]
        assert rows[0].killed
        assert sum(row.killed for row in rows) > len(MOMENTS) // 2, rows

    def test_both_sides_of_the_switch_were_met(self, history: History) -> None:
        """Of the runs that were killed, some had put their configuration live and some had not."""
        numbered_rows = [each for rows in history.values() for each in enumerate(rows, start=1)]
        new = {row.restarted == str(number) for number, row in numbered_rows if row.killed}
        assert new == {True, False}, history

    def test_the_old_or_the_new_one_is_served(self, machine: Machine, history: History) -> None:
        for number, row in enumerate(history[machine.name], start=1):
            assert row.then in (str(number - 1), str(number)), history[machine.name]
            assert row.restarted in (str(number - 1), str(number)), history[machine.name]

    def test_the_next_run_heals(self, machine: Machine, history: History) -> None:
        assert [row.healed for row in history[machine.name]] == [str(number) for number in range(1, len(MOMENTS) + 1)]

    def test_nothing_is_left_behind(self, machine: Machine, history: History) -> None:
        left = set(machine.run("ls -A /etc/nginx/deploy").split())
        assert left == {"current", "generations", "history", "nginx.conf.before"}
        assert int(machine.run("ls /etc/nginx/deploy/generations | wc -l")) <= 5
        assert machine.failed_units() == []
