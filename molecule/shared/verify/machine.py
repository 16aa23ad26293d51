"""A host of a scenario: commands in it, and requests to its own loopback."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import testinfra
from testinfra.host import Host

INSIDE = Path(__file__).resolve().parent / "inside"
#: Where the roots that the sites' certificates chain to are kept in the container; Pebble's in most scenarios.
TRUST = "/root/pebble-root.pem"
#: Stands between the parts of curl's output, and in none of them.
_BREAK = "\x1e"


@dataclass
class Answer:
    """What curl got. `code` is curl's own: 0, or what kept it from getting an answer."""

    code: int
    status: int
    version: str
    headers: dict[str, list[str]]
    body: str

    def header(self, name: str) -> str:
        """The value of a header that came exactly once."""
        values = self.headers.get(name, [])
        assert len(values) == 1, f"{name} came {len(values)} times: {values}"
        return values[0]

    def json(self) -> Any:
        return json.loads(self.body)


class Machine:
    def __init__(self, name: str, domain: str) -> None:
        """:param domain: the site's, where a request names none"""
        self.name = name
        self.domain = domain
        self.host: Host = testinfra.get_host(f"docker://{name}")

    def __repr__(self) -> str:
        return self.name

    def run(self, command: str, *arguments: str) -> str:
        """Run a shell command that succeeds, `%s` in it for each argument, and return what it printed."""
        return str(self.host.check_output(command, *arguments))

    def code(self, command: str, *arguments: str) -> int:
        return int(self.host.run(command, *arguments).rc)

    def succeeds(self, command: str, *arguments: str) -> bool:
        return self.code(command, *arguments) == 0

    def both(self, command: str, *arguments: str) -> tuple[int, str]:
        """Run a shell command; return its exit code and all that it printed."""
        done = self.host.run(command, *arguments)
        return int(done.rc), str(done.stdout) + str(done.stderr)

    def python(self, script: str, *arguments: str, interpreter: str = "/usr/bin/python3") -> Any:
        """Run a script of the folder inside/ in the container, and return the JSON that it printed."""
        source = (INSIDE / script).read_text(encoding="utf-8")
        command = shlex.join([interpreter, "-c", source, *arguments])
        return json.loads(self.run(command))

    def background(self, script: str, *arguments: str, interpreter: str = "/usr/bin/python3") -> None:
        source = (INSIDE / script).read_text(encoding="utf-8")
        command = shlex.join([interpreter, "-c", source, *arguments])
        self.run("setsid %s -c %s >/tmp/background.log 2>&1 </dev/null &", "/bin/sh", command)

    def write(self, path: str, text: str) -> None:
        self.run("printf %%s %s >%s", text, path)

    def ask(self, url: str, *options: str) -> Answer:
        """Ask for `url`, a path of the site or a whole URL, over TLS that is verified against the roots in TRUST."""
        whole = url if "://" in url else f"https://{self.domain}{url}"
        command = ["curl", "--silent", "--max-time", "20", "--cacert", TRUST]
        command += ["--write-out", f"{_BREAK}%{{header_json}}{_BREAK}%{{json}}", *options, whole]
        done = self.host.run(shlex.join(command))
        body, headers, summary = str(done.stdout).split(_BREAK)
        told = json.loads(summary)
        return Answer(int(done.rc), told["http_code"], told["http_version"], json.loads(headers or "{}"), body)

    def fingerprint(self, path: str | None = None, also: str = "") -> str:
        """The fingerprint of the certificate at `path`, or of the one that the site serves. :param also: for openssl"""
        served = f"openssl s_client -connect 127.0.0.1:443 -servername {self.domain} </dev/null 2>/dev/null"
        return self.run(
            f"{f'cat {path}' if path else served} | openssl x509 -noout -fingerprint -sha256 {also}"
        ).strip()

    def slot(self) -> str:
        """The live slot."""
        return self.run("basename $(readlink /opt/notes/current.sock) .sock").strip()

    def unit(self) -> str:
        return f"notes@{self.slot()}.service"

    def workers(self) -> set[str]:
        """The process ids of the live slot's workers."""
        master = self.run("systemctl show --property=MainPID --value %s", self.unit()).strip()
        return set(self.run("pgrep --parent %s", master).split())

    def release(self) -> str:
        return self.run("basename $(readlink /opt/notes/current)").strip()

    def releases(self) -> list[str]:
        return self.run("ls /opt/notes/releases").split()

    def active_slots(self) -> list[str]:
        """Units of the application that run or are about to."""
        return self.run("systemctl list-units --plain --no-legend 'notes@*' | cut -d ' ' -f 1 | sort").split()

    def failed_units(self) -> list[str]:
        return self.run("systemctl list-units --failed --plain --no-legend | cut -d ' ' -f 1").split()

    def files(self, *folders: str) -> dict[str, str]:
        """Each file below the folders with its mode, owner, size and time of change; each link with its target."""
        listed = self.run(_FIND.replace("FOLDERS", shlex.join(folders)))
        return dict(line.split("|", 1) for line in listed.splitlines())


_FIND = "find FOLDERS -type f -printf '%p|%m %U:%G %s %C@\\n' -o -type l -printf '%p|-> %l\\n'"


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 15) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
