"""Read key files with the module's own code and the host's gpg. Prints, for each, what became of it: the keyring's size
and whether the same is read from that again, or the refusal.

signing_keys.py LIBRARY CASES    CASES: JSON, a list of pairs: a file, by its URL or in base64, and the trusted keys
"""

import base64
import json
import subprocess
import sys

sys.path.insert(0, sys.argv[1])

import signing_key


def run(command):  # type: ignore[no-untyped-def]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


results = []
for given, trusted in json.loads(sys.argv[2]):
    try:
        if given.startswith("http://"):
            keyring = signing_key.fetch_keyring(run, given, trusted)
        else:
            keyring = signing_key.keyring_of(run, base64.b64decode(given), trusted)
        results.append([len(keyring), signing_key.keyring_of(run, keyring, trusted) == keyring])
    except ValueError as error:
        results.append(str(error))
print(json.dumps(results))
