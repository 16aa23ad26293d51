"""The scenario's two hosts, and the playbook to run against them again; see molecule/shared/verify/fixtures.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "molecule/shared/verify"), str(ROOT / "tools")]

from fixtures import MACHINES, machine, machines, play
from machine import TRUST

__all__ = ["machine", "machines", "play"]

#: These restart Pebble, which then has another root and knows no account: no renewal works any more.
LAST = ("test_certificate_rescue.py", "test_reboot.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAST.index(item.path.name) if item.path.name in LAST else -1)


@pytest.fixture(scope="session", autouse=True)
def _trust() -> None:
    # Added to what is there: certificates from before a restart of Pebble have another root.
    for each in MACHINES.values():
        each.run("curl --silent --fail --cacert /etc/pebble/ca.pem https://localhost:15000/roots/0 >>%s", TRUST)
