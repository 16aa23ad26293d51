"""Run the steps of `make test`, two at a time, and count everything.

    run_tests.py [lint|unit|example|server|nginx|molecule]...      all of them when none is named

Each step's output goes to build/logs/<step>.log; that of a failed step is printed whole. The last line is
`N passed, N failed`. Whatever a step leaves behind (containers, networks, an engine that was not running
before) is removed, also after a failure and on Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time

from steps import GROUPS, JUNIT, ROOT, Count, Step, select

LOGS = ROOT / "build/logs"
#: More would only make every step slower on the two cores that CI machines have.
AT_ONCE = 2


class Runner:
    def __init__(self) -> None:
        self.began = time.monotonic()
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.finished: queue.Queue[tuple[Step, int, float]] = queue.Queue()
        self.counts: dict[str, Count] = {}

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:5.0f} s] {text}", flush=True)

    def start(self, step: Step) -> None:
        # A session of its own: Ctrl-C comes to us only, and we end the step with all its children.
        self.running[step.name] = process = subprocess.Popen(
            step.argv,
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self.follow, args=(step, process), daemon=True).start()

    def follow(self, step: Step, process: subprocess.Popen[str]) -> None:
        """Write the step's output to its log, and show the lines that tell how far it is."""
        began = time.monotonic()
        assert process.stdout is not None
        with (LOGS / f"{step.name}.log").open("w") as log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                if step.show and (match := step.show.search(line.rstrip())):
                    self.say(f"{step.name}: {match[1]}")
        self.finished.put((step, process.wait(), time.monotonic() - began))

    def conclude(self, step: Step, code: int, seconds: float) -> None:
        process = self.running.pop(step.name)
        log = (LOGS / f"{step.name}.log").read_text(errors="replace")
        count = self.counts[step.name] = step.count(code, log)
        if not self.is_gone(process) and self.end(process):
            count.failed += 1
            count.notes.append("left processes behind")
        notes = "".join(f", {note}" for note in count.notes)
        verdict = "FAILED" if count.failed else "ok"
        self.say(f"{step.name}: {verdict} ({count.passed} passed, {count.failed} failed{notes}; {seconds:.0f} s)")
        if count.failed:
            print(f"----- build/logs/{step.name}.log\n{log.rstrip()}\n-----", flush=True)

    def run(self, steps: list[Step]) -> None:
        pending = list(steps)
        while pending or self.running:
            for step in list(pending):
                before = self.counts.get(step.after) if step.after else Count()
                if before is not None and before.failed:
                    pending.remove(step)
                    self.counts[step.name] = Count(failed=1)
                    self.say(f"{step.name}: FAILED (not run: {step.after} failed)")
                elif before is not None and len(self.running) < AT_ONCE:
                    pending.remove(step)
                    self.start(step)
            if self.running:
                self.conclude(*self.finished.get())

    def is_gone(self, process: subprocess.Popen[str]) -> bool:
        """Return whether nothing of a step is left. What has ended with it may take a moment to be collected."""
        for _ in range(20):
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.1)
        return False

    def end(self, process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> bool:
        """End what still runs of a step, and say whether something did."""
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return False
        return True

    def stop(self) -> None:
        # As Ctrl-C would have: Ansible, Molecule and pytest then remove their temporary files.
        for process in self.running.values():
            self.end(process, signal.SIGINT)
        for process in self.running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                self.end(process, signal.SIGKILL)


def engine_runs() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def clean_up(engine_ran: bool) -> None:
    subprocess.run(["tools/remove.sh", "test"], cwd=ROOT, check=False)
    if not engine_ran:
        subprocess.run(["tools/engine.sh", "down"], cwd=ROOT, check=False)


def interrupted(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("group", nargs="*", choices=[*GROUPS, []], help="what to run; everything when none is named")
    steps = select(parser.parse_args().group)
    LOGS.mkdir(parents=True, exist_ok=True)
    # A report of an earlier run must not be taken for one of this run.
    shutil.rmtree(JUNIT, ignore_errors=True)
    JUNIT.mkdir(parents=True)
    (ROOT / "build/pytest").mkdir(exist_ok=True)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)

    runner = Runner()
    engine_ran = engine_runs()
    try:
        runner.run(steps)
    except KeyboardInterrupt as signalled:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        runner.say(f"{signalled}: stopping")
        runner.stop()
        return 130
    finally:
        if any(step.after == "images" for step in steps):
            clean_up(engine_ran)
    runner.say("all steps done")
    passed = sum(count.passed for count in runner.counts.values())
    failed = sum(count.failed for count in runner.counts.values())
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0 or passed == 0)


if __name__ == "__main__":
    sys.exit(main())
