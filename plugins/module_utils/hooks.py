# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands around a switch, such as migrations, in the environment and the sandbox of a release."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import LOCKS, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.masking import secrets_in, without_secrets
from ansible_collections.asgi.deploy.plugins.module_utils.service_sandbox import properties

#: Of a hook's output the end is shown.
_LINES = 60

#: Set for each hook itself, whatever the unit says.
_OWN = ("WorkingDirectory", "EnvironmentFile", "Environment")

Run = t.Callable[..., t.Tuple[int, str, str]]


class HookError(Exception):
    """A hook failed; the text holds the end of its output."""


class Hooks:
    """:param unit: text of the slot's service unit; :param environment: text of the environment file"""

    def __init__(self, name: str, unit: str, environment: str, run: Run) -> None:
        self.name = name
        self.unit = unit
        self.environment = environment
        self._run = run

    def run(self, when: str, hooks: t.Sequence[t.Mapping[str, t.Any]], release: str) -> None:
        """Run each of the hooks in turn.

        :param when: before, after or rollback
        :param release: folder of the release whose code and virtual environment they get
        :raises HookError: at the first one that fails
        """
        if not hooks:
            return
        environment = environment_file(self.name)
        os.makedirs(os.path.dirname(environment), mode=0o700, exist_ok=True)
        write_file(environment, self.environment, mode=0o600)
        try:
            for number, hook in enumerate(hooks):
                self._one("{0}[{1}]".format(when, number), hook, release, environment)
        finally:
            os.unlink(environment)

    def _one(self, place: str, hook: t.Mapping[str, t.Any], release: str, environment: str) -> None:
        unit = self.name + "-hook.service"
        # One that a killed run left: it must not go on beside this one.
        self._run(["systemctl", "--quiet", "stop", unit])
        binaries, app = os.path.join(release, "venv", "bin"), os.path.join(release, "app")
        own = [
            "WorkingDirectory=" + app,
            "EnvironmentFile=" + environment,
            "RuntimeMaxSec={0}".format(hook["timeout"]),
            "TimeoutStopSec=5",
        ]
        theirs = [item for item in properties(self.unit) if item.partition("=")[0] not in _OWN]
        # systemd-run looks a program up by its own path; env by the one that it is given.
        path = "PATH={0}:/usr/local/bin:/usr/bin:/bin".format(binaries)
        words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--unit=" + unit]
        words += ["--property=" + item for item in theirs + own]
        words += ["--", "/usr/bin/env", path, *map(_literal, hook["command"])]
        # Otherwise Ansible would replace ~ and $VARIABLE by what root has.
        code, output, errors = self._run(words, expand_user_and_vars=False)
        if code:
            words_of_it = without_secrets(output + errors, secrets_in(self.environment))
            said = words_of_it.strip().splitlines()[-_LINES:]
            raise HookError(
                "gunicorn_app_hooks.{0} failed ({1}): {2}\n{3}".format(
                    place, _why(code, hook["timeout"]), " ".join(hook["command"]), "\n".join(said) or "(no output)"
                )
            )


def environment_file(name: str) -> str:
    """Return where an application's hooks read their environment: in memory, as a killed run leaves it there."""
    return os.path.join(LOCKS, name + ".hook-environment")


def _literal(word: str) -> str:
    # systemd replaces $VARIABLE and ${VARIABLE} in the words of a command, and makes one $ of two; % it leaves alone
    # where a command is given to it by systemd-run.
    return word.replace("$", "$$")


def _why(code: int, timeout: int) -> str:
    # systemd-run ends with 1 for a service that it had to kill, and with the program's own code otherwise.
    return "exit code {0}, or longer than {1} s".format(code, timeout) if code == 1 else "exit code {0}".format(code)
