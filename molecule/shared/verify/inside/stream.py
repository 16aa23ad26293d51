"""Read /stream, and print after how many seconds each line arrived."""

import http.client
import json
import ssl
import time

trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
connection = http.client.HTTPSConnection("notes.example.com", timeout=10, context=trust)
connection.request("GET", "/stream?lines=4&delay_ms=300")
answer = connection.getresponse()
arrivals = []
while line := answer.readline():
    arrivals.append({**json.loads(line), "at": time.monotonic()})
print(json.dumps(arrivals))
