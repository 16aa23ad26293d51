"""Look at the command lines of all processes, which everybody on the host can read, for words, until the file STOP is
there, at most for 180 s. Prints what was found, and how often it looked.

watch_secrets.py STOP REPORT WORDS

WORDS   file with the words, one a line: this program's own command line must not hold them
"""

import json
import os
import sys
import time

stop, report, words = sys.argv[1:]
with open(words, "rb") as stream:
    WORDS = [line for line in stream.read().split(b"\n") if line]
found, looks = set(), 0
deadline = time.monotonic() + 180
while not os.path.exists(stop) and time.monotonic() < deadline:
    looks += 1
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as stream:
                line = stream.read()
        except OSError:
            continue
        if any(word in line for word in WORDS):
            with open(f"/proc/{process}/comm", "rb") as stream:
                found.add(stream.read().decode().strip())
    time.sleep(0.03)
with open(report + ".new", "w", encoding="utf-8") as stream:
    json.dump({"found": sorted(found), "looks": looks}, stream)
os.rename(report + ".new", report)
