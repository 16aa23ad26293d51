"""The scenario's two hosts, and the role to run against them again; see molecule/shared/verify/fixtures.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "molecule/shared/verify"), str(ROOT / "tools")]

from fixtures import MACHINES, machine, machines, play
from machine import TRUST

__all__ = ["machine", "machines", "play"]


@pytest.fixture(scope="module", autouse=True)
def _trust() -> None:
    # The tests' own authority, and each self-signed pair for itself. For each file again: the pairs are made anew
    # after a test that took the hosts back to what they were before the role.
    for each in MACHINES.values():
        each.run("cat /etc/asgi-tests/authority.pem /etc/nginx/tls/*/current/fullchain.pem >%s", TRUST)
