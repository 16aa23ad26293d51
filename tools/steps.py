"""What `make test` consists of, and how the outcome of each kind of step is counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
JUNIT = ROOT / "build/junit"


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    name: str
    argv: list[str]
    count: Callable[[int, str], Count]
    #: The step that must have succeeded before.
    after: str | None = None
    #: Lines of output that are shown while the step runs; group 1 of the match.
    show: re.Pattern[str] | None = None


def count_tool(code: int, _log: str) -> Count:
    return Count(passed=int(code == 0), failed=int(code != 0))


def count_setup(code: int, _log: str) -> Count:
    """Preparation is no test; it counts only when it fails."""
    return Count(failed=int(code != 0))


def read_junit(path: Path) -> Count:
    """Count a pytest report. None, or one without a test that ran, is a failure: nothing was proven."""
    if not path.exists():
        return Count(failed=1, notes=["no tests ran"])
    total = failed = skipped = 0
    for case in ElementTree.parse(path).iter("testcase"):
        total += 1
        failed += case.find("failure") is not None or case.find("error") is not None
        skipped += case.find("skipped") is not None
    notes = [f"{skipped} skipped"] if skipped else []
    if total == skipped:
        return Count(failed=1, notes=["no tests ran", *notes])
    return Count(total - failed - skipped, failed, notes)


def count_pytest(report: Path) -> Callable[[int, str], Count]:
    def count(code: int, _log: str) -> Count:
        result = read_junit(report)
        if code != 0 and result.failed == 0:
            result.failed = 1
            result.notes.append(f"pytest ended with {code}")
        return result

    return count


#: A line of the list at the end of Molecule's output (in the log before, the same words follow a level).
_STAGE = re.compile(r"^\S+ [>➜] \w+: Executed: (?P<result>\w+)")


def count_molecule(report: Path) -> Callable[[int, str], Count]:
    """Each stage is one, and so is each case of testinfra."""

    def count(code: int, log: str) -> Count:
        result = read_junit(report)
        for line in log.splitlines():
            if match := _STAGE.match(line):
                result.passed += match["result"] == "Successful"
                result.failed += match["result"] == "Failed"
        if code != 0 and result.failed == 0:
            result.failed = 1
            result.notes.append(f"molecule ended with {code}")
        return result

    return count


def lint() -> list[Step]:
    tools = {
        "ansible-lint": ["ansible-lint", "--offline", "--nocolor"],
        "yamllint": ["yamllint", "--strict", "."],
        "ruff": ["ruff", "check", "."],
        "mypy": ["mypy"],
        "changelog": ["antsibull-changelog", "lint"],
    }
    return [Step(f"lint-{name}", argv, count_tool) for name, argv in tools.items()]


def pytest(name: str, report: Path) -> list[str]:
    # Left alone, pytest keeps the folders of its last runs in /tmp.
    return ["pytest", "-q", f"--junit-xml={report}", f"--basetemp={ROOT / 'build/pytest' / name}"]


def pytest_step(name: str, folder: str, after: str | None = None) -> Step:
    report = JUNIT / f"{name}.xml"
    return Step(name, [*pytest(name, report), folder], count_pytest(report), after)


def example() -> list[Step]:
    report = JUNIT / "example.xml"
    return [
        Step("example", ["tools/example.sh", *pytest("example", report)], count_pytest(report)),
        Step("example-mypy", ["tools/example.sh", "mypy"], count_tool, after="example"),
    ]


def engine() -> Step:
    script = "tools/engine.sh up && tools/images/build.sh"
    return Step("images", ["sh", "-c", script], count_setup, show=re.compile(r"^((?:engine|image): .*)$"))


def molecule(scenario: str) -> Step:
    report = JUNIT / f"molecule-{scenario}.xml"
    return Step(
        f"molecule-{scenario}",
        ["molecule", "test", "--scenario-name", scenario],
        count_molecule(report),
        after="images",
        show=re.compile(r"\[\S+ > (\w+)\] Executing$"),
    )


#: One of these at the end of a run would be waited for alone.
LONGEST = ("certbot", "gunicorn_app", "fleet", "nginx_proxy", "default")


def scenarios() -> list[str]:
    """Return the scenarios, those that take longest first."""
    found = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
    return sorted(found, key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))


def select(groups: list[str]) -> list[Step]:
    """The steps of these groups, those that take longest first."""
    available: dict[str, Callable[[], list[Step]]] = {
        "nginx": lambda: [pytest_step("nginx", "tests/nginx", after="images")],
        "molecule": lambda: [molecule(name) for name in scenarios()],
        "server": lambda: [pytest_step("server", "tests/server")],
        "lint": lint,
        "unit": lambda: [pytest_step("unit", "tests/unit")],
        "example": example,
    }
    chosen = [step for name, make in available.items() if not groups or name in groups for step in make()]
    return [engine(), *chosen] if any(step.after == "images" for step in chosen) else chosen


GROUPS = ["nginx", "molecule", "server", "lint", "unit", "example"]
