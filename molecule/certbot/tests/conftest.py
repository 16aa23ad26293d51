"""The scenario's two hosts and their ACME servers; see molecule/shared/verify/fixtures.py and pebble.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "molecule/shared/verify"), str(ROOT / "tools")]

from fixtures import MACHINES, machine, machines, play
from pebble import Pebble

__all__ = ["machine", "machines", "play"]


@pytest.fixture(scope="session", autouse=True)
def _trust() -> None:
    for each in MACHINES.values():
        Pebble(each).trust()
