# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of the user's own that brings a certificate to services beside nginx; repeated until it succeeds.

Runs inside the program asgi-deploy-certificates, copied beside it: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import words_of
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_deploy import Lineage
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_state import Store
from ansible_collections.asgi.deploy.plugins.module_utils.processes import run_as

NAME = "certbot_deploy_command"

#: The name of the file with what the command has seen.
_SEEN = "deployed"

#: Of the command's output this many lines are shown.
_LINES = 10


class Said(t.NamedTuple):
    """A line for each lineage that the command was run for, and what went wrong, by the lineage's name."""

    done: t.List[str]
    failed: t.Dict[str, str]


def run_for(command: str, lineages: t.Sequence[Lineage], store: Store, seconds: float = 300) -> Said:
    """Run ``command`` for those of ``lineages`` whose certificate it has not seen yet, successfully."""
    # Another command has seen none.
    identity = hashlib.sha256(command.encode()).hexdigest()
    before = store.read(_SEEN)
    known = before.get("lineages") if before.get("command") == identity else None
    seen: t.Dict[str, str] = dict(known) if isinstance(known, dict) else {}
    said = Said([], {})
    for lineage in lineages:
        fingerprint = lineage.read().fingerprint
        if seen.get(lineage.name) == fingerprint:
            continue
        problem = _problem(command, lineage, seconds)
        if problem:
            said.failed[lineage.name] = problem
            continue
        said.done.append("{0}: {1} has run".format(lineage.name, NAME))
        seen[lineage.name] = fingerprint
        try:
            # After each: the next one may take minutes, and we may be killed.
            store.write(_SEEN, {"command": identity, "lineages": seen})
        except OSError as error:
            said.failed[lineage.name] = (
                "{0} has run, which could not be written down, so it will run again: {1}".format(NAME, words_of(error))
            )
    return said


def forget(store: Store) -> None:
    """Let a command that comes back some day see all certificates: it may be for a new service then."""
    store.forget(_SEEN)


def _problem(command: str, lineage: Lineage, seconds: float) -> t.Optional[str]:
    environment = {**os.environ, "ASGI_DEPLOY_LINEAGE": lineage.folder, "ASGI_DEPLOY_NAME": lineage.name}
    done = run_as(["/bin/sh", "-c", command], environment=environment, seconds=seconds, umask=0o022)
    if done.code == 0:
        return None
    why = (
        "ended with {0}".format(done.code) if done.code is not None else "was not done after {0:.0f} s".format(seconds)
    )
    lines = [line.strip() for line in done.output.splitlines() if line.strip()][-_LINES:]
    return "{0} {1}, and runs again next time: {2}".format(NAME, why, " / ".join(lines) or "(no output)")
