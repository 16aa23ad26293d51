"""Send bytes (a JSON string) to a port of this host, and print what came back before the connection ended.

raw.py PORT TEXT
"""

import json
import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as connection:
    connection.sendall(json.loads(sys.argv[2]).encode("latin-1"))
    answer = b""
    try:
        while part := connection.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
print(json.dumps(answer.decode("latin-1")))
