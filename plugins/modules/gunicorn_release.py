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
    the socket that nginx reaches to it, confirms it through nginx, and lets the old slot drain.
  - Whatever fails, the release before serves on, nothing of the new one is left, and the message holds the
    application's own last log lines.
  - A changed setting goes the same way as new code. The same release with the same settings changes nothing.
  - Part of the role P(asgi.deploy.gunicorn_app#role), which renders the files on the controller. The role runs it twice
    for an application, by O(phase), so that on a fleet nothing goes live before the migrations are done.
author:
  - The asgi.deploy authors (@asgi)
options:
  name:
    description: Name of the application, its user and its units.
    type: str
    required: true
  state:
    description: C(absent) removes the application, but for its data.
    type: str
    default: present
    choices: [present, absent]
  phase:
    description: >-
      C(prepare) fetches and builds the release and runs the hooks that come before its start; C(live) starts it,
      proves it and switches to it; C(both) does both, where no host has to wait for another one.
    type: str
    default: prepare
    choices: [prepare, live, both]
  prepared:
    description: Name of the release that O(phase=prepare) returned, for O(phase=live).
    type: str
  by:
    description: Who deploys, for the message of another deployment at the same time.
    type: str
    default: ""
  lease:
    description: >-
      Id of the release over many hosts that this belongs to, see M(asgi.deploy.release_lock). While another one holds
      the host, nothing is done.
    type: str
  first:
    description: Whether this is the host that runs the hooks that run once.
    type: bool
    default: true
  root:
    description: Folder of the application.
    type: path
    required: true
  source:
    description: What the release is built from; the keys of the role's variable, and what the controller knows of them.
    type: dict
    suboptions:
      type:
        description: C(archive), C(directory), C(git) or C(package).
        type: str
      url:
        description: Address of a repository or an archive, without its query.
        type: str
      query:
        description: What follows the question mark of the address.
        type: str
      version:
        description: Commit, tag, branch or version.
        type: str
      signed_by:
        description: OpenPGP public keys.
        type: list
        elements: str
      checksum:
        description: C(sha256:) and its digits.
        type: str
      name:
        description: Name of a distribution.
        type: str
      extras:
        description: Its extras.
        type: list
        elements: str
      digest:
        description: Digest of what the controller would send.
        type: str
  archive:
    description: A tar archive on the host with the source, sent by the controller.
    type: path
  install:
    description: How it is installed.
    type: dict
    suboptions:
      installer:
        description: C(pip) or C(uv).
        type: str
      requirements:
        description: Requirements file, relative to the source.
        type: str
      packages:
        description: Requirements beside those of a package.
        type: list
        elements: str
      server:
        description: C(gunicorn) or C(uvicorn).
        type: str
      index:
        description: The package index.
        type: dict
        suboptions:
          url:
            description: Its address.
            type: str
          username:
            description: Name to log in with.
            type: str
          password:
            description: Password or token.
            type: str
          ca_bundle:
            description: PEM file with the authority of its certificate.
            type: path
  python:
    description: Interpreter for the virtual environment.
    type: path
  files:
    description: For each slot, path on the host to text.
    type: dict
  environment:
    description: Text of the environment file, which only root can read.
    type: str
  health:
    description: >-
      The question that a release has to answer; C(path), C(host), C(timeout), C(status), C(body) and C(successes).
    type: dict
  smoke:
    description: The request through nginx; C(path), C(domain), C(https), C(timeout). Without a value there is none.
    type: dict
  hooks:
    description: Lists of hooks by when they run, C(before), C(after), C(rollback).
    type: dict
  static:
    description: Folders of the source that are published; C(folder) and C(as) of each.
    type: list
    elements: dict
    default: []
  release:
    description: The release to go back to, C(previous) or a name.
    type: str
  warm:
    description: Seconds for which the slot before runs on after a switch.
    type: int
    default: 0
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
- name: Prepare the release
  asgi.deploy.gunicorn_release:
    name: notes
"""

RETURN = r"""
due:
  description: There is a prepared release to put live.
  type: bool
  returned: with O(phase=prepare)
live:
  description: Name of the release that is live nevertheless.
  type: str
  returned: failure
name:
  description: Name of the application.
  type: str
  returned: success
needs_archive:
  description: The release has to be built, and the archive is missing; nothing was changed.
  type: bool
  returned: when it is so
kept:
  description: The folder with the data of an application that is absent, which stay.
  type: str
  returned: with O(state=absent)
release:
  description: Name of the release that is live, or is to be.
  type: str
  returned: success
seconds:
  description: How long it took on the host.
  type: float
  returned: always
removed:
  description: What was removed of an application that is absent.
  type: list
  elements: str
  returned: with O(state=absent)
slot:
  description: The slot of that release, C(blue) or C(green).
  type: str
  returned: success
steps:
  description: What was done, each C(step) with its C(seconds).
  type: list
  elements: dict
  returned: when something was done
unconfirmed:
  description: Why a switch, of this run or of one that was killed after it, was not confirmed through nginx.
  type: str
  returned: when it was not
would:
  description: What would be done, C(switch) or C(build and switch).
  type: str
  returned: in check mode, when something would be
"""

import contextlib
import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.deployment import Deployment
from ansible_collections.asgi.deploy.plugins.module_utils.hooks import HookError
from ansible_collections.asgi.deploy.plugins.module_utils.lease import Lease
from ansible_collections.asgi.deploy.plugins.module_utils.release import BuildError
from ansible_collections.asgi.deploy.plugins.module_utils.removal import data_of, remove_application, would_remove
from ansible_collections.asgi.deploy.plugins.module_utils.slots import SlotError
from ansible_collections.asgi.deploy.plugins.module_utils.standing import live_release

TEXT = {"type": "str"}
TEXTS = {"type": "list", "elements": "str"}
#: Of the whole dictionary Ansible would hide each word, wherever it stands: "gunicorn" in a message among them.
SECRET = {"type": "str", "no_log": True}

SOURCE = {
    **dict.fromkeys(("type", "url", "version", "checksum", "name", "digest"), TEXT),
    **dict.fromkeys(("signed_by", "extras"), TEXTS),
    # What follows the question mark of the URL is often a token.
    "query": SECRET,
}
INDEX = {**dict.fromkeys(("url", "username"), TEXT), "ca_bundle": {"type": "path"}, "password": SECRET}
INSTALL = {
    **dict.fromkeys(("installer", "requirements", "server"), TEXT),
    "packages": TEXTS,
    "index": {"type": "dict", "options": INDEX},
}


def remove(module: AnsibleModule) -> t.Dict[str, t.Any]:
    name = module.params["name"]
    if module.check_mode:
        found = would_remove(name, module.run_command)
    else:
        found = remove_application(name, module.run_command)
    # The data stay, and whoever reads the diff is told where.
    kept = data_of(name)
    before, after = ("".join(item + "\n" for item in items if item) for items in ([*found, kept], [kept]))
    diff = [{"before_header": name, "after_header": name, "before": before, "after": after}] if found else []
    return {"changed": bool(found), "due": False, "removed": found, "kept": kept, "diff": diff}


def deploy(module: AnsibleModule) -> t.Dict[str, t.Any]:
    source = {key: value for key, value in module.params["source"].items() if value is not None}
    query = source.pop("query", None)
    if query:
        source["url"] += "?" + query
    deployment = Deployment({**module.params, "source": source}, module.run_command)
    if module.params["phase"] == "live":
        return deployment.go_live(module.params["prepared"])
    prepared = deployment.prepare(module.check_mode)
    if module.params["phase"] == "prepare" or not prepared["due"]:
        return prepared
    return {**prepared, **deployment.go_live(prepared["release"]), "due": False}


def main() -> None:
    # A hardened host's root may have 077: nginx and the application could not enter the folders made here.
    os.umask(0o022)
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "phase": {"type": "str", "default": "prepare", "choices": ["prepare", "live", "both"]},
            "prepared": {"type": "str"},
            "by": {"type": "str", "default": ""},
            "lease": {"type": "str"},
            "first": {"type": "bool", "default": True},
            "root": {"type": "path", "required": True},
            "source": {"type": "dict", "options": SOURCE},
            "archive": {"type": "path"},
            "install": {"type": "dict", "options": INSTALL},
            "python": {"type": "path"},
            "files": {"type": "dict"},
            "environment": {"type": "str", "no_log": True},
            "health": {"type": "dict"},
            "smoke": {"type": "dict"},
            "hooks": {"type": "dict"},
            "static": {"type": "list", "elements": "dict", "default": []},
            "release": {"type": "str"},
            "warm": {"type": "int", "default": 0},
            "keep": {"type": "int", "default": 3},
        },
        required_if=[
            ("state", "present", ("source", "install", "python", "files", "environment", "health", "hooks")),
            ("phase", "live", ("prepared",)),
        ],
        supports_check_mode=True,
    )
    params = module.params
    began = time.monotonic()
    try:
        # At once: a deployment takes longer than anybody would wait for it.
        lock = locked(params["name"], "Another deployment of " + params["name"], seconds=0, by=params["by"])
        with contextlib.nullcontext() if module.check_mode else lock:
            Lease(params["name"]).require(params["lease"], module.check_mode)
            result = remove(module) if params["state"] == "absent" else deploy(module)
    except (BuildError, HookError, SlotError, ValueError, OSError) as error:
        live = live_release(params["root"])
        module.fail_json(msg=words_of(error), live=live, seconds=round(time.monotonic() - began, 1))
    module.exit_json(name=params["name"], seconds=round(time.monotonic() - began, 1), **result)


if __name__ == "__main__":
    main()
