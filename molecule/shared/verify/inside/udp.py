"""Write each datagram that arrives at a port of loopback to a file, a line each, for at most two minutes.

Its process id is in FILE.pid.

udp.py PORT FILE
"""

import os
import socket
import sys
import time

with open(sys.argv[2] + ".pid", "w") as stream:
    stream.write(str(os.getpid()))
deadline = time.monotonic() + 120
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener, open(sys.argv[2], "wb", buffering=0) as log:
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    while (left := deadline - time.monotonic()) > 0:
        listener.settimeout(left)
        try:
            log.write(listener.recv(65536).rstrip(b"\n") + b"\n")
        except TimeoutError:
            break
