"""What a site costs: the role nginx_proxy with nothing to change, 40 sites against one."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import Any

from tests.bench.host import Host, Run, say
from tests.bench.report import BenchError, Report, Table, Target
from tests.bench.stats import ratios, rotated, spread, within

MANY = 40
LIMIT = 1.2
#: After these no further pair begins.
SECONDS = 120
#: The task that renders, stages and proves; the rest is Ansible's own work.
TREE = "Put the configuration live"


def variables(count: int) -> dict[str, Any]:
    """Sites as an inventory has them: each with names, a certificate and servers of its own."""
    return {
        "nginx_proxy_sites": [
            {
                "name": f"site{n}",
                "domains": [f"site{n}.bench.test", f"www.site{n}.bench.test"],
                "upstream": {"servers": [f"127.0.0.1:{9000 + n}"]},
                "tls": {"source": "self_signed"},
            }
            for n in range(count)
        ]
    }


def tree_seconds(run: Run) -> float:
    return sum(seconds for name, seconds in run.tasks.items() if name.endswith(TREE))


def unchanged(host: Host, count: int) -> Run:
    run = host.play("sites.yml", variables(count))
    if run.changed:
        raise BenchError(f"{host.name}: a run that should have had nothing to change changed {run.changed} tasks")
    return run


def measure(suite: str, rounds: int) -> Report:
    # A host for each, so that there is nothing to change whichever of the two runs next.
    hosts = {"one": Host("one", suite), "many": Host("many", suite)}
    counts = {"one": 1, "many": MANY}
    for name, host in hosts.items():
        say(f"sites: {counts[name]} for the first time")
        host.play("sites.yml", variables(counts[name]))
        # Once more unmeasured: the first run after a change is the one that may still clean up.
        unchanged(host, counts[name])
    runs: dict[str, list[Run]] = {"one": [], "many": []}
    for number in within(rounds, SECONDS):
        for name in rotated(["one", "many"], number):
            runs[name].append(unchanged(hosts[name], counts[name]))
        one, many = runs["one"][-1].seconds, runs["many"][-1].seconds
        say(f"sites: pair {number + 1} of {rounds}: {one:.2f} s and {many:.2f} s")
    seconds = {name: [run.seconds for run in many] for name, many in runs.items()}
    rows = []
    for name, count in counts.items():
        tree = [tree_seconds(run) for run in runs[name]]
        share = [part / whole for part, whole in zip(tree, seconds[name], strict=True)]
        cpu = [run.cpu_seconds for run in runs[name]]
        figures = [f"{statistics.median(part):.2f}" for part in (seconds[name], cpu, tree)]
        rows.append([f"{count} site{'s' * (count > 1)}", *figures, f"{statistics.median(share):.0%}"])
    return Report(
        title="Cost of a site, nothing to change",
        setting={"Debian": suite, "nginx": hosts["many"].version("nginx"), "pairs": str(len(runs["one"]))},
        table=Table(["role nginx_proxy", "whole run, s", "controller CPU, s", "nginx_tree, s", "its share"], rows),
        targets=[
            Target(
                f"seconds of a run with {MANY} sites / with one",
                spread(ratios(seconds["many"], seconds["one"])),
                "at most",
                LIMIT,
            )
        ],
        rounds=[
            {"sites": counts[name], "round": number, **asdict(run)}
            for name, many in runs.items()
            for number, run in enumerate(many)
        ],
    )
