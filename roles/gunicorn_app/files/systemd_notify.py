# Managed by Ansible (asgi.deploy, role gunicorn_app).
"""What systemd is told, by the socket that it names: READY, and that the loop turns."""

import contextlib
import os
import socket

_address = None
_watched = False


def take_notify_socket():
    """Take systemd's socket out of the environment, so that nobody says READY too early."""
    global _address, _watched
    address = os.environ.pop("NOTIFY_SOCKET", None)
    _address = "\0" + address[1:] if address and address.startswith("@") else address
    _watched = os.environ.pop("WATCHDOG_USEC", None) is not None
    os.environ.pop("WATCHDOG_PID", None)


def say_ready():
    """Tell systemd that the start has succeeded, and wait until it can hear that."""
    if _address is not None:
        _say(b"READY=1\nSTATUS=A worker serves.", wait=True)


def say_alive():
    """Tell systemd that the loop turns, where the unit asks for it; if it has no ear now, then the next time."""
    if _address is not None and _watched:
        with contextlib.suppress(OSError):
            _say(b"WATCHDOG=1", wait=False)


def _say(words, wait):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.setblocking(wait)
        connection.connect(_address)
        connection.send(words)
