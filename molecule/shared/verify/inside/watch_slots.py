"""Note each change of an application's slots until the file STOP is there, at most for 300 s: where the live link
leads, what each slot runs, which sockets there are, and how often a probe was made. Prints [seconds since 1970, what].

watch_slots.py STOP REPORT [NAME]
"""

import json
import os
import sys
import time

stop, report = sys.argv[1:3]
name = [*sys.argv[3:], "notes"][0]
ROOT = f"/opt/{name}"


def target(link: str) -> "str | None":
    try:
        return os.readlink(link)
    except OSError:
        return None


def now() -> "dict[str, str | None]":
    live = target(f"{ROOT}/current.sock")
    seen = {"live": live and os.path.basename(live).partition(".")[0]}
    for slot in ("blue", "green"):
        release = target(f"{ROOT}/slots/{slot}/release")
        seen[slot] = release and os.path.basename(release)
        seen[f"{slot} socket"] = "there" if os.path.exists(f"/run/{name}/{slot}.sock") else None
        seen[f"{slot} probe"] = "there" if os.path.exists(f"{ROOT}/slots/{slot}/probe") else None
    return seen


changes = []
before = None
deadline = time.monotonic() + 300
while not os.path.exists(stop) and time.monotonic() < deadline:
    seen = now()
    if seen != before:
        changes.append([time.time(), seen])
        before = seen
    time.sleep(0.005)
with open(report + ".new", "w", encoding="utf-8") as stream:
    json.dump(changes, stream)
os.rename(report + ".new", report)
