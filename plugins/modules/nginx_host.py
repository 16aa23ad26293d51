#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_host
short_description: Prepare a host for nginx, before its package is there
version_added: 0.2.0
description:
  - Writes what stands around nginx, its systemd drop-in and the program to go back to an old configuration, and
    says which packages are to be installed. A running nginx is never restarted; as long as it runs by an older
    drop-in, a warning says so.
  - With O(key), a package repository's signing key is fetched, read by C(gpg) and held against the fingerprints that
    are trusted, before anything is written.
  - Part of the role P(asgi.deploy.nginx_proxy#role), which renders the files on the controller.
author:
  - The asgi.deploy authors (@asgi)
options:
  host:
    description: The inventory's name for the host, for warnings.
    type: str
    default: this host
  files:
    description: Absolute path to a dictionary of C(text) and C(mode).
    type: dict
    required: true
  absent:
    description: Files to remove.
    type: list
    elements: path
    default: []
  packages:
    description: Packages that have to be installed.
    type: list
    elements: str
    required: true
  probe:
    description: A shell command to run, whose output is returned.
    type: str
    default: ""
  health_checks:
    description: Whether the hosts of applications are asked for their health.
    type: bool
    default: false
  health_files:
    description:
      - The files of that as in O(files). Without O(health_checks) they are removed, as soon as nginx has no
        configuration any more that they look after.
    type: dict
    default: {}
  key:
    description: The signing key of the nginx project's repository, where nginx comes from there.
    type: dict
    suboptions:
      url:
        description: Where it is fetched from.
        type: str
        required: true
      path:
        description: Where it is kept, binary.
        type: path
        required: true
      fingerprints:
        description: The only keys that may be in it.
        type: list
        elements: str
        required: true
attributes:
  check_mode:
    description: Fetches and checks a key, where C(gpg) is installed, and changes nothing.
    support: full
  diff_mode:
    description: Shows each file that differs.
    support: full
"""

EXAMPLES = r"""
- name: Prepare the host
  asgi.deploy.nginx_host:
"""

RETURN = r"""
deferred:
  description: >-
    Whether something was left for a second run of this module, because nginx still runs by another configuration: the
    unit's drop-in beside one that was made by hand, the health checks beside one with their marks.
  type: bool
  returned: success
install:
  description: The packages to install now.
  type: list
  elements: str
  returned: success
probe:
  description: What the command O(probe) printed.
  type: str
  returned: success
switch:
  description: Whether nginx is installed from elsewhere, and has to be replaced.
  type: bool
  returned: success
"""

import os
import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, read_text, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.health_units import HealthUnits
from ansible_collections.asgi.deploy.plugins.module_utils.host_files import Files, of_systemd, stale_files, write_files
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_entry import ENTRY, MARK
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_unit import (
    Unit,
    is_of_the_distribution,
    masked_by,
)
from ansible_collections.asgi.deploy.plugins.module_utils.packages import absent_packages
from ansible_collections.asgi.deploy.plugins.module_utils.signing_key import fetch_keyring, is_kept, write_keyring

DROP_IN = "/etc/systemd/system/nginx.service.d/"

OUTDATED = (
    "nginx was started before its systemd drop-in was written, and is not restarted for it: the sandbox and the "
    "limits in {0}asgi-deploy.conf hold from its next start on. At a quiet time: systemctl restart nginx"
).format(DROP_IN)

NOT_CHECKED = (
    "the signing key at nginx_proxy_repository_key_url was not checked: gpg, which tells whose it is, is not installed "
    "yet, and check mode installs nothing"
)

NOT_OF_THE_DISTRIBUTION = (
    "the nginx that is installed is not the distribution's, which nginx_proxy_repository asks for. It stays, and gets "
    "no more updates: an older version is never installed over a newer one by itself. docs/nginx-generations.md says "
    "how to change it at a quiet time"
)


def due_keyring(module: AnsibleModule, renewed: bool) -> t.Tuple[bool, t.Optional[bytes]]:
    """Return whether apt's keyring has to be written, and what it has to hold, where that can be told.

    :param renewed: whether the repository's file changes, which names the trusted keys: they are fetched again then
    """
    key = module.params["key"]
    if key is None:
        return False, None
    if shutil.which("gpg") is None:
        if not module.check_mode:
            raise ValueError("gpg is not installed on this host, and without it no signing key can be checked")
        module.warn("{0}: {1}".format(module.params["host"], NOT_CHECKED))
        return renewed or not os.path.exists(key["path"]), None
    if not renewed and is_kept(module.run_command, key["path"], key["fingerprints"]):
        return False, None
    return True, fetch_keyring(module.run_command, key["url"], key["fingerprints"])


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    params, key = module.params, module.params["key"]
    mask = masked_by()
    if mask:
        raise ValueError(
            "nginx.service is masked on this host ({0}), so that nginx could not be started; accepted: a host on "
            "which `systemctl unmask nginx.service` was run".format(mask)
        )
    unit = Unit(module.run_command)
    health = HealthUnits(module.run_command, params["health_files"], params["health_checks"])
    files = {**params["files"], **health.files()}
    stale = stale_files(files)
    later = waiting(stale) if not module.check_mode else []
    extra = [path for path in params["absent"] if os.path.lexists(path)]
    leftovers = health.leftovers()
    health_later = bool(leftovers) and health.is_needed() and not module.check_mode
    fetch, keyring = due_keyring(module, any(path.endswith(".sources") for path in stale))
    own = is_of_the_distribution(module.run_command)
    switch = key is not None and own is True
    result: t.Dict[str, t.Any] = {
        "changed": bool(
            set(stale) - set(later)
            or extra
            or (leftovers and not health_later)
            or health.is_idle()
            or fetch
            or unit.needs_reload()
        ),
        "deferred": bool(later) or health_later,
        "switch": switch,
        "install": absent_packages(module.run_command, params["packages"]) + (["nginx"] if switch else []),
        "diff": diff_of(
            {path: read_text(path) for path in [*files, *extra, *leftovers] if not path.endswith(".gpg")},
            {
                **{path: wanted["text"] if path not in later else read_text(path) for path, wanted in files.items()},
                **({path: read_text(path) for path in leftovers} if health_later else {}),
            },
        ),
    }
    if not module.check_mode:
        now = {path: wanted for path, wanted in stale.items() if path not in later}
        gone = [] if health_later else leftovers
        if gone:
            health.stop()
        put(unit, now, [*extra, *gone], (key["path"], keyring) if keyring else None)
        health.start(now)
    # Another task asks the same; its trip to the host is saved so.
    result["probe"] = module.run_command(["/bin/sh", "-c", params["probe"]])[1]
    if unit.is_outdated():
        module.warn("{0}: {1}".format(params["host"], OUTDATED))
    elif not module.check_mode:
        unit.forget()
    if key is None and own is False:
        module.warn("{0}: {1}".format(params["host"], NOT_OF_THE_DISTRIBUTION))
    return result


def waiting(stale: Files) -> t.List[str]:
    """Return the files of the unit that have to wait until a hand-made configuration is taken over.

    The sandbox may be too narrow for it: were the takeover refused, its next start would fail.
    """
    live = read_text(ENTRY)
    if live is None or MARK in live:
        return []
    return [path for path in stale if path.startswith(DROP_IN)]


def put(
    unit: Unit,
    stale: Files,
    extra: t.Sequence[str],
    keyring: t.Optional[t.Tuple[str, bytes]],
) -> None:
    if any(path.startswith(DROP_IN) for path in stale):
        unit.note_change()
    if keyring:
        # First: apt fails as a whole on a repository whose key is not there.
        write_keyring(*keyring)
    write_files(stale)
    for path in extra:
        os.unlink(path)
    if unit.needs_reload() or of_systemd([*stale, *extra]):
        problem = unit.reload()
        if problem:
            raise ValueError("systemctl daemon-reload: " + problem)


def main() -> None:
    # A hardened host's root may have 077: nobody else could read what is made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": "this host"},
            "files": {"type": "dict", "required": True},
            "absent": {"type": "list", "elements": "path", "default": []},
            "packages": {"type": "list", "elements": "str", "required": True},
            "health_checks": {"type": "bool", "default": False},
            "health_files": {"type": "dict", "default": {}},
            "probe": {"type": "str", "default": ""},
            "key": {
                "type": "dict",
                "no_log": False,
                "options": {
                    "url": {"type": "str", "required": True},
                    "path": {"type": "path", "required": True},
                    "fingerprints": {"type": "list", "elements": "str", "required": True},
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
