"""Medians, ratios of pairs, and how far they spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, and the lowest and the highest of them."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Divide round by round: what slowed the machine down for a while slowed both members of a pair."""
    return [a / b for a, b in zip(over, under, strict=True)]


def rotated(items: Sequence[str], by: int) -> list[str]:
    """The same items beginning with another: nobody is always measured after the same neighbour's pause."""
    by %= len(items)
    return [*items[by:], *items[:by]]


def within(rounds: int, seconds: float, least: int = 5, clock: Callable[[], float] = time.monotonic) -> Iterator[int]:
    """Count the rounds; on a slow machine stop when the time is over, but not before there are enough for a median."""
    began = clock()
    for number in range(rounds):
        if number >= least and clock() - began > seconds:
            return
        yield number
