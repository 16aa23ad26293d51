# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nginx of a host: test a configuration, load it, and see what is really being served."""

from __future__ import annotations

import os
import re
import socket
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.nginx_sandbox import reason_of

PID_FILE = "/run/nginx.pid"

#: The name of the lock for a change of what nginx serves, and what to call its holder.
LOCK = ".nginx"
LOCK_HOLDER = "Another change of nginx's configuration"

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


class Nginx:
    """:param run: executes a command, returns its exit code, output and errors

    :param sandbox: the words before a command that run it with what nginx.service may see and write
    """

    def __init__(self, run: Run, status_port: int, sandbox: t.Sequence[str] = ()) -> None:
        self._run = run
        self._status_port = status_port
        self._sandbox = sandbox

    def test(self, configuration: str) -> t.Optional[str]:
        """Return what nginx has against the file ``configuration``, or None. A warning counts:

        it is how nginx announces that a directive will not do what it says.
        """
        code, output, errors = self._ask("-t", configuration, self._sandbox)
        lines = [
            line for line in (output + errors).splitlines() if re.search(r"\[(warn|error|crit|alert|emerg)\]", line)
        ]
        if not lines and code:
            lines = [errors.strip() or "nginx -t failed without a word"]
        reason = reason_of(code, "\n".join(lines)) if self._sandbox else None
        return "\n".join([*lines, reason] if reason else lines) or None

    def listing(self, configuration: str) -> t.Optional[str]:
        """Return all that nginx reads for the file ``configuration``, or None where it cannot.

        Outside the sandbox: a hand's own configuration was never in it.
        """
        code, output, _errors = self._ask("-T", configuration)
        return output if code == 0 else None

    def _ask(self, option: str, configuration: str, words: t.Sequence[str] = ()) -> t.Tuple[int, str, str]:
        had_pid_file = os.path.exists(PID_FILE)
        answer = self._run([*words, "nginx", option, "-c", configuration])
        if not had_pid_file and os.path.exists(PID_FILE) and os.path.getsize(PID_FILE) == 0:
            # The test leaves an empty one, which systemd then takes for nginx's.
            os.unlink(PID_FILE)
        return answer

    def starts_at_boot(self) -> bool:
        return self._run(["systemctl", "is-enabled", "--quiet", "nginx.service"])[0] == 0

    def start_at_boot(self) -> t.Optional[str]:
        """Returns what went wrong, or None."""
        code, _output, errors = self._run(["systemctl", "enable", "--quiet", "nginx.service"])
        return None if code == 0 else errors.strip()

    def load(self) -> t.Optional[str]:
        """Start nginx, or make the running one load its configuration. Returns what went wrong, or None."""
        began = int(time.time())
        active = self._run(["systemctl", "is-active", "--quiet", "nginx.service"])[0] == 0
        if not active:
            # A unit that failed too often refuses to start until it is reset.
            self._run(["systemctl", "reset-failed", "nginx.service"])
        code, _output, errors = self._run(["systemctl", "reload" if active else "start", "nginx.service"])
        if code == 0:
            return None
        # Not what an earlier failure has left there.
        words = ["--since=@{0}".format(began), "--lines=10", "--no-pager", "--output=cat"]
        journal = self._run(["journalctl", "--unit=nginx.service", *words])[1]
        return (errors.strip() + "\n" + journal.strip()).strip()

    def served_generation(self) -> t.Optional[str]:
        """Return the generation that answers, or None where nobody does."""
        return self._told("/generation")

    def served_marks(self) -> t.Optional[str]:
        """Return which marks of hosts nginx has loaded, see host_marks.py; None where it tells of none."""
        return self._told("/marks")

    def _told(self, path: str) -> t.Optional[str]:
        request = "GET {0} HTTP/1.0\r\nHost: localhost\r\n\r\n".format(path).encode("ascii")
        try:
            with socket.create_connection(("127.0.0.1", self._status_port), timeout=2) as connection:
                connection.sendall(request)
                answer = b""
                while len(answer) < 4096:
                    part = connection.recv(4096)
                    if not part:
                        break
                    answer += part
        except OSError:
            return None
        head, _separator, body = answer.partition(b"\r\n\r\n")
        return body.decode("ascii", "replace").strip() if b" 200 " in head.split(b"\r\n")[0] else None

    def confirm(self, generation: str, seconds: float = 10) -> bool:
        """Return whether ``generation`` answers within ``seconds``."""
        return _within(seconds, lambda: self.served_generation() == generation)

    def confirm_marks(self, marks: str, seconds: float = 10) -> bool:
        """Return whether nginx tells of these marks within ``seconds``."""
        return _within(seconds, lambda: self.served_marks() == marks)


def _within(seconds: float, condition: t.Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def explain(message: str, root: str, files: t.Mapping[str, str]) -> str:
    """Return nginx's message with the site it belongs to and the rendered lines around the place.

    :param root: the folder that ``files`` were tested in, as nginx knows it
    :param files: the generation, relative path to text
    """
    parts = [message.replace(root + "/", "")]
    place = re.search(re.escape(root) + r"/([^\s:]+):([0-9]+)", message)
    if place and place[1] in files:
        site = re.match(r"sites/([^/]+)/", place[1])
        if site:
            parts.append("It belongs to the site {0}.".format(site[1]))
        number = int(place[2])
        lines = files[place[1]].splitlines()
        parts.append("{0}:".format(place[1]))
        for index in range(max(1, number - 3), min(len(lines), number + 3) + 1):
            parts.append("{0} {1:4d}  {2}".format(">" if index == number else " ", index, lines[index - 1]))
    return "\n".join(parts)
