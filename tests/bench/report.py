"""What a benchmark found: tables and targets, for the terminal, for the documentation and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tests.bench.stats import Spread


class BenchError(Exception):
    """The benchmark could not be run, or what it measured would mean nothing."""


@dataclass(frozen=True)
class Target:
    """A number that the project promises. The median decides; the spread tells how much that means."""

    name: str
    measured: Spread
    relation: Literal["at least", "at most"]
    limit: float

    @property
    def met(self) -> bool:
        return self.measured.median >= self.limit if self.relation == "at least" else self.measured.median <= self.limit

    def __str__(self) -> str:
        return f"{'met' if self.met else 'MISSED'}: {self.name}: {self.measured}, {self.relation} {self.limit:g}"


@dataclass(frozen=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.head))]
        # The first column is words, the others are numbers.
        return "\n".join(
            "  ".join(f"{cell:<{width}}" if n == 0 else f"{cell:>{width}}" for n, (cell, width) in enumerate(pairs))
            for pairs in (list(zip(line, widths, strict=True)) for line in lines)
        )

    def markdown(self) -> str:
        rule = ["---", *["---:"] * (len(self.head) - 1)]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (self.head, rule, *self.rows))


@dataclass
class Report:
    """One benchmark's outcome."""

    title: str
    #: What it ran on: versions and settings, in the order in which they are shown.
    setting: dict[str, str]
    table: Table
    targets: list[Target]
    #: Every single measurement, for whoever wants another statistic.
    rounds: list[dict[str, Any]]
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        setting = "; ".join(f"{name} {value}" for name, value in self.setting.items())
        return "\n".join([self.title, setting, "", self.table.text(), "", *self.notes, *map(str, self.targets)])

    def markdown(self) -> str:
        setting = "; ".join(f"{name} {value}" for name, value in self.setting.items())
        points = [f"- {line}" for line in [*self.notes, *map(str, self.targets)]]
        return "\n".join([f"### {self.title}", "", setting, "", self.table.markdown(), "", *points])

    def as_json(self) -> dict[str, Any]:
        targets = [{**asdict(target), "met": target.met} for target in self.targets]
        return {
            "title": self.title,
            "setting": self.setting,
            "seconds": round(self.seconds, 1),
            "table": [dict(zip(self.table.head, row, strict=True)) for row in self.table.rows],
            "notes": self.notes,
            "targets": targets,
            "rounds": self.rounds,
        }
