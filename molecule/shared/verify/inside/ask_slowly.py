"""Ask an address for a page again and again, twenty times a second at most, each time over a new TLS connection.

ask_slowly.py ADDRESS NAME STOP REPORT     until the file STOP is there, 40 seconds at most

With the first answer there is a file REPORT.begun. Into REPORT: how many were answered and how many were not, the
longest time between two answers, and whose page came (its text), an entry for each change.
"""

import http.client
import json
import os
import socket
import ssl
import sys
import time

ADDRESS, NAME, STOP, REPORT = sys.argv[1:]
TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TRUST.check_hostname = False
TRUST.verify_mode = ssl.CERT_NONE


class Connection(http.client.HTTPSConnection):
    def connect(self):
        self.sock = TRUST.wrap_socket(socket.create_connection((ADDRESS, 443), 0.5), server_hostname=NAME)


def page():
    connection = Connection(NAME, timeout=0.5)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.read().decode().strip() if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


answered = failed = 0
longest, pages = 0.0, []
began = last = time.monotonic()
while not os.path.exists(STOP) and time.monotonic() - began < 40:
    asked = time.monotonic()
    text = page()
    if text is None:
        failed += 1
    else:
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        answered += 1
        if not pages:
            open(REPORT + ".begun", "w").close()
        if pages[-1:] != [text]:
            pages.append(text)
    time.sleep(max(0.0, asked + 0.05 - time.monotonic()))
told = {"answered": answered, "failed": failed, "longest": round(longest, 2), "pages": pages}
with open(REPORT + ".new", "w") as stream:
    json.dump(told, stream)
os.rename(REPORT + ".new", REPORT)
