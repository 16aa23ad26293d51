"""Be a browser with a page of each release, until the file STOP is there; at most for 300 s.

ask_assets.py STOP REPORT FIRST

Asks /version, and then for the assets that a page of that release, and one of the release FIRST, names: the hashed file
of each, and /static/style.css. Tells what was not there, and each content of the style sheet with its ETag, in order.
"""

import http.client
import json
import os
import ssl
import sys
import time

NAME = "notes.example.com"

stop, report, first = sys.argv[1:]
trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
deadline = time.monotonic() + 300
missing = []
versions = []
styles = []
count = 0


def note(values, value):
    if values[-1:] != [value]:
        values.append(value)


def get(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        missing.append(f"{time.time():.2f} {path}: {answer.status}")
    return text, answer.getheader("ETag")


while not os.path.exists(stop) and time.monotonic() < deadline:
    connection = http.client.HTTPSConnection(NAME, timeout=15, context=trust)
    try:
        version = json.loads(get(connection, "/version")[0])["version"]
        note(versions, version)
        for release in {version, first}:
            text, _tag = get(connection, f"/static/app.{release}.js")
            if text != f"release {release}":
                missing.append(f"{time.time():.2f} app.{release}.js has {text!r}")
        note(styles, get(connection, "/static/style.css"))
        count += 1
    except (OSError, http.client.HTTPException, ValueError) as error:
        missing.append(f"{time.time():.2f} {error!r}")
    finally:
        connection.close()
    time.sleep(0.02)
with open(report + ".new", "w") as stream:
    json.dump({"missing": missing, "versions": versions, "styles": styles, "count": count}, stream)
os.rename(report + ".new", report)
