"""Run a playbook against the scenario's hosts as its converge stage does, with other variables."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
CALLBACKS = Path(__file__).resolve().parent / "callback"


def scenario() -> dict[str, Any]:
    """The scenario's configuration, as Molecule has merged it."""
    read: dict[str, Any] = yaml.safe_load(Path(os.environ["MOLECULE_FILE"]).read_text(encoding="utf-8"))
    return read


def site(**changes: Any) -> dict[str, Any]:
    """The inventory's site, with other keys."""
    return {"nginx_proxy_sites": [{"name": "notes", "app": "notes", "domains": ["notes.example.com"], **changes}]}


def environment(**values: str) -> dict[str, Any]:
    """The inventory's environment, with further values."""
    return {"gunicorn_app_env": {"NOTES_ALLOWED_HOSTS": "notes.example.com", **values}}


@dataclass
class Tasks:
    """What the tasks of a run did on one host: their names, and the messages of those that failed."""

    ok: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The message of the one task that failed."""
        assert len(self.failed) == 1, f"{len(self.failed)} tasks failed instead of one: {self.failed}"
        return self.failed[0]


@dataclass
class Outcome:
    code: int
    output: str
    hosts: dict[str, Tasks]

    def assert_unchanged(self) -> None:
        assert self.code == 0, self.output
        assert self.hosts
        changes = {name: tasks.changed for name, tasks in self.hosts.items() if tasks.changed}
        assert not changes, f"{changes}\n{self.output}"


@dataclass
class Playbook:
    """Runs what the scenario converges with on all its hosts at once; the cost is that of one host."""

    hosts: Sequence[str]
    inventories: Sequence[Path]

    def __call__(self, *options: str, extra: Mapping[str, Any] | None = None, code: int | None = None) -> Outcome:
        """Run it. :param code: the exit code that is expected, where the caller asserts no other"""
        converge = scenario()["ansible"]["playbooks"]["converge"]
        with tempfile.TemporaryDirectory(prefix="asgi-deploy-play-") as folder:
            variables, report = Path(folder, "extra.json"), Path(folder, "report.json")
            variables.write_text(json.dumps(dict(extra or {})), encoding="utf-8")
            done = subprocess.run(
                [
                    "ansible-playbook",
                    *(f"--inventory={inventory}" for inventory in self.inventories),
                    *scenario()["ansible"]["executor"]["args"]["ansible_playbook"],
                    f"--extra-vars=@{variables}",
                    f"--limit={','.join(self.hosts)}",
                    *options,
                    str(Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"], converge)),
                ],
                cwd=ROOT,
                env={
                    **os.environ,
                    "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
                    "ANSIBLE_CALLBACKS_ENABLED": "play_report",
                    "PLAY_REPORT": str(report),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=300,
            )
            hosts = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        outcome = Outcome(done.returncode, done.stdout, {name: Tasks(**tasks) for name, tasks in hosts.items()})
        assert set(outcome.hosts) == set(self.hosts), done.stdout
        assert code is None or outcome.code == code, f"ended with {outcome.code}:\n{done.stdout}"
        return outcome
