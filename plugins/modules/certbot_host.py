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
    and says which packages are to be installed.
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
    description: Files that anybody may read, absolute path to a dictionary of C(text) and C(mode).
    type: dict
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
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, read_text, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.host_files import of_systemd, stale_files, write_files
from ansible_collections.asgi.deploy.plugins.module_utils.packages import absent_packages


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


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    params = module.params
    files = params["files"]
    private = {path: {"text": text, "mode": "0600"} for path, text in params["private"].items()}
    folders = stale_folders(params["folders"])
    stale = stale_files(files)
    secret = stale_files(private)
    before = {path: read_text(path) for path in stale}
    # Of what holds a secret only that it differs: a diff is for eyes and logs.
    before.update({path: None if read_text(path) is None else "(as before)\n" for path in secret})
    after: t.Dict[str, t.Optional[str]] = {path: stale[path]["text"] for path in stale}
    after.update(dict.fromkeys(secret, "(other content or mode)\n"))
    if not module.check_mode:
        keep_folders(folders)
        write_files(stale)
        write_files(secret)
        if of_systemd(stale):
            module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    return {
        "changed": bool(folders or stale or secret),
        "diff": diff_of(before, after),
        "install": absent_packages(module.run_command, params["packages"]),
    }


def main() -> None:
    # A hardened host's root may have 077: nobody else could read what is made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": "this host"},
            "folders": {"type": "dict", "required": True},
            "files": {"type": "dict", "required": True},
            # The whole: a suboption's text would be in the journal, where its newlines are spelt "\n" and so not found.
            "private": {"type": "dict", "default": {}, "no_log": True},
            "packages": {"type": "list", "elements": "str", "required": True},
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
