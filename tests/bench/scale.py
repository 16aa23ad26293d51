"""What a host costs the controller: asgi.deploy.site with nothing to change, on hosts that are not there."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Cost:
    """What a run took of the controller: time, CPU of all its processes, the largest process's memory."""

    hosts: int
    seconds: float
    cpu_seconds: float
    memory_mb: float


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


def play(hosts: int) -> Cost:
    described = WORK / f"scale-{hosts}.json"
    described.write_text(json.dumps(inventory(hosts)))
    log = WORK / f"scale-{hosts}.log"
    environment = {
        **os.environ,
        "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection"),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_NOCOLOR": "1",
    }
    command = ["ansible-playbook", "--inventory", str(described), str(PLAYBOOK)]
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
    if process.returncode != 0 or reached(lines) != hosts + PROXIES or changed(lines):
        raise BenchError(f"{hosts} hosts: ended with {process.returncode}:\n" + "\n".join(lines[-40:]))
    # Of a process that Ansible forked the memory is mostly the same as its own: the larger of the two counts.
    return Cost(hosts, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def each(cost: Cost, start: Cost, what: str) -> float:
    """What a host adds."""
    added: float = (getattr(cost, what) - getattr(start, what)) / (cost.hosts - start.hosts)
    return added


_COLUMNS = (("seconds", 1), ("cpu_seconds", 1), ("memory_mb", 1))


def median(found: Sequence[dict[int, Cost]], size: int, what: str) -> float:
    return statistics.median(float(getattr(one[size], what)) for one in found)


def measure(suite: str, rounds: int) -> Report:
    found: list[dict[int, Cost]] = []
    for number in within(rounds, SECONDS, least=1):
        order = rotated([str(size) for size in (START, *SIZES)], number)
        found.append({int(size): play(int(size)) for size in order})
        told = ", ".join(f"{size}: {found[-1][size].cpu_seconds:.1f} s of CPU" for size in SIZES)
        say(f"scale: round {number + 1} of {rounds}: {told}")
    rows = [
        [
            f"{size} application hosts",
            *(f"{median(found, size, what):.{digits}f}" for what, digits in _COLUMNS),
            f"{statistics.median(each(one[size], one[START], 'cpu_seconds') for one in found):.3f}",
        ]
        for size in SIZES
    ]
    head = ["nothing to change", "whole run, s", "controller CPU, s", "memory, MB", "CPU a host, s"]
    return Report(
        title="Cost of a host, on the controller",
        setting={"proxies": str(PROXIES), "connection": "a stub", "rounds": str(len(found))},
        table=Table(head, rows),
        targets=targets(found),
        rounds=[{"round": number, **asdict(cost)} for number, one in enumerate(found) for cost in one.values()],
    )


def targets(found: Sequence[dict[int, Cost]]) -> list[Target]:
    few, more, most, many = SIZES
    cpu = [each(one[many], one[START], "cpu_seconds") / each(one[few], one[START], "cpu_seconds") for one in found]
    # Between neighbours: Python takes memory in pieces, and the first hosts fit into what is there.
    memory = [each(one[many], one[most], "memory_mb") / each(one[more], one[few], "memory_mb") for one in found]
    return [
        Target(f"CPU a host with {many} hosts / with {few}", spread(cpu), "at most", LIMIT),
        Target(f"memory a host from {most} to {many} / from {few} to {more}", spread(memory), "at most", LIMIT),
    ]
