"""The scenario's proxy and its application hosts, and the playbook to run against them again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "molecule/shared/verify"), str(ROOT / "tools")]

from fixtures import MACHINES, machine, machines, play
from machine import TRUST, Machine

__all__ = ["machine", "machines", "play"]


#: These leave the hosts with more than they found: another boot.
LAST = ("test_death.py",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAST.index(item.path.name) if item.path.name in LAST else -1)


@pytest.fixture(scope="session")
def proxy() -> Machine:
    [found] = [each for name, each in MACHINES.items() if "-proxy1" in name]
    return found


@pytest.fixture(scope="session")
def apps() -> list[Machine]:
    return [each for name, each in MACHINES.items() if "-app" in name]


@pytest.fixture(scope="module", autouse=True)
def _trust(proxy: Machine) -> None:
    # The self-signed pair. For each file again: a test may have made a new one.
    proxy.run("cat /etc/nginx/tls/*/current/fullchain.pem >%s", TRUST)
