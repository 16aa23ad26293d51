"""Read an answer line by line, and print after how many seconds each line arrived. (Of one that is cut short Python
tells nothing: count the lines.)

lines.py '{"name": "streams.example.test", "path": "/?lines=20&every=1"}'

headers   of the request
pause     seconds to wait after each line: a slow client
"""

import http.client
import json
import socket
import ssl
import sys
import time

wanted = json.loads(sys.argv[1])
trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
trust.check_hostname = False
trust.verify_mode = ssl.CERT_NONE
connection = http.client.HTTPSConnection(wanted["name"], timeout=60, context=trust)
connection.sock = trust.wrap_socket(socket.create_connection(("127.0.0.1", 443), 10), server_hostname=wanted["name"])
connection.sock.settimeout(60)
began = time.monotonic()
connection.request("GET", wanted["path"], headers=wanted.get("headers", {}))
answer = connection.getresponse()
lines, error = [], None
try:
    while line := answer.readline():
        lines.append([round(time.monotonic() - began, 3), line.decode().rstrip()])
        time.sleep(wanted.get("pause", 0))
except (OSError, http.client.HTTPException) as problem:
    error = repr(problem)
print(
    json.dumps(
        {
            "status": answer.status,
            "headers": {name.lower(): value for name, value in answer.getheaders()},
            "lines": lines,
            "error": error,
            "seconds": time.monotonic() - began,
        }
    )
)
