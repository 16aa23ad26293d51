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
  - With O(key), a package repository's signing key is fetched and held against the fingerprints that are trusted,
    before anything is written.
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
    description: Fetches and checks a key, and changes nothing.
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
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, read_text, words_of, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_unit import (
    Unit,
    absent_packages,
    is_of_the_distribution,
    masked_by,
)
from ansible_collections.asgi.deploy.plugins.module_utils.openpgp import Keys, read_keys

DROP_IN = "/etc/systemd/system/nginx.service.d/"

OUTDATED = (
    "nginx was started before its systemd drop-in was written, and is not restarted for it: the sandbox and the "
    "limits in {0}asgi-deploy.conf hold from its next start on. At a quiet time: systemctl restart nginx"
).format(DROP_IN)

NOT_OF_THE_DISTRIBUTION = (
    "the nginx that is installed is not the distribution's, which nginx_proxy_repository asks for. It stays, and gets "
    "no more updates: an older version is never installed over a newer one by itself. docs/nginx-generations.md says "
    "how to change it at a quiet time"
)


def mode_of(path: str) -> int:
    return os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0


def kept_key(wanted: t.Mapping[str, t.Any]) -> bool:
    """Return whether the key on the host is one that is trusted."""
    try:
        with open(wanted["path"], "rb") as stream:
            return set(read_keys(stream.read()).fingerprints) <= set(wanted["fingerprints"])
    except (OSError, ValueError):
        return False


def fetch_key(wanted: t.Mapping[str, t.Any]) -> Keys:
    """Return the key from its URL.

    :raises ValueError: where it is not to be had, or is not only what is trusted
    """
    # Here, not above: with HTTP and TLS it is half of the module, and nearly no run needs it.
    import urllib.request

    try:
        # A proxy is taken from the environment.
        with urllib.request.urlopen(wanted["url"], timeout=30) as answer:
            data = answer.read(1 << 20)
    except OSError as error:
        reason = getattr(error, "reason", None) or words_of(error)
        raise ValueError("nginx_proxy_repository_key_url: {0}: {1}".format(wanted["url"], reason)) from None
    try:
        keys = read_keys(data)
    except ValueError as error:
        raise ValueError("nginx_proxy_repository_key_url: {0}: {1}".format(wanted["url"], error)) from None
    strange = [one for one in keys.fingerprints if one not in wanted["fingerprints"]]
    if strange:
        raise ValueError(
            "nginx_proxy_repository_key_url: {0} has the key {1}, which is refused; accepted: {2}".format(
                wanted["url"], ", ".join(strange), ", ".join(wanted["fingerprints"])
            )
        )
    return keys


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    params, key = module.params, module.params["key"]
    mask = masked_by()
    if mask:
        raise ValueError(
            "nginx.service is masked on this host ({0}), so that nginx could not be started; accepted: a host on "
            "which `systemctl unmask nginx.service` was run".format(mask)
        )
    unit = Unit(module.run_command)
    files = params["files"]
    stale = {
        path: wanted
        for path, wanted in files.items()
        if read_text(path) != wanted["text"] or mode_of(path) != int(wanted["mode"], 8)
    }
    extra = [path for path in params["absent"] if os.path.lexists(path)]
    # The repository's file names its keys: when the list of trusted ones changes, they are fetched again.
    fetch = key is not None and (not kept_key(key) or any(path.endswith(".sources") for path in stale))
    keys = fetch_key(key) if fetch else None
    own = is_of_the_distribution(module.run_command)
    switch = key is not None and own is True
    result: t.Dict[str, t.Any] = {
        "changed": bool(stale or extra or fetch or unit.needs_reload()),
        "switch": switch,
        "install": absent_packages(module.run_command, params["packages"]) + (["nginx"] if switch else []),
        "diff": diff_of(
            {path: read_text(path) for path in [*files, *extra] if not path.endswith(".gpg")},
            {path: wanted["text"] for path, wanted in files.items()},
        ),
    }
    if not module.check_mode:
        put(unit, stale, extra, (key["path"], keys.binary) if key and keys else None)
    # Another task asks the same; its trip to the host is saved so.
    result["probe"] = module.run_command(["/bin/sh", "-c", params["probe"]])[1]
    if unit.is_outdated():
        module.warn("{0}: {1}".format(params["host"], OUTDATED))
    elif not module.check_mode:
        unit.forget()
    if key is None and own is False:
        module.warn("{0}: {1}".format(params["host"], NOT_OF_THE_DISTRIBUTION))
    return result


def put(
    unit: Unit,
    stale: t.Mapping[str, t.Mapping[str, str]],
    extra: t.Sequence[str],
    key: t.Optional[t.Tuple[str, bytes]],
) -> None:
    if any(path.startswith(DROP_IN) for path in stale):
        unit.note_change()
    if key:
        # First: apt fails as a whole on a repository whose key is not there.
        os.makedirs(os.path.dirname(key[0]), mode=0o755, exist_ok=True)
        temporary = key[0] + ".new"
        with open(temporary, "wb") as stream:
            stream.write(key[1])
        os.chmod(temporary, 0o644)
        os.replace(temporary, key[0])
    for path, wanted in stale.items():
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        write_file(path, wanted["text"], int(wanted["mode"], 8))
    for path in extra:
        os.unlink(path)
    if unit.needs_reload() or any(path.startswith("/etc/systemd/") for path in stale):
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
