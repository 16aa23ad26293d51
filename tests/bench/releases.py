"""What a release costs those who use the application: under constant load, a changed release and the way back."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.host import DOMAIN, HERE, ROOT, WORK, Host, Run, say
from tests.bench.report import BenchError, Report, Table, Target
from tests.bench.stats import spread, within

SLOWER = 3.0
LIVE = 25.0
BACK = 5.0

#: Requests a second: a quarter each of GET and POST, on connections that are kept and on new ones. Two CPUs that also
#: run Ansible carry it easily, so that what is seen is the release and not a queue.
RATE = 80
#: Seconds of rest that a round compares with.
REST = 12.0
#: After these no further round begins.
SECONDS = 300
INVENTORY = "application.yml"
NAME = "notes"
APP = WORK / "app"
STOP = "/run/bench.stop"
#: systemd's message of a unit that it has stopped.
STOPPED = "MESSAGE_ID=9d1aaa27d60140bd96365438aad20286"


@dataclass(frozen=True)
class Asked:
    """A request of the load: when it was due, in seconds since 1970, and how long it then took."""

    due: float
    ms: float
    kind: str
    error: str | None


@dataclass(frozen=True)
class Switch:
    """When a deployment did what, in seconds since 1970."""

    began: float
    #: The new release was started in the idle slot.
    started: float
    #: nginx's link led to it.
    live: float
    #: The slot before had drained and ended.
    drained: float
    ended: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so many are not above: none in between is invented."""
    if not values:
        raise BenchError("a phase without a single request: nothing is measured")
    return sorted(values)[max(1, -int(-share * len(values) // 1)) - 1]


def between(asked: Sequence[Asked], begin: float, end: float) -> list[Asked]:
    return [each for each in asked if begin <= each.due < end]


def steps_of(log: str) -> dict[str, float]:
    """Read what a run tells of its releases, `    notes, release NAME: build 4.1 s, hooks before 0.2 s`: seconds."""
    lines: list[str] = re.findall(rf"^ +{NAME}, release \S+: (.*)$", log, re.M)
    steps = [step for line in lines for step in line.split(", ")]
    matches = [re.fullmatch(r"(.+) ([0-9.]+) s", step) for step in steps]
    return {match[1]: float(match[2]) for match in matches if match}


@contextmanager
def load(host: Host) -> Iterator[list[Asked]]:
    """Keep the load up while the block runs; the list is full after it."""
    host.shell(f"rm -f {STOP}")
    command = ["docker", "exec", host.name, "python3", "/etc/bench/constant.py", DOMAIN, str(RATE), STOP]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    found: list[Asked] = []
    try:
        yield found
    finally:
        host.shell(f"touch {STOP}")
        out, errors = process.communicate(timeout=60)
    if process.returncode != 0:
        raise BenchError(f"the load ended with {process.returncode}:\n{errors}")
    found.extend(Asked(*each) for each in json.loads(out)["requests"])


def write_release(number: int) -> str:
    """Make the example application's next release: its code is changed, its dependencies are not."""
    shutil.rmtree(APP, ignore_errors=True)
    shutil.copytree(ROOT / "examples/fastapi_app", APP, ignore=shutil.ignore_patterns("__pycache__", ".*", "tests"))
    version = f"2.0.{number}"
    init = APP / "notes/__init__.py"
    text, count = re.subn(r'(?m)^__version__ = ".*"$', f'__version__ = "{version}"', init.read_text())
    if count != 1:
        raise BenchError(f"{init} has no version to change")
    init.write_text(text)
    return version


def expect(host: Host, version: str) -> None:
    told = json.loads(host.run("curl", "-sSk", f"https://{DOMAIN}/version"))["version"]
    if told != version:
        raise BenchError(f"{host.name}: version {told} answers instead of {version}")


#: On the same clock as the load: the link's own time, and what systemd says of both slots. Of one that has ended it
#: forgets all, but not in the journal.
_TIMES = f"""
import json, os, subprocess, time
def run(*command):
    return subprocess.check_output(command, text=True)
live = os.path.basename(os.readlink("/opt/{NAME}/current.sock"))[:-len(".sock")]
service, before = ("{NAME}@" + slot + ".service" for slot in (live, {{"blue": "green", "green": "blue"}}[live]))
while run("systemctl", "show", "--value", "--property=ActiveState", before) != "inactive\\n":
    time.sleep(0.2)
run("journalctl", "--sync")
stopped = run("journalctl", "--unit=" + before, "--output=short-unix", "--no-pager", "{STOPPED}").splitlines()[-1]
started = run("systemctl", "show", "--value", "--property=InactiveExitTimestampMonotonic", service)
print(json.dumps({{
    "live": os.lstat("/opt/{NAME}/current.sock").st_mtime,
    "started": time.time() - time.monotonic() + int(started) / 1e6,
    "drained": float(stopped.split()[0]),
}}))
"""


def switch(host: Host, playbook: str, version: str) -> tuple[Switch, Run, dict[str, float]]:
    """Run a playbook that puts another release live, and wait for the end of the slot before."""
    began = time.time()
    run = host.play(ROOT / "playbooks" / playbook, inventory=INVENTORY)
    ended = time.time()
    times = json.loads(host.run("timeout", "150", "python3", "-c", _TIMES))
    if not began < times["started"] < times["live"] < times["drained"]:
        raise BenchError(f"{playbook} did not switch: {times}, begun at {began}")
    expect(host, version)
    return Switch(began=began, ended=ended, **times), run, steps_of(host.log.read_text())


def one_round(host: Host, number: int) -> dict[str, Any]:
    before, version = f"2.0.{number - 1}", write_release(number)
    with load(host) as asked:
        begin = time.time()
        time.sleep(REST)
        release, run, steps = switch(host, "site.yml", version)
        time.sleep(1)
        rollback, back, back_steps = switch(host, "rollback.yml", before)
        time.sleep(1)
    # The next round's release comes after this one's, as the rollback was only measured.
    phases = {
        "at rest": between(asked, begin + 1, begin + REST),
        "fetch and build": between(asked, release.began, release.started),
        "switch": between(asked, release.started, release.drained + 1),
        "switch of a rollback": between(asked, rollback.started, rollback.drained + 1),
    }
    return {
        "round": number,
        "phases": {name: figures(many) for name, many in phases.items()},
        "requests": len(asked),
        "failed": [f"{each.error} at {each.due - release.began:.2f} s" for each in asked if each.error],
        "live": release.live - release.began,
        "drain": release.drained - release.live,
        "back": rollback.live - rollback.began,
        "run": asdict(run),
        "rollback": asdict(back),
        "steps": steps,
        "rollback steps": back_steps,
    }


def figures(asked: Sequence[Asked]) -> dict[str, float]:
    times = [each.ms for each in asked]
    return {
        "requests": len(asked),
        "p50": percentile(times, 0.5),
        "p99": percentile(times, 0.99),
        "slowest": percentile(times, 1.0),
    }


def prepare(suite: str) -> Host:
    host = Host("releases", suite)
    host.write("/etc/bench/constant.py", (HERE / "inside/constant.py").read_text())
    say("releases: the first deployment")
    version = write_release(0)
    host.play(ROOT / "playbooks/site.yml", inventory=INVENTORY)
    expect(host, version)
    return host


def measure(suite: str, rounds: int) -> Report:
    host = prepare(suite)
    found = []
    for number in within(rounds, SECONDS, least=3):
        # After a rollback the release of the round before is not live, but the one before it.
        found.append(one_round(host, number + 1))
        latest = found[-1]
        say(
            f"releases: round {number + 1} of {rounds}: live after {latest['live']:.1f} s, back after "
            f"{latest['back']:.1f} s, {len(latest['failed'])} of {latest['requests']} requests failed"
        )
        host.play(ROOT / "playbooks/site.yml", inventory=INVENTORY)
        expect(host, f"2.0.{number + 1}")
    setting = {"Debian": suite, "nginx": host.version("nginx"), "rounds": str(len(found)), "requests/s": str(RATE)}
    return Report("Releases under load", setting, table(found), targets(found), found, notes=notes(found))


def median(found: Sequence[dict[str, Any]], *path: str) -> float:
    values = []
    for each in found:
        value: Any = each
        for key in path:
            value = value.get(key, 0.0)
        values.append(float(value))
    return statistics.median(values)


def table(found: Sequence[dict[str, Any]]) -> Table:
    rows = [
        [phase, *(f"{median(found, 'phases', phase, key):.{digits}f}" for key, digits in _COLUMNS)]
        for phase in found[0]["phases"]
    ]
    return Table(["medians of the rounds", "requests", "p50, ms", "p99, ms", "slowest, ms"], rows)


_COLUMNS = (("requests", 0), ("p50", 1), ("p99", 1), ("slowest", 1))


def notes(found: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for what, seconds, steps, run in (
        ("a release", "live", "steps", "run"),
        ("a rollback", "back", "rollback steps", "rollback"),
    ):
        names = dict.fromkeys(name for each in found for name in each[steps])
        told = ", ".join(f"{name} {median(found, steps, name):.1f} s" for name in names) or "none over 0.1 s"
        lines.append(
            f"{what}: live {median(found, seconds):.1f} s after the command was given, whole run "
            f"{median(found, run, 'seconds'):.1f} s; steps on the host: {told}"
        )
    lines.append(f"the slot before had drained {median(found, 'drain'):.1f} s after the switch")
    lines += [f"round {each['round']}: {failed}" for each in found for failed in each["failed"][:5]]
    return lines


def targets(found: Sequence[dict[str, Any]]) -> list[Target]:
    def slower(phase: str) -> list[float]:
        return [each["phases"][phase]["p99"] / each["phases"]["at rest"]["p99"] for each in found]

    failed = float(sum(len(each["failed"]) for each in found))
    total = sum(each["requests"] for each in found)
    return [
        Target("p99 during a switch / at rest", spread(slower("switch")), "at most", SLOWER),
        Target(
            "p99 during the switch of a rollback / at rest", spread(slower("switch of a rollback")), "at most", SLOWER
        ),
        # All of them: no median takes a lost request away.
        Target(f"failed requests of {total} in all rounds", spread([failed]), "at most", 0),
        Target("seconds until a change of code is live", spread([each["live"] for each in found]), "at most", LIVE),
        Target("seconds until a rollback is live", spread([each["back"] for each in found]), "at most", BACK),
    ]
