"""The workers of a running Gunicorn, inside the container: how many there are, and what memory they take.

    python3 -m tests.bench.inside.workers UNIT [COUNT]

Prints {"workers": N, "pss_mb": of the master and the workers together}. With COUNT it makes it so many first, by
Gunicorn's own signals, and waits until they stand idle. Runs with the container's own Python, beside load.py.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.inside.load import cpu_seconds, processes

SECONDS = 60


def master_of(unit: str) -> int:
    show = ["systemctl", "show", "--property=MainPID", "--value", unit]
    return int(subprocess.run(show, check=True, capture_output=True, text=True).stdout)


def pss_kb(rollup: str) -> int:
    """Return the proportional set size of /proc/<pid>/smaps_rollup: a shared page counts once among those who share."""
    match = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.M)
    if not match:
        raise ValueError("no Pss in it:\n" + rollup)
    return int(match[1])


def idle(pids: list[int]) -> bool:
    """A worker that is starting or draining uses the CPU; one that stands idle does not."""
    try:
        before = cpu_seconds(pids)
        time.sleep(1)
        used = cpu_seconds(pids) - before
    except (FileNotFoundError, ProcessLookupError):
        return False
    return used < 0.05


def resize(master: int, count: int) -> None:
    deadline = time.monotonic() + SECONDS
    there = len(processes(master)) - 1
    for _step in range(abs(count - there)):
        os.kill(master, signal.SIGTTIN if count > there else signal.SIGTTOU)
        # Signals of one kind that come at once are one.
        time.sleep(0.3)
    while len(pids := processes(master)) != count + 1 or not idle(pids):
        if time.monotonic() > deadline:
            sys.exit(f"{len(processes(master)) - 1} workers instead of {count} after {SECONDS} s")
        time.sleep(0.2)


def main() -> None:
    unit, *count = sys.argv[1:]
    master = master_of(unit)
    if count:
        resize(master, int(count[0]))
    pids = processes(master)
    total = sum(pss_kb(Path(f"/proc/{pid}/smaps_rollup").read_text()) for pid in pids)
    print(json.dumps({"workers": len(pids) - 1, "pss_mb": total / 1024}))


if __name__ == "__main__":
    main()
