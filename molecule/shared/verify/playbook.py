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

    def __call__(
        self,
        *options: str,
        extra: Mapping[str, Any] | None = None,
        code: int | None = None,
        playbook: str | None = None,
    ) -> Outcome:
        """Run it.

        :param code: the exit code that is expected, where the caller asserts no other
        :param playbook: another one, as a path or a name that ansible-playbook knows
        """
        with tempfile.TemporaryDirectory(prefix="asgi-deploy-play-") as folder:
            process = self.begin(Path(folder), *options, extra=extra, playbook=playbook)
            try:
                output, _ = process.communicate(timeout=300)
            except BaseException:
                process.kill()
                process.communicate()
                raise
            report = Path(folder, "report.json")
            hosts = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        outcome = Outcome(process.returncode, output, {name: Tasks(**tasks) for name, tasks in hosts.items()})
        assert set(outcome.hosts) == set(self.hosts), output
        assert code is None or outcome.code == code, f"ended with {outcome.code}:\n{output}"
        return outcome

    def begin(
        self,
        folder: Path,
        *options: str,
        extra: Mapping[str, Any] | None = None,
        playbook: str | None = None,
        apart: bool = False,
    ) -> subprocess.Popen[str]:
        """Start it, and return the process.

        :param folder: for the variables, and for report.json, which is written at the end
        :param apart: in a process group of its own, to be killed with all that it has started
        """
        converge = scenario()["ansible"]["playbooks"]["converge"]
        variables = folder / "extra.json"
        variables.write_text(json.dumps(dict(extra or {})), encoding="utf-8")
        return subprocess.Popen(
            [
                "ansible-playbook",
                *(f"--inventory={inventory}" for inventory in self.inventories),
                *scenario()["ansible"]["executor"]["args"]["ansible_playbook"],
                f"--extra-vars=@{variables}",
                f"--limit={','.join(self.hosts)}",
                *options,
                playbook or str(Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"], converge)),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                # Tests read what it prints, and Molecule asks for colours where it has a terminal.
                "ANSIBLE_FORCE_COLOR": "0",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
                "ANSIBLE_CALLBACKS_ENABLED": "play_report",
                "PLAY_REPORT": str(folder / "report.json"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=apart,
        )
