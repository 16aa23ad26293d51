"""What a host costs the controller: asgi.deploy.site with nothing to change, on hosts that are not there."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bench.host import HERE, ROOT, WORK, changed, say
from tests.bench.report import BenchError, Report, Table, Target
from tests.bench.stats import rotated, spread, within

#: Application hosts. One stands for what a run costs with any number: it is taken off the others.
START = 1
SIZES = (25, 50, 100, 200)
PROXIES = 2
LIMIT = 1.2
#: After these no further round begins.
SECONDS = 600
PLAYBOOK = ROOT / "playbooks/site.yml"
#: These are pinged for comparison: what Ansible takes grows with the number of hosts too.
PINGED = (START, min(SIZES), max(SIZES))
#: What a host may cost, as a multiple of as many pings as it has tasks.
PINGS = 1.5


@dataclass(frozen=True)
class Cost:
    """What a run took of the controller: time, CPU of all its processes, the largest process's memory."""

    hosts: int
    seconds: float
    cpu_seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Round:
    """``costs``: of the playbook, by the number of hosts. ``pings``: of a playbook with as many ``tasks`` that ping."""

    costs: dict[int, Cost]
    tasks: int
    pings: dict[int, Cost]


def inventory(hosts: int) -> dict[str, Any]:
    """The README's inventory with more hosts in its groups: what a newcomer does who has grown out of one server."""
    single = yaml.safe_load((ROOT / "inventories/single_host/hosts.yml").read_text())
    stub = {"ansible_connection": "stub", "ansible_python_interpreter": "/usr/bin/python3"}
    apps = {f"app{n}": {"ansible_host": f"10.1.{n // 250}.{n % 250 + 1}"} for n in range(hosts)}
    proxies = {f"proxy{n}": {"ansible_host": f"10.0.0.{n + 1}"} for n in range(PROXIES)}
    return {
        "all": {"vars": {**single["all"]["vars"], **stub}},
        "apps": {"hosts": apps},
        "proxies": {"hosts": proxies},
    }


def reached(lines: Sequence[str]) -> int:
    """How many hosts the recap says all went well on."""
    return sum(bool(re.search(r" ok=[1-9]\d* .* unreachable=0 .*failed=0 ", line)) for line in lines)


def tasks_of(lines: Sequence[str], host: str) -> int:
    """How many tasks told of a host, those that had nothing to do there included."""
    return sum(bool(re.match(rf"(ok|changed|skipping): \[{host}\]", line)) for line in lines)


def write_pings(tasks: int) -> Path:
    """Write a playbook that costs as little as one with so many tasks can: Ansible's own cost of them."""
    path = WORK / "pings.yml"
    ping = {"name": "Ping", "ansible.builtin.ping": {}}
    described = {"name": "Pings", "hosts": "apps", "become": True, "gather_facts": False, "tasks": [ping] * tasks}
    # JSON is YAML.
    path.write_text(json.dumps([described]))
    return path


def play(hosts: int, playbook: Path = PLAYBOOK) -> tuple[Cost, list[str]]:
    """Run a playbook on so many hosts; also returns what it said."""
    described = WORK / f"scale-{hosts}.json"
    described.write_text(json.dumps(inventory(hosts)))
    log = WORK / f"scale-{hosts}-{playbook.stem}.log"
    environment = {
        **os.environ,
        "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection"),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_NOCOLOR": "1",
    }
    command = ["ansible-playbook", "--inventory", str(described), str(playbook)]
    began = time.monotonic()
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        try:
            # The only call that tells the memory of one child and not of all there ever were.
            _pid, status, used = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            # SIGTERM reaches us alone.
            process.terminate()
            process.wait()
            raise
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = log.read_text().splitlines()
    expected = hosts + (PROXIES if playbook == PLAYBOOK else 0)
    if process.returncode != 0 or reached(lines) != expected or changed(lines):
        raise BenchError(f"{playbook.stem}, {hosts} hosts: {process.returncode}:\n" + "\n".join(lines[-40:]))
    return Cost(hosts, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), lines


def each(cost: Cost, start: Cost) -> float:
    """The CPU that a host adds, in seconds."""
    return (cost.cpu_seconds - start.cpu_seconds) / (cost.hosts - start.hosts)


_COLUMNS = (("seconds", 1), ("cpu_seconds", 1), ("memory_mb", 1))


def median(found: Sequence[Round], size: int, what: str) -> float:
    return statistics.median(float(getattr(one.costs[size], what)) for one in found)


def one_round(number: int) -> Round:
    costs: dict[int, Cost] = {}
    tasks = 0
    for size in rotated([str(size) for size in (START, *SIZES)], number):
        costs[int(size)], lines = play(int(size))
        tasks = tasks_of(lines, "app0")
    pings = write_pings(tasks)
    return Round(costs, tasks, {size: play(size, pings)[0] for size in PINGED})


def measure(suite: str, rounds: int) -> Report:
    found: list[Round] = []
    for number in within(rounds, SECONDS, least=1):
        found.append(one_round(number))
        told = ", ".join(f"{size}: {found[-1].costs[size].cpu_seconds:.1f} s of CPU" for size in SIZES)
        say(f"scale: round {number + 1} of {rounds}: {told}")
    return report(found)


def report(found: Sequence[Round]) -> Report:
    rows = [
        [
            f"{size} application hosts",
            *(f"{median(found, size, what):.{digits}f}" for what, digits in _COLUMNS),
            f"{statistics.median(each(one.costs[size], one.costs[START]) for one in found):.3f}",
        ]
        for size in SIZES
    ]
    head = ["nothing to change", "whole run, s", "controller CPU, s", "memory, MB", "CPU a host, s"]
    return Report(
        title="Cost of a host, on the controller",
        setting={"proxies": str(PROXIES), "connection": "a stub", "rounds": str(len(found))},
        table=Table(head, rows),
        targets=targets(found),
        notes=[f"Ansible's own, CPU a host: {spread([growth(one.pings) for one in found])} times from pings alone"],
        rounds=[
            {"round": number, "playbook": name, **asdict(cost)}
            for number, one in enumerate(found)
            for name, costs in (("site", one.costs), (f"{one.tasks} pings", one.pings))
            for cost in costs.values()
        ],
    )


def targets(found: Sequence[Round]) -> list[Target]:
    few, many = min(SIZES), max(SIZES)
    memory = [one.costs[many].memory_mb / one.costs[few].memory_mb for one in found]
    pings = [each(one.costs[many], one.costs[START]) / each(one.pings[many], one.pings[START]) for one in found]
    grown = [growth(one.costs) for one in found]
    return [
        Target(f"CPU a host with {many} hosts / with {few}", spread(grown), "at most", LIMIT),
        Target(f"memory with {many} hosts / with {few}", spread(memory), "at most", LIMIT),
        Target(f"CPU a host with {many} hosts / of {found[0].tasks} pings", spread(pings), "at most", PINGS),
    ]


def growth(costs: Mapping[int, Cost]) -> float:
    """How much more CPU a host adds among the most hosts than among the fewest."""
    few, many = (each(costs[size], costs[START]) for size in (min(SIZES), max(SIZES)))
    return many / few
