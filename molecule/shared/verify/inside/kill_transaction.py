"""Wait for a transaction of nginx's configuration, let it go on for a moment, and kill it: SIGKILL, as a power cut.

Prints whether it was still there to be killed.

kill_transaction.py SECONDS
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
time.sleep(float(sys.argv[1]))
killed = False
if process is not None and holder() == process:
    os.kill(process, signal.SIGKILL)
    killed = True
print(json.dumps(killed))
