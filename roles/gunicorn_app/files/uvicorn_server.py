# Managed by Ansible (asgi.deploy, role gunicorn_app).
"""One process of Uvicorn without Gunicorn, on the socket that systemd hands over.

uvicorn_server.py package.module:application
"""

import os
import socket
import sys

import slot_logging
import slot_settings
from draining_server import DrainingServer, options
from systemd_notify import say_ready, take_notify_socket
from uvicorn.config import Config

#: The first of the descriptors that systemd hands over.
FIRST = 3


def inherited_sockets():
    if os.environ.pop("LISTEN_PID", None) != str(os.getpid()):
        raise SystemExit("There is no socket from systemd: start the unit instead of this file.")
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    os.environ.pop("LISTEN_FDNAMES", None)
    return [socket.socket(fileno=descriptor) for descriptor in range(FIRST, FIRST + count)]


def main(module):
    take_notify_socket()
    sockets = inherited_sockets()
    # Python has put the folder of this file first; the application lies in the working directory.
    sys.path.insert(0, os.getcwd())
    factory = module.endswith("()")
    config = Config(
        module[:-2] if factory else module,
        factory=factory,
        log_config=slot_logging.settings(slot_settings.LOG_LEVEL, slot_settings.LOG_FORMAT, slot_settings.ACCESS_LOG),
        access_log=slot_settings.ACCESS_LOG,
        timeout_keep_alive=slot_settings.KEEPALIVE,
        # Only nginx can reach the socket, and it overwrites X-Forwarded-For with the client's address.
        forwarded_allow_ips="*",
        **options(),
    )
    server = DrainingServer(config, serving=say_ready)
    server.run(sockets=sockets)
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
