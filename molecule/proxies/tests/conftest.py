"""The scenario's two proxies; see molecule/shared/verify/fixtures.py and floating.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "molecule/shared/verify"), str(ROOT / "tools")]

from fixtures import MACHINES, machine, machines, play
from machine import TRUST
from pebble import Pebble

__all__ = ["machine", "machines", "play"]

#: Starts a host again, whose Pebble has then forgotten everything.
LAST = "test_host_is_gone.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == LAST)


@pytest.fixture(scope="session", autouse=True)
def _trust() -> None:
    # Each host's pages are signed by its own Pebble, and both hosts may be asked for them.
    roots = [Pebble(each).root() for each in MACHINES.values()]
    for each in MACHINES.values():
        each.write(TRUST, "".join(roots))
