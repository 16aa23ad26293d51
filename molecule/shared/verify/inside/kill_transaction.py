"""Wait for a transaction of nginx's configuration, let it go on for a moment, and kill it: SIGKILL, as a power cut.

Prints whether it was still there to be killed. Without SECONDS it is left alone; prints how many seconds it took.

kill_transaction.py [SECONDS]
"""

import json
import os
import signal
import sys
import time

#: Who holds the lock has written its process id into it.
LOCK = "/run/asgi-deploy/.nginx"


def holder() -> "int | None":
    try:
        with open(LOCK, encoding="ascii") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    return int(text) if text and os.path.exists(f"/proc/{text}") else None


deadline = time.monotonic() + 120
process = holder()
while process is None and time.monotonic() < deadline:
    time.sleep(0.005)
    process = holder()
assert process is not None, "no transaction within two minutes"
began = time.monotonic()
if len(sys.argv) == 1:
    while holder() == process:
        time.sleep(0.005)
    print(json.dumps(time.monotonic() - began))
else:
    time.sleep(float(sys.argv[1]))
    killed = holder() == process
    if killed:
        os.kill(process, signal.SIGKILL)
    print(json.dumps(killed))
