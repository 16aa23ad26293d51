#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gunicorn_release
short_description: Put a release of an ASGI application live, or leave the one before
version_added: 0.1.0
description:
  - Builds the release with its own virtual environment, starts it in the idle slot, asks its health path, switches
    the socket that nginx reaches to it, and lets the old slot drain.
  - Whatever fails, the release before serves on, nothing of the new one is left, and the message holds the
    application's own last log lines.
  - A changed setting goes the same way as new code. The same release with the same settings changes nothing.
  - Part of the role P(asgi.deploy.gunicorn_app#role), which renders the files on the controller.
author:
  - The asgi.deploy authors (@asgi)
options:
  name:
    description: Name of the application, its user and its units.
    type: str
    required: true
  root:
    description: Folder of the application.
    type: path
    required: true
  source:
    description: What the release is built from; C(type), C(digest) and what else identifies it for a reader.
    type: dict
    required: true
  archive:
    description: A tar archive on the host with the source, for C(type=directory).
    type: path
  repository:
    description: A git checkout on the host, for C(type=git); C(source.digest) is the commit.
    type: path
  requirements:
    description: The locked requirements file, relative to the source.
    type: str
    required: true
  python:
    description: Interpreter for the virtual environment.
    type: path
    required: true
  files:
    description: For each slot, path on the host to text.
    type: dict
    required: true
  environment:
    description: Text of the environment file, which only root can read.
    type: str
    required: true
  health:
    description: The question that a release has to answer with 200.
    type: dict
    required: true
    suboptions:
      path:
        description: Path to ask for.
        type: str
        required: true
      host:
        description: Host header to ask with.
        type: str
        required: true
      timeout:
        description: Seconds until it must have answered.
        type: int
        required: true
  keep:
    description: Releases to keep, the live one included.
    type: int
    default: 3
attributes:
  check_mode:
    description: Says whether a release would be built and switched to.
    support: full
  diff_mode:
    description: Shows each file of the slot that differs, but never the environment.
    support: full
"""

EXAMPLES = r"""
- name: Put the release live
  asgi.deploy.gunicorn_release:
"""

RETURN = r"""
release:
  description: Name of the live release.
  type: str
  returned: success
slot:
  description: The live slot, C(blue) or C(green).
  type: str
  returned: success
needs_archive:
  description: The release has to be built, and the archive is missing; nothing was changed.
  type: bool
  returned: when it is so
"""

import contextlib
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, locked, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.release import (
    BuildError,
    Releases,
    unpack_archive,
    unpack_commit,
)
from ansible_collections.asgi.deploy.plugins.module_utils.slots import Health, SlotError, Slots


def unpacker(params: t.Mapping[str, t.Any]) -> t.Callable[[str], None]:
    if params["archive"]:
        return lambda folder: unpack_archive(params["archive"], folder)
    return lambda folder: unpack_commit(params["repository"], params["source"]["digest"], folder)


def what_serves(slots: Slots, live: t.Optional[str]) -> str:
    if live is None:
        return "There is no release before it: the application is not served."
    verb = "serves on" if slots.is_active(live) else "does not serve either"
    return "The release before it, {0}, {1}.".format(slots.release_of(live), verb)


def deploy(params: t.Mapping[str, t.Any], releases: Releases, slots: Slots, check_mode: bool) -> t.Dict[str, t.Any]:
    health = Health(**params["health"])
    identity = releases.identify(params["source"], params["requirements"])
    release, live = releases.find(identity), slots.live()

    if slots.is_as_wanted(live, release) and slots.is_active(live) and health.ask(slots.current) is None:
        due = slots.repairs(live)
        for repair in [] if check_mode else due:
            repair()
        return {"changed": bool(due), "release": release, "slot": live, "diff": []}

    slot = slots.idle()
    diff = diff_of(slots.on_disk(live) if live else {}, slots.files[live or slot])
    if release != slots.release_of(live):
        diff += diff_of(
            {"release": (slots.release_of(live) or "") + "\n"}, {"release": (release or "(to be built)") + "\n"}
        )
    if check_mode:
        return {"changed": True, "release": release or identity, "slot": slot, "diff": diff}
    if release is None and params["source"]["type"] == "directory" and not params["archive"]:
        return {"changed": False, "needs_archive": True}

    built = release is None
    if built:
        release = releases.build(
            identity, params["source"], unpacker(params), params["requirements"], slots.used_releases()
        )
    try:
        slots.start(slot, release, health)
        slots.switch(slot, health)
    except SlotError as error:
        if built:
            releases.remove(release)
        raise SlotError("{0}\n{1}".format(error, what_serves(slots, live))) from error
    for repair in slots.repairs(slot):
        repair()
    releases.prune(params["keep"], slots.used_releases())
    return {"changed": True, "release": release, "slot": slot, "diff": diff}


def main() -> None:
    # A hardened host's root may have 077: nginx and the application could not enter the folders made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "root": {"type": "path", "required": True},
            "source": {"type": "dict", "required": True},
            "archive": {"type": "path"},
            "repository": {"type": "path"},
            "requirements": {"type": "str", "required": True},
            "python": {"type": "path", "required": True},
            "files": {"type": "dict", "required": True},
            "environment": {"type": "str", "required": True, "no_log": True},
            "health": {
                "type": "dict",
                "required": True,
                "options": {
                    "path": {"type": "str", "required": True},
                    "host": {"type": "str", "required": True},
                    "timeout": {"type": "int", "required": True},
                },
            },
            "keep": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
    )
    params = module.params
    releases = Releases(params["name"], params["root"], params["python"])
    slots = Slots(params["name"], params["root"], params["files"], params["environment"], module.run_command)
    try:
        # At once: a deployment takes longer than anybody would wait for it.
        lock = locked(params["name"], "Another deployment of " + params["name"], seconds=0)
        with contextlib.nullcontext() if module.check_mode else lock:
            result = deploy(params, releases, slots, module.check_mode)
    except (BuildError, SlotError, ValueError, OSError) as error:
        module.fail_json(msg=words_of(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
