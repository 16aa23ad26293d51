"""A hook that writes down what it was run with, and then behaves as it is told.

python -m trial.hook WORD [fail|hang]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from trial import BEHAVIOUR, NAME

JOURNAL = "/var/lib/notes/hooks.jsonl"

word, what = sys.argv[1], [*sys.argv[2:], "pass"][0]
live = "/opt/notes/current.sock"
record = {
    "word": word,
    "version": NAME,
    "time": time.time(),
    "user": os.getuid(),
    "folder": os.getcwd(),
    "prefix": sys.prefix,
    "greeting": os.environ.get("TRIAL_GREETING"),
    "live": os.readlink(live) if os.path.islink(live) else None,
}
with open(JOURNAL, "a", encoding="utf-8") as stream:
    stream.write(json.dumps(record) + "\n")
print(f"The hook {word} has run for {os.environ.get('TRIAL_SECRET', 'nobody')}.")
if what == "fail" or (word == "migrate" and BEHAVIOUR == "hook"):
    print("column notes.title already exists", file=sys.stderr)
    sys.exit(7)
if what == "hang":
    print("waiting for a lock on the table notes", flush=True)
    # A child as well: what a hook has started ends with it.
    subprocess.run(["sleep", "987654"], check=False)
