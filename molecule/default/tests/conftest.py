"""The scenario's two hosts, and the playbook to run against them again.

A playbook run costs the same for both hosts as for one, so a fixture of a class runs it once on both, and the
class's tests look at each. Every class leaves the hosts as converge left them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "molecule/shared/verify"), str(ROOT / "tools")]

from machine import TRUST, Machine
from playbook import Playbook, scenario

#: These restart Pebble, which then has another root and knows no account: no renewal works any more.
LAST = ("test_certificate_rescue.py", "test_reboot.py")

NAMES = [platform["name"] for platform in scenario()["platforms"]]
_MACHINES = {name: Machine(name) for name in NAMES}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAST.index(item.path.name) if item.path.name in LAST else -1)


@pytest.fixture(scope="session", autouse=True)
def _trust() -> None:
    # Added to what is there: certificates from before a restart of Pebble have another root.
    for machine in _MACHINES.values():
        machine.run("curl --silent --fail --cacert /etc/pebble/ca.pem https://localhost:15000/roots/0 >>%s", TRUST)


@pytest.fixture(scope="session")
def machines() -> list[Machine]:
    """Both hosts."""
    return list(_MACHINES.values())


@pytest.fixture(params=NAMES, ids=[name.split("-")[2] for name in NAMES])
def machine(request: pytest.FixtureRequest) -> Machine:
    """One host; a test that asks for it runs once for each."""
    return _MACHINES[request.param]


@pytest.fixture(scope="session")
def play() -> Playbook:
    """Run the playbook on both hosts as converge did, or with other variables."""
    return Playbook(NAMES, [Path(os.environ["MOLECULE_INVENTORY_FILE"])])
