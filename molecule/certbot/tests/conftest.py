"""The scenario's two hosts and their ACME servers; see molecule/shared/verify/fixtures.py and pebble.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "molecule/shared/verify"), str(ROOT / "tools")]

from fixtures import MACHINES, machine, machines, play
from lineages import no_longer_due
from pebble import Pebble

__all__ = ["machine", "machines", "play"]


@pytest.fixture(scope="session", autouse=True)
def _trust() -> None:
    for each in MACHINES.values():
        Pebble(each).trust()


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_due() -> Iterator[None]:
    """A lineage that a file has left due would be renewed, or fail, in the next one's runs of the timer's unit."""
    yield
    for each in MACHINES.values():
        no_longer_due(each)
