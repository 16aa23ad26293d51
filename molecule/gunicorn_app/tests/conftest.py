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


#: These leave the hosts with more than they found: applications of others, or another boot.
LAST = ("test_package.py", "test_reboot.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAST.index(item.path.name) if item.path.name in LAST else -1)


@pytest.fixture(scope="module", autouse=True)
def _trust() -> None:
    # The self-signed pairs, each for itself. For each file again: a test may have made new ones.
    for each in MACHINES.values():
        each.run("cat /etc/nginx/tls/*/current/fullchain.pem >%s", TRUST)
