"""A host that nobody reaches any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from machine import Machine

#: Packets are dropped, both ways, as by a cable that is cut: nobody is told anything.
CUT = """\
table inet cut {
    chain input { type filter hook input priority -10; iif lo accept; drop; }
    chain output { type filter hook output priority -10; oif lo accept; drop; }
}
"""


@contextmanager
def cut_off(machine: Machine) -> Iterator[None]:
    machine.write("/root/cut.nft", CUT)
    machine.run("nft -f /root/cut.nft")
    try:
        yield
    finally:
        machine.run("nft delete table inet cut")
