"""The examples of variables in docs/, for the tests that hold them against the roles and against a real nginx."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
#: What a site can say.
SITES = [path for path in DOCS if path.name == "sites.md" or path.parent.name == "sites"]
#: What an application can say.
_ABOUT_APPLICATIONS = ("applications.md", "releases-and-rollback.md", "static-files.md")
APPLICATIONS = [path for path in DOCS if path.name in _ABOUT_APPLICATIONS or path.parent.name == "applications"]
#: What a floating address can say.
FLOATING_ADDRESS = [path for path in DOCS if path.name == "several-proxies.md"]
#: What certificates can say.
CERTIFICATES = [path for path in DOCS if path.name == "tls-and-renewal.md" or path.parent.name == "certificates"]

_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"\{\{ lookup\('ansible\.builtin\.file', '[\w./-]+'\) \}\}")


class Example(t.NamedTuple):
    place: str
    variables: dict[str, t.Any]


def examples(paths: t.Iterable[Path]) -> list[Example]:
    """Return the blocks of YAML that are variables; the others are plays and inventories."""
    found = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            value = yaml.safe_load(match[1])
            if isinstance(value, dict) and "all" not in value:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Example(f"{path.relative_to(ROOT / 'docs')}:{line}", value))
    return found


def templated(value: t.Any) -> t.Any:
    """Stand for Ansible's templating: a page that is read from a file is some page."""
    if isinstance(value, dict):
        return {key: templated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [templated(item) for item in value]
    return _FILE.sub("<p>A page.</p>", value) if isinstance(value, str) else value


def surroundings() -> dict[str, t.Any]:
    """Return what the inventory of the examples says besides: a host that is all, and two others that have an API."""
    return {
        "inventory_hostname": "web1",
        "ansible_facts": {"processor_nproc": 2, "memtotal_mb": 2048},
        "groups": {"proxies": ["web1"], "apps": ["web1"], "api": ["api1", "api2"]},
        "hostvars": {"api1": {"ansible_host": "10.0.0.11"}, "api2": {"ansible_host": "2001:db8::12"}},
    }
