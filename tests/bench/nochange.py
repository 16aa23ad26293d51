"""What a run costs that has nothing to do: the whole stack against a play that gathers facts and pings."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.host import ROOT, Host, Run, say
from tests.bench.report import BenchError, Report, Table, Target
from tests.bench.stats import ratios, rotated, spread, within

LIMIT = 3.5
#: After these no further round begins.
SECONDS = 180
#: The one that the README shows.
INVENTORY = ROOT / "inventories/single_host"
NAMES = ("notes.example.com", "www.notes.example.com")
STACK, PING = "asgi.deploy.site", "facts and a ping"
PLAYBOOKS: dict[str, str | Path] = {STACK: ROOT / "playbooks/site.yml", PING: "ping.yml"}


def variables(host: Host) -> dict[str, Any]:
    """What stands in for the reader's server and for Let's Encrypt: this container, and the Pebble in it."""
    return {
        "ansible_connection": "community.docker.docker",
        "ansible_host": host.name,
        "ansible_python_interpreter": "/usr/bin/python3",
        "certbot_server": "https://localhost:14000/dir",
        "certbot_ca_bundle": "/etc/pebble/ca.pem",
    }


def play(host: Host, what: str) -> Run:
    return host.play(PLAYBOOKS[what], variables(host), inventory=str(INVENTORY))


def unchanged(host: Host, what: str) -> Run:
    run = play(host, what)
    if run.changed:
        raise BenchError(f"{host.name}: {what} should have had nothing to change and changed {run.changed} tasks")
    return run


def measure(suite: str, rounds: int) -> Report:
    host = Host("nochange", suite, names=NAMES)
    say("nochange: the first deployment")
    play(host, STACK)
    # Once more unmeasured: the first run after a change is the one that may still clean up.
    for what in PLAYBOOKS:
        unchanged(host, what)
    runs: dict[str, list[Run]] = {what: [] for what in PLAYBOOKS}
    for number in within(rounds, SECONDS):
        for what in rotated(list(PLAYBOOKS), number):
            runs[what].append(unchanged(host, what))
        stack, ping = runs[STACK][-1].seconds, runs[PING][-1].seconds
        say(f"nochange: pair {number + 1} of {rounds}: {stack:.2f} s and {ping:.2f} s, {stack / ping:.2f} times")
    return report(runs, {"Debian": suite, "nginx": host.version("nginx")})


def report(runs: dict[str, list[Run]], setting: dict[str, str]) -> Report:
    seconds = {what: [run.seconds for run in many] for what, many in runs.items()}
    cpu = {what: [run.cpu_seconds for run in many] for what, many in runs.items()}
    rows = [[what, *(f"{statistics.median(part[what]):.2f}" for part in (seconds, cpu))] for what in runs]
    return Report(
        title="A run with nothing to change",
        setting={**setting, "pairs": str(len(runs[STACK]))},
        table=Table(["medians", "whole run, s", "controller CPU, s"], rows),
        targets=[
            Target(
                "seconds of asgi.deploy.site / of a play that gathers facts and pings",
                spread(ratios(seconds[STACK], seconds[PING])),
                "at most",
                LIMIT,
            )
        ],
        rounds=[
            {"what": what, "round": number, **asdict(run)}
            for what, many in runs.items()
            for number, run in enumerate(many)
        ],
        notes=[f"{name}: {took:.2f} s" for name, took in slowest(runs[STACK])],
    )


def slowest(runs: list[Run], many: int = 8) -> list[tuple[str, float]]:
    """The tasks that took longest, each with the median of its rounds."""
    medians = {name: statistics.median(run.tasks.get(name, 0.0) for run in runs) for name in runs[-1].tasks}
    return sorted(medians.items(), key=lambda item: -item[1])[:many]
