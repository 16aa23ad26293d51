# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot's certificates need on a host besides certbot: programs, units, folders, files with secrets."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, read_text
from ansible_collections.asgi.deploy.plugins.module_utils.call import Call, Result
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_keys import exposed_keys, protect
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_leftovers import other_renewers, unused_credentials
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_turn import UNIT
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_venv import Environments, Wanted
from ansible_collections.asgi.deploy.plugins.module_utils.host_files import of_systemd, stale_files, write_files
from ansible_collections.asgi.deploy.plugins.module_utils.packages import absent_packages

#: Of what holds a secret a diff says only that it differs: it is for eyes and logs.
BEFORE, AFTER = "(what it holds now)\n", "(something else, or another mode)\n"


def stale_folders(folders: t.Mapping[str, str]) -> t.Dict[str, str]:
    """Return the folders that are not there with their mode."""
    return {
        path: mode
        for path, mode in folders.items()
        if not os.path.isdir(path) or os.stat(path).st_mode & 0o7777 != int(mode, 8)
    }


def keep_folders(folders: t.Mapping[str, str]) -> None:
    for path, mode in folders.items():
        os.makedirs(path, mode=0o755, exist_ok=True)
        os.chmod(path, int(mode, 8))


def needs_reload(call: Call) -> bool:
    """Return whether the unit's drop-in, which is ours, was changed and systemd was not told: a run was killed."""
    return call.run(["systemctl", "show", "--property=NeedDaemonReload", UNIT])[1].strip().endswith("=yes")


def prepare_certbot(call: Call) -> Result:
    """Do the work of the module certbot_host.

    :raises ValueError: where systemd does not take the units
    """
    params = call.params
    private = {path: {"text": text, "mode": "0600"} for path, text in params["private"].items()}
    folders, stale, secret = (
        stale_folders(params["folders"]),
        stale_files(json.loads(params["files"])),
        stale_files(private),
    )
    unused, exposed = unused_credentials(private), exposed_keys()
    before = {path: read_text(path) for path in stale}
    before.update({path: BEFORE if os.path.exists(path) else None for path in [*secret, *unused]})
    after: t.Dict[str, t.Optional[str]] = {path: wanted["text"] for path, wanted in stale.items()}
    after.update(dict.fromkeys(secret, AFTER))
    if not call.check_mode:
        keep_folders(folders)
        write_files(stale)
        write_files(secret)
        for path in unused:
            os.unlink(path)
        protect(exposed)
    for path in exposed:
        call.warn("{0}: others than root could read {1}: they may have a copy".format(params["host"], path))
    reload = of_systemd(stale) or needs_reload(call)
    if reload and not call.check_mode:
        code, output, errors = call.run(["systemctl", "daemon-reload"])
        if code:
            raise ValueError("systemctl daemon-reload: " + (errors or output).strip())
    for place in other_renewers():
        call.warn("{0}: {1} renews by certbot too, beside certbot.timer: remove it".format(params["host"], place))
    return {
        "changed": bool(folders or stale or secret or unused or exposed or reload),
        "diff": diff_of(before, after),
        "install": absent_packages(call.run, params["packages"]),
        "venv": Environments().is_due(Wanted(**params["environment"])),
    }
