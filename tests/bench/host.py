"""The containers that are measured, and the playbook runs that prepare or are what is measured."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import docker
from containers import ensure_network, start, wait_until_booted
from docker.models.containers import Container

from tests.bench.report import BenchError

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
WORK = ROOT / "build/bench"
LABELS = {"owner": "asgi-deploy", "asgi-deploy.bench": str(ROOT)}
DOMAIN = "bench.test"
_BEGAN = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - _BEGAN:4.0f} s] {text}", flush=True)


@dataclass(frozen=True)
class Run:
    """A run of a playbook: how long all of it took, what it cost, how long each task took, and how much it changed."""

    seconds: float
    #: What ansible-playbook and its children used on the controller, without the work in the container.
    cpu_seconds: float
    tasks: dict[str, float]
    changed: int


class Host:
    """A container that boots systemd, as `make demo` has it."""

    def __init__(self, purpose: str, suite: str, names: Sequence[str] = (DOMAIN,)) -> None:
        """:param names: that resolve to the container itself"""
        self.name = f"asgi-bench-{purpose}{os.environ.get('ASGI_RUN', '')}"
        client = docker.from_env()
        ensure_network(client, self.name, LABELS)
        self.container: Container = start(client, self.name, f"asgi-deploy:{suite}", self.name, LABELS, hosts=names)
        wait_until_booted(self.container)

    def run(self, *argv: str, standard_input: str | None = None) -> str:
        """Run a command in the container and return what it prints; one that fails ends the benchmark."""
        command = ["docker", "exec", "--interactive", self.name, *argv]
        done = subprocess.run(command, input=standard_input, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError(f"{self.name}: {' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def shell(self, script: str) -> str:
        return self.run("sh", "-euc", script)

    def write(self, path: str, content: str) -> None:
        self.run("sh", "-euc", 'mkdir -p "$(dirname "$0")"; cat >"$0"', path, standard_input=content)

    def install(self, *packages: str) -> None:
        # No service of these is started: the benchmark starts its own.
        self.shell(
            "printf 'exit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d\n"
            "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq\n"
            f"apt-get install -qq --yes --no-install-recommends {' '.join(packages)} >/dev/null\n"
            "rm /usr/sbin/policy-rc.d"
        )

    def version(self, package: str) -> str:
        return self.run("dpkg-query", "--show", "--showformat=${Version}", package)

    @property
    def log(self) -> Path:
        """What the last run of a playbook said."""
        return WORK / f"{self.name}.log"

    def play(
        self,
        playbook: str | Path,
        variables: Mapping[str, Any] | None = None,
        inventory: str = "inventory.yml",
    ) -> Run:
        """Run a playbook as a user would, and time its tasks by when they are announced.

        :param playbook: one of the benchmark's by its name, or any by its path
        """
        command = ["ansible-playbook", "--inventory", str(HERE / inventory)]
        command.append(str(HERE / "playbooks" / playbook))
        if variables:
            extra = WORK / f"{self.name}.json"
            extra.write_text(json.dumps(variables))
            command += ["--extra-vars", f"@{extra}"]
        environment = {**os.environ, "BENCH_CONTAINER": self.name, "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1"}
        used, began = children_cpu(), time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        try:
            heard = [(time.monotonic(), line) for line in process.stdout]
            code = process.wait()
        except KeyboardInterrupt:
            # SIGTERM reaches us alone.
            process.terminate()
            process.wait()
            raise
        ended = time.monotonic()
        lines = [line for _, line in heard]
        self.log.write_text("".join(lines))
        if code != 0:
            raise BenchError(f"{playbook} on {self.name} ended with {code}:\n{''.join(lines[-40:])}")
        return Run(ended - began, children_cpu() - used, task_seconds(heard), changed(lines))


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def task_seconds(heard: list[tuple[float, str]]) -> dict[str, float]:
    """How long each task ran: from its headline to the next one, or to the recap."""
    marks = [(at, match[1]) for at, line in heard if (match := re.match(r"TASK \[(.*)\]|PLAY RECAP", line))]
    seconds: dict[str, float] = {}
    for (at, name), (later, _) in pairwise(marks):
        # Two tasks may have one name.
        seconds[name] = seconds.get(name, 0.0) + later - at
    return seconds


def changed(lines: list[str]) -> int:
    return sum(int(match[1]) for line in lines if (match := re.search(r" changed=(\d+) ", line)))
