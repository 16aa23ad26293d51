# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx.service may see and write, put around a command: a test outside of it passes what no start survives.

Runs inside the module nginx_tree and, copied beside it, inside the program asgi-deploy-nginx-rollback: only the
standard library, and nothing of Ansible.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text

DROP_INS = "/etc/systemd/system/nginx.service.d"

#: Before a command that runs in a unit of its own. --pipe keeps nginx's words, --wait its exit code; --collect leaves
#: no failed unit behind.
APART = ("systemd-run", "--quiet", "--wait", "--pipe", "--collect")

#: Ours among them; a file of the user's own that sorts after it has the last word.
OURS = "asgi-deploy.conf"

#: Only there where systemd is what started the host.
BOOTED = "/run/systemd/system"

#: The unit's settings that decide whether nginx can open what its configuration names, and run what it loads.
_SETTINGS = (
    "AmbientCapabilities",
    "BindPaths",
    "BindReadOnlyPaths",
    "CapabilityBoundingSet",
    "ExecPaths",
    "InaccessiblePaths",
    "MemoryDenyWriteExecute",
    "NoExecPaths",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateTmp",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectKernelTunables",
    "ProtectSystem",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "TemporaryFileSystem",
    "UMask",
)

#: What systemd ends a command with that it could not put into its surroundings.
_NOT_STARTED = range(200, 244)


def sandbox_of(pending: t.Optional[str] = None, folder: str = DROP_INS, booted: str = BOOTED) -> t.List[str]:
    """Return the words before a command that runs it as nginx.service would; none where nothing restricts the unit.

    :param pending: the text of our drop-in where it is not written yet, or may not be
    """
    if not os.path.isdir(booted):
        return []
    names = os.listdir(folder) if os.path.isdir(folder) else []
    texts = {name: read_text(os.path.join(folder, name)) or "" for name in names if name.endswith(".conf")}
    if pending is not None:
        texts[OURS] = pending
    found = [setting for name in sorted(texts) for setting in settings_of(texts[name])]
    if not found:
        return []
    return [*APART] + ["--property=" + setting for setting in found]


def settings_of(text: str) -> t.List[str]:
    """Return the settings of a drop-in that count here, in its order: an empty one takes back those before it."""
    section, found = "", []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        bare = line.strip()
        if bare.startswith("["):
            section = bare
        name, separator, value = bare.partition("=")
        if section == "[Service]" and separator and name.strip() in _SETTINGS:
            found.append(name.strip() + "=" + value.strip())
    return found


def reason_of(code: int, message: str) -> t.Optional[str]:
    """Return what to add to nginx's words where the sandbox is why they came, and how it is opened, or None."""
    if code in _NOT_STARTED:
        return (
            "systemd could not start nginx as the drop-ins in {0} say (status {1}); a ReadWritePaths= that is not "
            "there, without a - before it, is the usual reason".format(DROP_INS, code)
        )
    forbidden = re.search(r'"([^"]+)" failed \(30: ', message)
    if forbidden:
        return (
            "The sandbox of nginx.service forbids to write there: nginx would not start with it. Choose a path below "
            "/var/log or /var/cache, or open the folder: write {0}/local.conf with two lines, [Service] and "
            "ReadWritePaths={1}, and run systemctl daemon-reload and systemctl restart nginx; see "
            "docs/nginx-generations.md".format(DROP_INS, os.path.dirname(forbidden[1]))
        )
    return None
