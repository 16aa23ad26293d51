"""What the tests of a scenario share: its hosts, and the playbook to run against them again.

A playbook run costs the same for all hosts as for one, so a fixture of a class runs it once on all, and the class's
tests look at each. Every class leaves the hosts as converge left them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from machine import Machine
from playbook import Playbook, scenario

NAMES = [platform["name"] for platform in scenario()["platforms"]]
#: The site that is asked where a test names none.
DOMAINS = {
    "certbot": "shop.example.test",
    "default": "notes.example.com",
    "fleet": "notes.example.com",
    "gunicorn_app": "notes.example.com",
    "nginx_proxy": "everything.example.test",
    "proxies": "shop.example.test",
}
MACHINES = {name: Machine(name, DOMAINS[scenario()["scenario"]["name"]]) for name in NAMES}


@pytest.fixture(scope="session")
def machines() -> list[Machine]:
    """All hosts."""
    return list(MACHINES.values())


@pytest.fixture(params=NAMES, ids=[name.split("-")[2] for name in NAMES])
def machine(request: pytest.FixtureRequest) -> Machine:
    """One host; a test that asks for it runs once for each."""
    return MACHINES[request.param]


@pytest.fixture(scope="session")
def play() -> Playbook:
    """Run the playbook on all hosts as converge did, or with other variables."""
    return Playbook(NAMES, [Path(os.environ["MOLECULE_INVENTORY_FILE"])])
