"""Say something before the handshake, as a load balancer does with the PROXY protocol; then ask, and print the answer.

proxy_protocol.py '{"source": ADDRESS, "preamble": TEXT, "name": SITE, "port": 443, "path": "/", "lines": []}'

Printed: the whole answer, empty where the connection ended without one. Port 80 is spoken to without TLS.
"""

import json
import socket
import ssl
import sys

wanted = json.loads(sys.argv[1])
answer = b""
try:
    connection = socket.create_connection(("127.0.0.1", wanted["port"]), 10, (wanted["source"], 0))
    connection.sendall(wanted["preamble"].encode())
    if wanted["port"] == 443:
        trust = ssl.create_default_context(cafile="/etc/asgi-tests/authority.pem")
        connection = trust.wrap_socket(connection, server_hostname=wanted["name"])
    lines = [f"Host: {wanted['name']}", "Connection: close", *wanted["lines"]]
    connection.sendall("\r\n".join([f"GET {wanted['path']} HTTP/1.1", *lines, "", ""]).encode())
    while part := connection.recv(65536):
        answer += part
except (ConnectionError, ssl.SSLError):
    pass
print(json.dumps(answer.decode("latin-1")))
