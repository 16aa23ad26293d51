# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both filters as a playbook meets them: through their classes, and through ansible-core's own templating."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def evaluate(tmp_path_factory: pytest.TempPathFactory) -> t.Callable[[dict[str, str]], dict[str, t.Any]]:
    """Return what ``ansible-playbook`` makes of each expression: its value, or the line that a user sees."""
    folder = tmp_path_factory.mktemp("ansible")
    (folder / "ansible_collections" / "asgi").mkdir(parents=True)
    (folder / "ansible_collections" / "asgi" / "deploy").symlink_to(ROOT)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_COLLECTIONS_PATH": str(folder),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
    }

    def run(expressions: dict[str, str]) -> dict[str, t.Any]:
        results = folder / "results.json"
        results.unlink(missing_ok=True)
        tasks: list[dict[str, t.Any]] = [
            {
                "ansible.builtin.set_fact": {name: f"{{{{ {expression} }}}}"},
                "register": f"task_{name}",
                "ignore_errors": True,
            }
            for name, expression in expressions.items()
        ]
        collected = ", ".join(
            f"'{name}': task_{name}.ansible_facts.{name} if task_{name} is success else task_{name}.msg"
            for name in expressions
        )
        content = f"{{{{ {{{collected}}} | to_json }}}}"
        tasks.append({"ansible.builtin.copy": {"content": content, "dest": str(results), "mode": "0600"}})
        play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
        playbook = folder / "playbook.yml"
        playbook.write_text(json.dumps(play), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", str(playbook)],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, t.Any] = json.loads(results.read_text(encoding="utf-8"))
        return answer

    return run
