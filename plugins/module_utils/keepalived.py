# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""keepalived on a host: its unit, its test of a configuration, and who has the addresses that it is for."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import tempfile
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import LOCKS, write_file

UNIT = "keepalived.service"
CONFIG = "/etc/keepalived/keepalived.conf"
#: Begins the first line of every file of this collection.
MARK = "# Managed by Ansible (asgi.deploy, "

#: There from before a change until the change is confirmed: a run that was killed in between has left one.
PENDING = LOCKS + "/.floating-address-pending"

#: Seconds for an address to be held after a change: two checks of nginx, three adverts that do not come, and time for
#: a slow host.
PATIENCE = 15
#: Seconds for which the answer has to stay the same.
STEADY = 1.5
_PAUSE = 0.25

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


def is_foreign(text: t.Optional[str]) -> bool:
    """Return whether a configuration is somebody else's. An empty file is nobody's."""
    return bool(text and text.strip()) and MARK not in (text or "")


class Keepalived:
    def __init__(self, run: Run, status_port: int, addresses: t.Sequence[str]) -> None:
        """:param addresses: those that one of the hosts is to hold, without prefix lengths"""
        self._run = run
        self._status_port = status_port
        self.addresses = addresses

    def state(self) -> t.Dict[str, str]:
        """Return properties of the unit."""
        properties = "--property=ActiveState,UnitFileState,NeedDaemonReload"
        output = self._run(["systemctl", "show", properties, UNIT])[1]
        return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)

    def systemctl(self, *words: str) -> None:
        """:raises ValueError: with systemd's words, and the last of keepalived's"""
        code, output, errors = self._run(["systemctl", *words])
        if code:
            said = (errors or output).strip()
            raise ValueError("systemctl {0}: {1}\n{2}".format(" ".join(words), said, self.last_words()).strip())

    def last_words(self) -> str:
        return self._run(["journalctl", "--unit", UNIT, "--lines=10", "--no-pager", "--output=cat"])[1].strip()

    def test(self, path: str) -> t.Optional[str]:
        """Return what is wrong with the configuration at ``path``, or None.

        keepalived 2.2.7 ends itself with SIGTERM before the end of a test whose parent has a number: it takes that for
        the end of a main process. As the first of a namespace it has no parent.
        """
        command = ["unshare", "--pid", "--fork", "keepalived", "--config-test", "--use-file=" + path]
        code, output, errors = self._run(command)
        return None if code == 0 else (output + errors).strip().replace(path, CONFIG) or "exit code {0}".format(code)

    def test_text(self, text: str, program: str, program_text: str) -> t.Optional[str]:
        """Test a configuration that is not on the host yet, and whose ``program`` may not be there either."""
        # Not in a folder that only root can enter: the program is run by another user.
        folder = tempfile.mkdtemp(prefix="asgi-deploy-")
        try:
            os.chmod(folder, 0o755)
            staged = os.path.join(folder, os.path.basename(program))
            write_file(staged, program_text, 0o755)
            config = os.path.join(folder, "keepalived.conf")
            write_file(config, text.replace('"{0} '.format(program), '"{0} '.format(staged)))
            return self.test(config)
        finally:
            shutil.rmtree(folder)

    def nginx_answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._status_port), timeout=2) as connection:
                connection.sendall(b"GET /generation HTTP/1.0\r\n\r\n")
                return b" 200 " in connection.recv(64)
        except OSError:
            return False

    def held(self) -> t.List[str]:
        """Return those of the addresses that this host has."""
        output = self._run(["ip", "-o", "addr", "show"])[1]
        own = set(re.findall(r"\binet6? ([0-9a-f.:]+)", output))
        return [address for address in self.addresses if address in own]

    def missing(self) -> t.List[str]:
        """Return those of the addresses that neither this host nor another one has."""
        held = self.held()
        return [address for address in self.addresses if address not in held and not answers(address)]

    def settle(self) -> t.Optional[str]:
        """Wait until each address is held, and goes on to be where it is. Returns what is wrong, or None."""
        deadline = time.monotonic() + PATIENCE
        before: t.Optional[t.List[str]] = None
        since = time.monotonic()
        while True:
            problem = self._problem()
            held = self.held()
            now = time.monotonic()
            if problem or held != before:
                before, since = held, now
            if not problem and now - since >= STEADY:
                return None
            if now > deadline:
                return problem or "the address goes to and fro between hosts"
            time.sleep(_PAUSE)

    def _problem(self) -> t.Optional[str]:
        state = self.state().get("ActiveState")
        if state != "active":
            return "keepalived.service is {0}:\n{1}".format(state, self.last_words())
        missing = self.missing()
        if not missing:
            return None
        return "no host holds {0} after {1} seconds; keepalived says:\n{2}".format(
            ", ".join(missing), PATIENCE, self.last_words()
        )


def answers(address: str) -> bool:
    """Return whether some host has ``address``. One that refuses the connection has it, too."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(1)
        try:
            connection.connect((address, 80))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return True
