"""Ask the site, over TLS, until the file STOP is there; at most for 120 s and 20,000 requests. Prints what failed.

load.py STOP REPORT
"""

import http.client
import json
import os
import ssl
import sys
import threading
import time

NAME = "notes.example.com"
SECONDS = 120
EACH = 5000

stop, report = sys.argv[1:]
trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
deadline = time.monotonic() + SECONDS
lock = threading.Lock()
counts = {"GET": 0, "POST": 0}
failures = []
versions = set()


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
    if method == "GET":
        versions.add(json.loads(text)["version"])
    return None


def client(method, keep):
    connection = connect()
    for _index in range(EACH):
        if os.path.exists(stop) or time.monotonic() > deadline:
            break
        try:
            problem = ask(connection, method)
        except (OSError, http.client.HTTPException) as error:
            problem = repr(error)
        with lock:
            counts[method] += 1
            if problem:
                failures.append("{} {} {}".format(time.strftime("%H:%M:%S"), method, problem))
        if problem or not keep:
            connection.close()
            connection = connect()
        # The host has other work during a release; this is no benchmark.
        time.sleep(0.005)
    connection.close()


threads = [threading.Thread(target=client, args=(method, keep)) for method in counts for keep in (True, False)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open(report + ".new", "w") as stream:
    json.dump({"counts": counts, "failures": failures, "versions": sorted(versions)}, stream)
os.rename(report + ".new", report)
