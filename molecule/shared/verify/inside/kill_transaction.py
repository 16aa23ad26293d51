"""Wait for a transaction of nginx's configuration, let it go on to a step, and kill it: SIGKILL, as a power cut.

Prints whether it was still there to be killed. The steps are seen on disk and not timed, so that a busy machine is no
other than an idle one.

kill_transaction.py locked|staged|kept|switched|confirmed|marked
"""

import json
import os
import signal
import sys
import time

#: Who holds the lock has written its process id into it.
LOCK = "/run/asgi-deploy/.nginx"
HOME = "/etc/nginx/deploy"


def holder() -> "int | None":
    try:
        with open(LOCK, encoding="ascii") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    process = text.partition(",")[0]
    return int(process) if process and os.path.exists(f"/proc/{process}") else None


def text_of(name: str) -> str:
    with open(f"{HOME}/{name}", encoding="ascii") as stream:
        return stream.read()


#: What changes with each step.
SIGNS = {
    "locked": holder,
    "staged": lambda: sorted(os.listdir(HOME)),
    "kept": lambda: sorted(os.listdir(f"{HOME}/generations")),
    "switched": lambda: os.readlink(f"{HOME}/current"),
    "confirmed": lambda: text_of("history"),
    # By the health checks.
    "marked": lambda: text_of("current/http/applications.conf"),
}

sign = SIGNS[sys.argv[1]]
before = sign()
deadline = time.monotonic() + 120
while holder() is None:
    assert time.monotonic() < deadline, "no transaction within two minutes"
    time.sleep(0.001)
process = holder()
while sign() == before and holder() == process:
    time.sleep(0.001)
killed = process is not None and holder() == process
if killed:
    os.kill(process, signal.SIGKILL)
print(json.dumps(killed))
