"""Whether the role's number of workers is a good one: a sweep over others, and the memory that they take."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.host import DOMAIN, HERE, ROOT, WORK, Host, say
from tests.bench.report import BenchError, Report, Table, Target
from tests.bench.stats import ratios, rotated, spread, within

OF_THE_BEST = 0.85
OF_THE_BUDGET = 1.0

SWEEP = range(1, 9)
#: The path of each workload, and the requests of a measurement: some two seconds with two workers.
PATHS = {"io": "/io", "cpu": "/cpu"}
REQUESTS = {"io": 4000, "cpu": 1200}
CLIENTS = 64
#: After these no further round begins.
SECONDS = 300
NAME = "work"
#: Then a program's name: they share code.
INSIDE = ("sh", "-c", 'cd /etc/bench; module=tests.bench.inside.$1; shift; exec python3 -m $module "$@"', "-")
#: MB that a slot may have, where the memory decides: more workers are wanted than it holds.
BUDGET = 512
TIGHT: Mapping[str, Any] = {"gunicorn_app_workload": "sync", "gunicorn_app_memory_max": f"{BUDGET}m"}
#: MB that the role reckons with for a worker, and for the master (plugins/plugin_utils/workers.py).
WORKER_MB, MASTER_MB = 150, 20


def prepare(suite: str) -> Host:
    host = Host("workers", suite)
    say("workers: installing nghttp2-client (h2load) in the container")
    host.install("nghttp2-client")
    for program in ("load.py", "workers.py"):
        host.write(f"/etc/bench/tests/bench/inside/{program}", (HERE / "inside" / program).read_text())
    app = WORK / "app"
    shutil.rmtree(app, ignore_errors=True)
    app.mkdir()
    for path in (HERE / "app/work.py", ROOT / "examples/fastapi_app/requirements.txt"):
        shutil.copy(path, app)
    return host


def unit(host: Host) -> str:
    live = host.run("readlink", f"/opt/{NAME}/current.sock").strip()
    return f"{NAME}@{live.rpartition('/')[2].removesuffix('.sock')}.service"


def count_of(host: Host, variables: Mapping[str, Any]) -> int:
    """Deploy with these settings and nothing said of the number: return the number that the role gives."""
    host.play("workers.yml", variables)
    return int(ask(host)["workers"])


def ask(host: Host, *count: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(host.run(*INSIDE, "workers", unit(host), *map(str, count)))
    return told


def throughput(host: Host, workload: str, share: float = 1.0) -> dict[str, Any]:
    requests = max(CLIENTS, int(REQUESTS[workload] * share))
    arguments = ["--h1", f"--clients={CLIENTS}", f"--requests={requests}", f"https://{DOMAIN}{PATHS[workload]}"]
    told: dict[str, Any] = json.loads(host.run(*INSIDE, "load", "-", *arguments))
    return told


def measure(suite: str, rounds: int) -> Report:
    host = prepare(suite)
    say("workers: deploying, once for each workload")
    chosen = {workload: count_of(host, {"gunicorn_app_workload": workload}) for workload in PATHS}
    outside = [count for count in chosen.values() if count not in SWEEP]
    if outside:
        raise BenchError(
            f"the role gives {outside} workers on this machine: the sweep from 1 to 8 says nothing of them"
        )
    found: list[dict[str, Any]] = []
    done = 0
    for number in within(rounds, SECONDS, least=3):
        for text in rotated([str(count) for count in SWEEP], number):
            count = int(text)
            ask(host, count)
            for workload in PATHS:
                # New workers import and connect on their first requests.
                throughput(host, workload, 0.1)
                told = throughput(host, workload)
                found.append({"round": number, "workers": count, "workload": workload, **told})
            found.append({"round": number, "workers": count, "workload": "memory", **ask(host)})
        done = number + 1
        say(f"workers: round {done} of {rounds}")
    say(f"workers: deploying with {BUDGET} MB for a slot")
    tight = count_of(host, TIGHT)
    for workload in PATHS:
        throughput(host, workload)
    memory = ask(host)
    cpus = host.run("nproc").strip()
    setting = {"Debian": suite, "gunicorn": gunicorn(host), "CPUs": cpus, "rounds": str(done)}
    return Report(
        "Number of workers",
        setting,
        table(found, chosen),
        targets(found, chosen, memory["pss_mb"], tight),
        [*found, {"budget_mb": BUDGET, **memory}],
        notes=notes(found, chosen),
    )


def gunicorn(host: Host) -> str:
    told = host.shell(f"/opt/{NAME}/current/venv/bin/gunicorn --version")
    match = re.search(r"([0-9][0-9.]*)", told)
    return match[1] if match else told.strip()


def column(found: Sequence[dict[str, Any]], workload: str, count: int, key: str) -> list[float]:
    return [float(each[key]) for each in found if (each["workload"], each["workers"]) == (workload, count)]


def best(found: Sequence[dict[str, Any]], workload: str) -> int:
    """Return the number with the highest median. The best of each round would be the luckiest of eight."""
    return max(SWEEP, key=lambda count: statistics.median(column(found, workload, count, "rate")))


def table(found: Sequence[dict[str, Any]], chosen: Mapping[str, int]) -> Table:
    rows = []
    for count in SWEEP:
        cells = [f"{statistics.median(column(found, workload, count, 'rate')):.0f}" for workload in PATHS]
        p99 = [f"{statistics.median(column(found, workload, count, 'p99_ms')):.0f}" for workload in PATHS]
        memory = f"{statistics.median(column(found, 'memory', count, 'pss_mb')):.0f}"
        roles = [workload for workload, given in chosen.items() if given == count]
        name = f"{count} worker{'s' * (count > 1)}" + (f" (the role's, {' and '.join(roles)})" if roles else "")
        rows.append([name, cells[0], p99[0], cells[1], p99[1], memory, str(reckoned(count))])
    head = ["medians", "io, req/s", "its p99, ms", "cpu, req/s", "p99 of cpu, ms", "PSS, MB", "reckoned, MB"]
    return Table(head, rows)


def reckoned(count: int) -> int:
    return MASTER_MB + count * WORKER_MB


def notes(found: Sequence[dict[str, Any]], chosen: Mapping[str, int]) -> list[str]:
    return [
        f"{workload}: most requests/s with {best(found, workload)} workers, the role gives {chosen[workload]}"
        for workload in PATHS
    ]


def targets(found: Sequence[dict[str, Any]], chosen: Mapping[str, int], pss: float, count: int) -> list[Target]:
    wanted = [
        Target(
            f"{workload}, requests/s with the role's number / with the best from 1 to {SWEEP[-1]}",
            spread(
                ratios(
                    column(found, workload, chosen[workload], "rate"),
                    column(found, workload, best(found, workload), "rate"),
                )
            ),
            "at least",
            OF_THE_BEST,
        )
        for workload in PATHS
    ]
    shares = [pss / reckoned(each) for each in SWEEP for pss in column(found, "memory", each, "pss_mb")]
    return [
        *wanted,
        Target(
            f"memory (PSS) of a slot with {count} workers / the {BUDGET} MB that it may have",
            spread([pss / BUDGET]),
            "at most",
            OF_THE_BUDGET,
        ),
        # The most of all: what is reckoned is the peak.
        Target("memory (PSS) / what the role reckons for the number", spread([max(shares)]), "at most", OF_THE_BUDGET),
    ]
