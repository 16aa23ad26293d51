"""Ask 30 times over new client connections, and after each see which connections nginx holds to the application.

connections.py SOCKET
"""

import http.client
import json
import ssl
import subprocess
import sys

trust = ssl.create_default_context(cafile="/root/pebble-root.pem")
seen = []
for _ in range(30):
    connection = http.client.HTTPSConnection("notes.example.com", timeout=10, context=trust)
    connection.request("GET", "/version")
    assert connection.getresponse().read()
    connection.close()
    listed = subprocess.check_output(["ss", "-Hxn", "state", "established", "src", sys.argv[1]], text=True)
    # Netid RecvQ SendQ Path Inode Peer PeerInode: the inode is new for each connection.
    seen.append([line.split()[-3] for line in listed.splitlines()])
print(json.dumps(seen))
