"""Programs in the sandbox of an application: as its unit has it, or as it would be with other variables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from machine import Machine
from playbook import ROOT

sys.path.append(str(ROOT / ".ansible/collections"))

from ansible_collections.asgi.deploy.plugins.module_utils.service_sandbox import properties
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer

#: What the template is given where nobody states anything.
CLOSED: dict[str, Any] = {"name": "notes", "sandbox_allow": [], "write_paths": [], "outbound": None}


def sandbox(**variables: Any) -> list[str]:
    """The properties of the sandbox with these variables."""
    text = renderer(str(ROOT / "roles/gunicorn_app"), "gunicorn_app")("parts/sandbox.j2", **{**CLOSED, **variables})
    return properties(text)


def unit_text(machine: Machine) -> str:
    """The live slot's unit, as it lies on the host."""
    return machine.run("cat /etc/systemd/system/%s", machine.unit())


def confined(machine: Machine, program: str, restrictions: Sequence[str]) -> str:
    """Run a program in Python as the application's user within these properties; return what it prints, or the name
    of the OSError that it ends with.
    """
    body = "".join(f"    {line}\n" for line in program.splitlines())
    source = (
        "import ctypes, errno, mmap, os, socket\n"
        f"def main():\n{body}"
        "try:\n    print(main() or 'done')\n"
        "except OSError as error:\n    print(errno.errorcode.get(error.errno, error))\n"
    )
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--property=User=notes"]
    words += [f"--property={item}" for item in restrictions]
    command = " ".join(["%s"] * (len(words) + 3))
    return machine.run(command, *words, "/usr/bin/python3", "-c", source).strip()
