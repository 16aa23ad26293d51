"""Who has the floating address of the scenario proxies, and what somebody meets who asks it meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from machine import Machine, wait_for

NAME = "shop.example.test"
CONFIG = "/etc/keepalived/keepalived.conf"


def floating(machine: Machine) -> str:
    """The address, by the name that leads to it."""
    return machine.run(f"getent hosts {NAME}").split()[0]


def holders(machines: Sequence[Machine], address: str | None = None) -> list[Machine]:
    """The hosts that have the address. :param address: another one than the scenario's"""
    wanted = address or floating(machines[0])
    return [machine for machine in machines if f" {wanted}/" in machine.run("ip -o addr show")]


def holder_of(machines: Sequence[Machine]) -> tuple[Machine, Machine]:
    """The host that has the address, and the other one."""
    found = holders(machines)
    assert len(found) == 1, f"held by {found}"
    return found[0], next(machine for machine in machines if machine is not found[0])


def wait_for_holder(machines: Sequence[Machine], wanted: Machine, seconds: float = 15) -> None:
    wait_for(f"{wanted} holds the address alone", lambda: holders(machines) == [wanted], seconds)


def is_ready(machine: Machine) -> bool:
    """Whether keepalived of a host would take the address now: its last word on nginx is good."""
    said = machine.run(
        "journalctl --unit keepalived.service --output=cat "
        "_SYSTEMD_INVOCATION_ID=$(systemctl show --property=InvocationID --value keepalived.service)"
    )
    return said.rfind("succeeded") > max(said.rfind("failed"), said.rfind("timed out"))


@contextmanager
def asked(machine: Machine) -> Iterator[dict[str, Any]]:
    """Ask the address from a host as long as the block runs; the report is there after it. See inside/ask_slowly.py."""
    stop, report = "/tmp/asked.stop", "/tmp/asked.json"
    machine.run(f"rm -f {stop} {report} {report}.begun")
    found: dict[str, Any] = {}
    machine.background("ask_slowly.py", floating(machine), NAME, stop, report)
    try:
        wait_for("the first answer", partial(machine.succeeds, f"test -e {report}.begun"))
        yield found
    finally:
        machine.run(f"touch {stop}")
    wait_for("the report of ask_slowly.py", partial(machine.succeeds, f"test -e {report}"))
    found.update(json.loads(machine.run(f"cat {report}")))
