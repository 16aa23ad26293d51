# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the load's requests, of the module's steps, and of the workers' memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from tests.bench import releases, workers
from tests.bench.inside import load
from tests.bench.inside import workers as inside
from tests.bench.releases import Asked
from tests.bench.report import BenchError

TOLD = """\
TASK [asgi.deploy.gunicorn_app : Prepare the release] ****
    notes, release 20261120T010203Z-0123456789ab: build 7.2 s, hooks before 12.0 s
changed: [bench] => (item=notes)

TASK [asgi.deploy.gunicorn_app : Put the release live] ****
    notes, release 20261120T010203Z-0123456789ab: static files 0.2 s, start and health 1.9 s
    other, release 20261120T010203Z-0123456789ab: static files 9.9 s
changed: [bench] => (item=notes)
"""


def test_the_steps_of_both_phases_are_read() -> None:
    assert releases.steps_of(TOLD) == {
        "build": 7.2,
        "hooks before": 12.0,
        "static files": 0.2,
        "start and health": 1.9,
    }
    assert releases.steps_of("ok: [bench]\n") == {}


def test_a_phase_has_the_requests_that_were_due_in_it() -> None:
    asked = [Asked(due, 5.0, "GET kept", None) for due in (1.0, 2.0, 3.0)]
    assert [each.due for each in releases.between(asked, 1.5, 3.0)] == [2.0]


def test_percentiles_are_values_that_were_measured() -> None:
    assert releases.percentile([float(n) for n in range(1, 101)], 0.99) == 99.0
    assert releases.percentile([7.0], 0.5) == 7.0
    with pytest.raises(BenchError, match="without a single request"):
        releases.percentile([], 0.99)


def found(number: int, at_rest: float, switching: float, failed: list[str]) -> dict[str, t.Any]:
    def phase(p99: float) -> dict[str, float]:
        return {"requests": 100, "p50": p99 / 2, "p99": p99, "slowest": p99 * 2}

    return {
        "round": number,
        "phases": {
            "at rest": phase(at_rest),
            "fetch and build": phase(at_rest),
            "switch": phase(switching),
            "switch of a rollback": phase(at_rest),
        },
        "requests": 1000,
        "failed": failed,
        "live": 12.0 + number,
        "drain": 1.0,
        "back": 4.0,
        "run": {"seconds": 15.0},
        "rollback": {"seconds": 6.0},
        "steps": {"build": 7.0} if number else {},
        "rollback steps": {},
    }


def test_the_targets_of_releases() -> None:
    """Ratios are those of one round; a lost request counts, however many rounds lost none."""
    rounds = [found(0, 5.0, 10.0, []), found(1, 50.0, 100.0, []), found(2, 4.0, 20.0, ["GET new: 502 at 3.00 s"])]
    told = [str(target) for target in releases.targets(rounds)]
    assert told == [
        "met: p99 during a switch / at rest: 2.00 (2.00 to 5.00), at most 3",
        "met: p99 during the switch of a rollback / at rest: 1.00 (1.00 to 1.00), at most 3",
        "MISSED: failed requests of 3000 in all rounds: 1.00 (1.00 to 1.00), at most 0",
        "met: seconds until a change of code is live: 13.00 (12.00 to 14.00), at most 25",
        "met: seconds until a rollback is live: 4.00 (4.00 to 4.00), at most 5",
    ]


def test_what_is_told_of_releases() -> None:
    rounds = [found(1, 5.0, 10.0, []), found(2, 4.0, 20.0, ["GET new: 502 at 3.00 s"])]
    assert releases.notes(rounds) == [
        "a release: live 13.5 s after the command was given, whole run 15.0 s; steps on the host: build 7.0 s",
        "a rollback: live 4.0 s after the command was given, whole run 6.0 s; steps on the host: none over 0.1 s",
        "the slot before had drained 1.0 s after the switch",
        "round 2: GET new: 502 at 3.00 s",
    ]
    assert releases.table(rounds).rows[2] == ["switch", "100", "7.5", "15.0", "30.0"]


def swept(io: t.Mapping[int, float], cpu: t.Mapping[int, float], pss: float = 60.0) -> list[dict[str, t.Any]]:
    """A sweep of two rounds; in the second the machine was half as fast."""
    rates = {"io": io, "cpu": cpu}
    return [
        {"round": number, "workers": count, "workload": workload, "rate": rates[workload][count] * pace, "p99_ms": 9.0}
        for number, pace in enumerate((1.0, 0.5))
        for count in workers.SWEEP
        for workload in rates
    ] + [{"workers": count, "workload": "memory", "pss_mb": pss * count + 20} for count in workers.SWEEP]


def test_the_targets_of_workers() -> None:
    io = dict.fromkeys(workers.SWEEP, 900.0) | {3: 1000.0}
    cpu = dict.fromkeys(workers.SWEEP, 100.0) | {1: 200.0}
    told = [str(target) for target in workers.targets(swept(io, cpu), {"io": 2, "cpu": 2}, 256.0, 3)]
    assert told == [
        "met: io, requests/s with the role's number / with the best from 1 to 8: 0.90 (0.90 to 0.90), at least 0.85",
        "MISSED: cpu, requests/s with the role's number / with the best from 1 to 8: 0.50 (0.50 to 0.50), "
        "at least 0.85",
        "met: memory (PSS) of a slot with 3 workers / the 512 MB that it may have: 0.50 (0.50 to 0.50), at most 1",
        "met: memory (PSS) / what the role reckons for the number: 0.47 (0.47 to 0.47), at most 1",
    ]
    assert workers.best(swept(io, cpu), "io") == 3


def test_one_number_that_takes_too_much_is_told() -> None:
    flat = dict.fromkeys(workers.SWEEP, 1.0)
    told = workers.targets(swept(flat, flat, pss=160.0), {"io": 2, "cpu": 2}, 600.0, 3)
    assert [target.met for target in told] == [True, True, False, False]


def test_the_roles_number_is_marked() -> None:
    flat = dict.fromkeys(workers.SWEEP, 1000.0)
    rows = workers.table(swept(flat, flat), {"io": 2, "cpu": 3}).rows
    assert [row[0] for row in rows[:3]] == ["1 worker", "2 workers (the role's, io)", "3 workers (the role's, cpu)"]
    assert rows[1][1:] == ["750", "9", "750", "9", "140", "320"]


ROLLUP = """\
55d0c4a00000-7ffd3a3f9000 ---p 00000000 00:00 0                          [rollup]
Rss:               41232 kB
Pss:               23811 kB
Pss_Dirty:         20100 kB
Shared_Clean:      10000 kB
"""


def test_the_memory_of_a_process() -> None:
    assert inside.pss_kb(ROLLUP) == 23811
    with pytest.raises(ValueError, match="no Pss"):
        inside.pss_kb("Rss: 1 kB\n")


#: A master as Gunicorn's: a worker more on TTIN, the oldest one less on TTOU.
MASTER = """
import signal, subprocess, sys, time
workers = []
def more(*_): workers.append(subprocess.Popen(["sleep", "60"]))
def fewer(*_):
    worker = workers.pop(0)
    worker.kill()
    worker.wait()
signal.signal(signal.SIGTTIN, more)
signal.signal(signal.SIGTTOU, fewer)
more()
print("ready", flush=True)
while True:
    time.sleep(1)
"""


def test_the_number_of_workers_follows_the_signals() -> None:
    master = subprocess.Popen([sys.executable, "-c", MASTER], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert master.stdout is not None
        master.stdout.readline()
        time.sleep(0.1)
        for count in (3, 1, 1):
            inside.resize(master.pid, count)
            assert len(load.processes(master.pid)) == count + 1
    finally:
        os.killpg(master.pid, signal.SIGKILL)
        master.wait()


def test_a_worker_that_is_starting_is_not_idle() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert not inside.idle([busy.pid])
    finally:
        busy.kill()
        busy.wait()
    assert not inside.idle([busy.pid])
    quiet = subprocess.Popen(["sleep", "60"])
    try:
        time.sleep(0.1)
        assert inside.idle([quiet.pid])
    finally:
        quiet.kill()
        quiet.wait()


def test_no_column_hides_another_in_the_json() -> None:
    flat = dict.fromkeys(workers.SWEEP, 1000.0)
    heads = [workers.table(swept(flat, flat), {"io": 2, "cpu": 2}).head, releases.table([found(1, 5.0, 10.0, [])]).head]
    assert [len(set(head)) for head in heads] == [len(head) for head in heads]
