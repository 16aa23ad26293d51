#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: certbot_host
short_description: Prepare a host for certbot, before its package is there
version_added: 0.3.0
description:
  - Writes what stands around certbot, the program that brings certificates to nginx, its units and configuration,
    and says which packages are to be installed, and whether another certbot is.
  - Private keys that others than root can read, as a backup restored without modes leaves them, are closed with a
    warning. A group that may read them is somebody's choice, and stays.
  - What renews beside certbot's timer, in a crontab or by a timer of another certbot, is named in a warning.
  - Part of the role P(asgi.deploy.certbot#role), which renders the files on the controller.
author:
  - The asgi.deploy authors (@asgi)
options:
  host:
    description: The inventory's name for the host, for warnings.
    type: str
    default: this host
  folders:
    description: Folders to keep, absolute path to mode.
    type: dict
    required: true
  files:
    description: Files that anybody may read, absolute path to a dictionary of C(text) and C(mode), as JSON.
    type: str
    required: true
  private:
    description: Files that only root may read, absolute path to text.
    type: dict
    default: {}
  packages:
    description: Packages that have to be installed.
    type: list
    elements: str
    required: true
  environment:
    description: What certbot_venv is to be told, to see whether it has anything to do.
    type: dict
    required: true
    suboptions:
      version:
        description: The version of certbot to install; without one, the distribution's.
        type: str
      plugin:
        description: Name of the DNS plugin to install with it.
        type: str
      drop_in:
        description: Text of the unit's drop-in that starts it.
        type: str
        default: ""
attributes:
  check_mode:
    description: Says which files differ.
    support: full
  diff_mode:
    description: Shows each file that differs; of one with secrets, only that it does.
    support: full
"""

EXAMPLES = r"""
- name: Prepare the host
  asgi.deploy.certbot_host:
"""

RETURN = r"""
install:
  description: The packages to install now.
  type: list
  elements: str
  returned: success
venv:
  description: Whether certbot_venv has something to do.
  type: bool
  returned: success
"""

import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, read_text, words_of
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


def needs_reload(module: AnsibleModule) -> bool:
    """Return whether the unit's drop-in, which is ours, was changed and systemd was not told: a run was killed."""
    return module.run_command(["systemctl", "show", "--property=NeedDaemonReload", UNIT])[1].strip().endswith("=yes")


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    params = module.params
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
    if not module.check_mode:
        keep_folders(folders)
        write_files(stale)
        write_files(secret)
        for path in unused:
            os.unlink(path)
        protect(exposed)
    for path in exposed:
        module.warn("{0}: others than root could read {1}: they may have a copy".format(params["host"], path))
    reload = of_systemd(stale) or needs_reload(module)
    if reload and not module.check_mode:
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    for place in other_renewers():
        module.warn("{0}: {1} renews by certbot too, beside certbot.timer: remove it".format(params["host"], place))
    return {
        "changed": bool(folders or stale or secret or unused or exposed or reload),
        "diff": diff_of(before, after),
        "install": absent_packages(module.run_command, params["packages"]),
        "venv": Environments().is_due(Wanted(**params["environment"])),
    }


def main() -> None:
    # A hardened host's root may have 077: nobody else could read what is made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": "this host"},
            "folders": {"type": "dict", "required": True},
            # In one piece, which is not logged: the journal would get all the texts with each run, 80 kB of them.
            "files": {"type": "str", "required": True, "no_log": True},
            # Nothing that comes back may hold a text of these either.
            "private": {"type": "dict", "default": {}, "no_log": True},
            "packages": {"type": "list", "elements": "str", "required": True},
            "environment": {
                "type": "dict",
                "required": True,
                "options": {
                    "version": {"type": "str"},
                    "plugin": {"type": "str"},
                    "drop_in": {"type": "str", "default": ""},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
