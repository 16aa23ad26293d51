"""The way from a proxy to application hosts: its units on such a host, and who answers through it."""

from __future__ import annotations

from typing import Any

from machine import Machine

UNITS = "systemctl list-unit-files --no-legend 'notes-hop@*' 'notes-fence@*' | cut -d ' ' -f 1 | sort"


def units(port: int) -> list[str]:
    """What :data:`UNITS` prints where the application has one port."""
    return [f"notes-fence@{port}.service", f"notes-hop@{port}.service", f"notes-hop@{port}.socket"]


def processes(proxy: Machine) -> set[str]:
    """The workers that answer, of which no two hosts are likely to have the same numbers all."""
    return {str(proxy.ask("/version").json()["pid"]) for _ in range(24)}


def assert_reloaded_only(report: dict[str, Any]) -> None:
    """nginx was reloaded, and below 1.27.4 closes idle connections of clients then, two of which may just be used."""
    closed = ("RemoteDisconnected", "BrokenPipe", "ConnectionReset")
    assert [line for line in report["failures"] if not any(word in line for word in closed)] == []
    assert len(report["failures"]) <= 2, report["failures"]
    assert min(report["counts"].values()) > 100, report
