"""Ask the site, over TLS, until the file STOP is there; at most for 300 s and 40,000 requests. Tells what failed, and
which version answered from when to when (seconds since 1970).

load.py STOP REPORT [PAUSE]

PAUSE   seconds that each of the four clients waits after an answer; 0.005 without a value
"""

import http.client
import json
import os
import ssl
import sys
import threading
import time

NAME = "notes.example.com"
SECONDS = 300
EACH = 10000
#: Seconds after which a request is counted as slow.
SLOW = 3

stop, report = sys.argv[1:3]
# The host has other work during a release; this is no benchmark.
pause = float([*sys.argv[3:], "0.005"][0])
trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
deadline = time.monotonic() + SECONDS
lock = threading.Lock()
counts = {"GET": 0, "POST": 0}
failures = []
versions = {}
slowest = 0.0
slow = 0


def connect():
    return http.client.HTTPSConnection(NAME, timeout=15, context=trust)


def ask(connection, method):
    if method == "GET":
        connection.request("GET", "/version")
    else:
        body = json.dumps({"title": "load", "body": "x" * 500})
        connection.request("POST", "/notes", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != (200 if method == "GET" else 201):
        return f"{answer.status} {text[:200]!r}"
    version = json.loads(text).get("version")
    if version is not None:
        now = time.time()
        with lock:
            versions.setdefault(version, [now, now])[1] = now
    return None


def client(method, keep):
    global slowest, slow
    connection = connect()
    for _index in range(EACH):
        if os.path.exists(stop) or time.monotonic() > deadline:
            break
        began = time.monotonic()
        try:
            problem = ask(connection, method)
        except (OSError, http.client.HTTPException) as error:
            problem = repr(error)
        with lock:
            counts[method] += 1
            took = time.monotonic() - began
            slowest = max(slowest, took)
            slow += took > SLOW
            if problem:
                failures.append("{} {} {}".format(time.strftime("%H:%M:%S"), method, problem))
        if problem or not keep:
            connection.close()
            connection = connect()
        time.sleep(pause)
    connection.close()


threads = [threading.Thread(target=client, args=(method, keep)) for method in counts for keep in (True, False)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open(report + ".new", "w") as stream:
    told = {"counts": counts, "failures": failures, "versions": sorted(versions), "spans": versions}
    told.update({"slowest": slowest, "slow": slow})
    json.dump(told, stream)
os.rename(report + ".new", report)
