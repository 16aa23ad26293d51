"""What the origins of the scenario nginx_proxy have seen."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from machine import Machine

Result = TypeVar("Result")


def mark() -> str:
    """A word for a target or a header that no other request has, to find it again by."""
    return f"mark-{secrets.token_hex(6)}"


def seen(machine: Machine, marked: str, port: int = 9000) -> list[dict[str, Any]]:
    """The requests with the mark that an origin read, in order: 9000 is the first, 9001 the second."""
    found: list[dict[str, Any]] = machine.ask(f"http://127.0.0.1:{port}/_origin/seen?mark={marked}").json()
    return found


def header(request: dict[str, Any], name: str) -> str | None:
    """The value of a header that came once, None where it did not come."""
    values = [value for other, value in request["headers"] if other == name]
    assert len(values) < 2, f"{name} came {len(values)} times: {values}"
    return values[0] if values else None


def on_each(machines: Sequence[Machine], what: Callable[[Machine], Result]) -> dict[str, Result]:
    """Do something that mostly waits on all hosts at once; the results by the host's name."""
    with ThreadPoolExecutor(len(machines)) as pool:
        return dict(zip((machine.name for machine in machines), pool.map(what, machines), strict=True))
