"""Last: the host that has the address loses its power, and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import pytest
from containers import wait_until_booted
from floating import asked, floating, holder_of, holders, is_ready, wait_for_holder
from machine import Machine, wait_for


@contextmanager
def without_power(machine: Machine) -> Iterator[None]:
    client = docker.from_env()
    container = client.containers.get(machine.name)
    # Docker writes the file anew when it starts the container.
    names = machine.run("cat /etc/hosts")
    container.kill()
    try:
        yield
    finally:
        container.start()
        wait_until_booted(container)
        machine.write("/etc/hosts", names)
        client.close()


def test_the_other_host_takes_over_and_keeps_the_address(
    machines: list[Machine], capsys: pytest.CaptureFixture[str]
) -> None:
    holder, other = holder_of(machines)
    address = floating(other)
    with asked(other) as found:
        began = time.monotonic()
        with without_power(holder):
            wait_for_holder([other], other)
            moved = time.monotonic() - began
        wait_for("the first host is ready again", lambda: is_ready(holder))
        # It would come back within four adverts.
        time.sleep(2.5)
    with capsys.disabled():
        print(f"\npower off: taken over after {moved:.1f} s; {found}")
    assert holders(machines, address) == [other]
    assert found["pages"] == [holder.name, other.name]
    assert found["longest"] < 4, found
