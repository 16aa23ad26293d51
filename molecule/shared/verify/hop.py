"""The way from a proxy to application hosts: its units on such a host, and who answers through it."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from machine import Machine

UNITS = "systemctl list-unit-files --no-legend 'notes-hop@*' 'notes-fence@*' | cut -d ' ' -f 1 | sort"


def units(port: int) -> list[str]:
    """What :data:`UNITS` prints where the application has one port."""
    return [f"notes-fence@{port}.service", f"notes-hop@{port}.service", f"notes-hop@{port}.socket"]


def answering(proxy: Machine, apps: list[Machine]) -> list[Machine]:
    """The hosts that answer two dozen requests, by the proxy's own log: process numbers of two hosts can be alike."""
    agent = f"hop/{uuid4().hex}"
    for _ in range(24):
        assert proxy.ask("/version", "--user-agent", agent).status == 200
    lines = proxy.run("grep --fixed-strings %s /var/log/nginx/access.log", agent).splitlines()
    # Where a request went on to a second server, that one has answered.
    answered = {json.loads(line)["upstream"].split(", ")[-1].rpartition(":")[0] for line in lines}
    return [app for app in apps if proxy.run("getent ahostsv4 %s", app.name).split()[0] in answered]


def assert_reloaded_only(report: dict[str, Any]) -> None:
    """nginx was reloaded, and below 1.27.4 closes idle connections of clients then, two of which may just be used."""
    closed = ("RemoteDisconnected", "BrokenPipe", "ConnectionReset")
    assert [line for line in report["failures"] if not any(word in line for word in closed)] == []
    assert len(report["failures"]) <= 2, report["failures"]
    assert min(report["counts"].values()) > 100, report
