"""`make bench`: the numbers that the project promises, measured on the machine at hand.

    python -m tests.bench [--only NAME]... [--suite bookworm|trixie] [--rounds N]

Prints a table for each benchmark and a line for each target, writes build/bench.json and build/bench.md, and ends
with 1 when a target is missed. A benchmark is a module with `measure(suite, rounds) -> Report`, and a line below.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import docker
from run_tests import engine_runs, interrupted

from tests.bench import nochange, proxy, releases, scale, sites, workers
from tests.bench.host import ROOT, WORK, say
from tests.bench.report import BenchError, Report

#: Each with the rounds that make its medians steady on a quiet machine, in a few minutes.
BENCHMARKS: dict[str, tuple[Callable[[str, int], Report], int]] = {
    "proxy": (proxy.measure, 11),
    "sites": (sites.measure, 7),
    "releases": (releases.measure, 5),
    "workers": (workers.measure, 5),
    "nochange": (nochange.measure, 7),
    "scale": (scale.measure, 3),
}


def machine() -> dict[str, str]:
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    model = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout
    name = next((line.partition(":")[2].strip() for line in model.splitlines() if line.startswith("Model name")), "?")
    return {
        "CPUs": str(len(os.sched_getaffinity(0))),
        "model": name,
        "kernel": platform.release(),
        "load before": load,
        "ansible-core": version("ansible-core"),
        "Python": platform.python_version(),
    }


def save(about: dict[str, str], reports: dict[str, Report]) -> None:
    found = {"machine": about, "benchmarks": {name: report.as_json() for name, report in reports.items()}}
    (ROOT / "build/bench.json").write_text(json.dumps(found, indent=2) + "\n")
    texts = [f"Machine: {line(about)}", *(report.markdown() for report in reports.values())]
    (ROOT / "build/bench.md").write_text("\n\n".join(texts) + "\n")


def line(about: dict[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in about.items())


def remove() -> None:
    subprocess.run(["tools/remove.sh", "bench"], cwd=ROOT, check=False)


def run(names: list[str], suite: str, rounds: int | None) -> int:
    say("container engine and image")
    for command in (["tools/engine.sh", "up"], ["tools/images/build.sh", suite]):
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            raise BenchError(f"{command[0]} failed")
    # Of a run that was killed; two at once would measure each other.
    remove()
    about = machine()
    reports: dict[str, Report] = {}
    for name in names:
        measure, usual = BENCHMARKS[name]
        began = time.monotonic()
        try:
            reports[name] = measure(suite, rounds or usual)
        finally:
            # Before the next one begins: an idle stack still takes memory and now and then the CPU.
            remove()
        reports[name].seconds = time.monotonic() - began
        # At once: what was measured is not lost when the next one fails.
        save(about, reports)
        print(f"\n{reports[name].text()}\n", flush=True)
    print(f"Machine: {line(about)}")
    print("Also in build/bench.json (every measurement) and build/bench.md (for docs/benchmarks.md).")
    missed = [target for report in reports.values() for target in report.targets if not target.met]
    print(f"{sum(len(report.targets) for report in reports.values()) - len(missed)} targets met, {len(missed)} missed")
    return int(bool(missed))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="this benchmark, not all")
    parser.add_argument("--suite", choices=["bookworm", "trixie"], default="trixie", help="Debian in the containers")
    parser.add_argument("--rounds", type=int, help="instead of each benchmark's own number")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    ran = engine_runs()
    try:
        return run(options.only or list(BENCHMARKS), options.suite, options.rounds)
    except (BenchError, RuntimeError, docker.errors.DockerException) as problem:
        print(f"\nmake bench FAILED: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as signalled:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        say(f"{signalled}: stopped, containers removed")
        return 130
    finally:
        if not ran:
            subprocess.run(["tools/engine.sh", "down"], cwd=ROOT, check=False)


if __name__ == "__main__":
    sys.exit(main())
