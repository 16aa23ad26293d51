"""Wait for a deployment, let it go on to a step, and kill it: SIGKILL, as a power cut. Prints whether it was there to
be killed. The steps are seen on disk and not timed, so that a busy machine is no other than an idle one.

kill_release.py building|started|switched|confirmed
"""

import json
import os
import signal
import sys
import time

#: Who holds the lock has written its process id into it, and who started it.
LOCK = "/run/asgi-deploy/notes"
ROOT = "/opt/notes"


def holder() -> "int | None":
    try:
        with open(LOCK, encoding="utf-8") as stream:
            word = stream.read().partition(",")[0]
    except FileNotFoundError:
        return None
    return int(word) if word and os.path.exists(f"/proc/{word}") else None


def links() -> "list[str | None]":
    found = []
    for slot in ("blue", "green"):
        link = f"{ROOT}/slots/{slot}/release"
        found.append(os.readlink(link) if os.path.islink(link) else None)
    return found


def history() -> str:
    with open(f"{ROOT}/history.json", encoding="utf-8") as stream:
        return stream.read()


#: What changes with each step.
SIGNS = {
    "building": lambda: sorted(os.listdir(f"{ROOT}/releases")),
    "started": links,
    "switched": lambda: os.readlink(f"{ROOT}/current.sock"),
    "confirmed": history,
}

sign = SIGNS[sys.argv[1]]
before = sign()
deadline = time.monotonic() + 120
while sign() == before:
    assert time.monotonic() < deadline, "nothing has changed within two minutes"
    time.sleep(0.001)
process = holder()
if process is not None:
    os.kill(process, signal.SIGKILL)
print(json.dumps(process is not None))
