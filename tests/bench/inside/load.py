"""One measurement, made inside the container: the load, what it cost the proxy, how long the slowest waited.

    load.py UNIT H2LOAD-ARGUMENT...

UNIT is the systemd unit whose processes are the proxy, or "-" for none. Prints one JSON object. Runs with the
container's own Python, and imports nothing of this checkout.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def processes(main: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, parent = identity(entry.read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(pid)
    found = [main]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def identity(stat: str) -> tuple[int, int]:
    """Return the process's and its parent's number."""
    return int(stat.partition(" ")[0]), int(stat.rpartition(")")[2].split()[1])


def ticks(stat: str) -> int:
    """Return what a process and its threads used, user and system, in clock ticks."""
    # The name, in brackets, may hold spaces and brackets; what follows the last one may not.
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def cpu_seconds(pids: list[int]) -> float:
    used = sum(ticks(Path(f"/proc/{pid}/stat").read_text()) for pid in pids)
    return used / os.sysconf("SC_CLK_TCK")


def parse(output: str) -> dict[str, float | int | str]:
    """Return what h2load says at its end. A request that did not succeed makes the measurement worthless."""
    finished = re.search(r"^finished in \S+, ([\d.]+) req/s", output, re.M)
    counts = re.search(
        r"^requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, "
        r"(\d+) failed, (\d+) errored, (\d+) timeout",
        output,
        re.M,
    )
    codes = re.search(r"^status codes: (\d+) 2xx", output, re.M)
    if not (finished and counts and codes):
        raise ValueError("h2load said nothing of its result:\n" + output[-2000:])
    total, succeeded = int(counts[1]), int(counts[3])
    if succeeded != total or int(codes[1]) != total:
        raise ValueError(f"of {total} requests only {min(succeeded, int(codes[1]))} were answered 2xx:\n{counts[0]}")
    # Nothing is said of either over plain HTTP.
    cipher = re.search(r"^Cipher: (\S+)", output, re.M)
    protocol = re.search(r"^Application protocol: (\S+)", output, re.M)
    return {
        "requests": total,
        "rate": float(finished[1]),
        "cipher": cipher[1] if cipher else "none",
        "protocol": protocol[1] if protocol else "http/1.1",
    }


def percentile(log: str, share: float) -> float:
    """Return the milliseconds within which this share of the requests was answered (h2load's --log-file)."""
    waited = sorted(int(line.split("\t")[2]) for line in log.splitlines())
    # The smallest value that so many are not above: no value in between is invented.
    rank = max(1, -int(-share * len(waited) // 1))
    return waited[rank - 1] / 1000


def main() -> None:
    unit, *arguments = sys.argv[1:]
    pids = []
    if unit != "-":
        show = ["systemctl", "show", "--property=MainPID", "--value", unit]
        pids = processes(int(subprocess.run(show, check=True, capture_output=True, text=True).stdout))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        before = cpu_seconds(pids)
        command = ["h2load", f"--log-file={log}", *arguments]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        used = cpu_seconds(pids) - before
        try:
            result = parse(done.stdout)
        except ValueError as error:
            sys.exit(str(error))
        result["p99_ms"] = percentile(log.read_text(), 0.99)
    result["cpu_us"] = used / float(result["requests"]) * 1e6
    print(json.dumps(result))


if __name__ == "__main__":
    main()
