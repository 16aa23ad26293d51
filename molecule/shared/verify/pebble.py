"""The ACME server in a host of a scenario: how it is configured, and what it was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lineages import drop_in
from machine import TRUST, Machine

DAY = 86400

_CONFIGS = {"pebble": "config", "pebble-staging": "staging", "pebble-dns": "dns"}


class Pebble:
    def __init__(self, machine: Machine, name: str = "pebble") -> None:
        """:param name: of its unit; the scenario certbot has `pebble-staging` and, for DNS-01, `pebble-dns` too"""
        self.machine = machine
        self.unit = f"{name}.service"
        self.config = f"/etc/pebble/{_CONFIGS[name]}.json"
        self.port = json.loads(machine.run("cat %s", self.config))["pebble"]["listenAddress"].split(":")[1]
        self.server = f"https://localhost:{self.port}/dir"
        self.management = f"https://localhost:{int(self.port) + 1000}"

    def orders(self) -> int:
        """How many orders it was asked for since the host booted, also by those that it refused."""
        return int(self.machine.run(f"journalctl --unit {self.unit} -o cat | grep -c 'POST /order-plz' || true"))

    def root(self) -> str:
        """The root that it signs with until its next start."""
        return self.machine.run(f"curl --silent --fail --cacert /etc/pebble/ca.pem {self.management}/roots/0") + "\n"

    def trust(self) -> None:
        """Trust that root, beside those of before."""
        self.machine.run("printf %%s %s >>%s", self.root(), TRUST)

    def restart(self, accounts: bool = True) -> None:
        """Start it again: it has another root then, and has forgotten all accounts.

        :param accounts: whether it learns certbot's accounts again, so that only the root is another one
        """
        self.machine.run("systemctl restart %s", self.unit)
        self.trust()
        if accounts:
            self.machine.python("keep_accounts.py", self.server)

    @contextmanager
    def configured(self, accounts: bool = True, **changes: Any) -> Iterator[None]:
        """Run the block with other keys in its configuration, such as ``certificateValidityPeriod``."""
        before = self.machine.run("cat %s", self.config)
        self.configure(**changes)
        self.restart(accounts)
        try:
            yield
        finally:
            self.machine.write(self.config, before)
            self.restart(accounts)

    @contextmanager
    def slow(self, seconds: int) -> Iterator[None]:
        """Run the block with validations that take up to so many seconds, as a real CA's do."""
        lines = f"[Service]\nEnvironment=PEBBLE_VA_NOSLEEP=0 PEBBLE_VA_SLEEPTIME={seconds}\n"
        with drop_in(self.machine, self.unit, lines):
            self.restart()
            yield
        self.restart()

    def configure(self, **changes: Any) -> None:
        """Change keys of its configuration; they hold from its next start on."""
        read = json.loads(self.machine.run("cat %s", self.config))
        read["pebble"].update(changes)
        self.machine.write(self.config, json.dumps(read, indent=2) + "\n")


@contextmanager
def counted(machines: Sequence[Machine]) -> Iterator[dict[str, int]]:
    """How many orders each host's Pebble is asked for while the block runs, by the host's name; there after it."""
    before = {machine.name: Pebble(machine).orders() for machine in machines}
    found: dict[str, int] = {}
    yield found
    found.update({machine.name: Pebble(machine).orders() - before[machine.name] for machine in machines})
