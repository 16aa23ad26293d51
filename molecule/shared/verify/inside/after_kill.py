"""Kill a process, and ask the site at once and again: prints each answer's status, or the error.

With UNIT, the questions begin when systemd has seen its death and ended what it left: what was in the hands of the
dying is lost, whoever restarts it.

after_kill.py PID [UNIT]
"""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time

trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
os.kill(int(sys.argv[1]), signal.SIGKILL)
for unit in sys.argv[2:]:
    deadline = time.monotonic() + 5
    while subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0:
        assert time.monotonic() < deadline, "systemd did not notice"
answers = []
for method, path in [("GET", "/version"), ("POST", "/notes")] * 5:
    connection = http.client.HTTPSConnection("notes.example.com", timeout=15, context=trust)
    try:
        connection.request(method, path, '{"title": "after"}', {"Content-Type": "application/json"})
        answers.append(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        answers.append(repr(error))
    finally:
        connection.close()
print(json.dumps(answers))
