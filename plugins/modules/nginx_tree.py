#!/usr/bin/python
# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_tree
short_description: Put a whole nginx configuration live, or none of it
version_added: 0.1.0
description:
  - Stages the tree beside the live one, tests it as a whole with C(nginx -t), where a warning counts as a
    failure, switches C(/etc/nginx/deploy/current) to it, loads it, and waits until the new generation answers.
  - Whatever fails, the live tree is as it was and nginx serves it on. A configuration that an earlier run left
    unloaded is loaded; one that was changed by hand is put back.
  - Part of the role P(asgi.deploy.nginx_proxy#role), which renders the tree on the controller.
author:
  - The asgi.deploy authors (@asgi)
options:
  files:
    description: The tree, path relative to the generation's folder to text.
    type: dict
    required: true
  generation:
    description: The id that the tree answers with at C(/generation) of the status port.
    type: str
    required: true
  entry:
    description: Text of C(/etc/nginx/nginx.conf), which includes the tree.
    type: str
    required: true
  pairs:
    description: The TLS folders to keep, each with a self-signed pair until something better is there.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the folder, that of the site.
        type: str
        required: true
      domains:
        description: Host names for the self-signed pair.
        type: list
        elements: str
        required: true
      source:
        description: C(certbot) leaves a switched C(current) alone; C(self_signed) switches it back.
        type: str
        required: true
        choices: [certbot, self_signed]
  provided:
    description: Pairs that others put on the host; they must be fit before they are served.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Place in the inventory, for the message.
        type: str
        required: true
      certificate:
        description: Absolute path of the PEM file.
        type: str
        required: true
      key:
        description: Absolute path of its key.
        type: str
        required: true
      domains:
        description: Host names that it has to cover.
        type: list
        elements: str
        required: true
  tls_dir:
    description: Folder of the TLS folders.
    type: path
    required: true
  webroot:
    description: Folder that ACME challenges are answered from; made when it is absent.
    type: path
    required: true
  status_port:
    description: Port on 127.0.0.1 where nginx tells its generation.
    type: int
    required: true
  keep:
    description: Generations to keep, the live one included.
    type: int
    default: 5
attributes:
  check_mode:
    description: Stages and tests the tree in a temporary folder, and changes nothing.
    support: full
  diff_mode:
    description: Shows each file that differs.
    support: full
"""

EXAMPLES = r"""
- name: Put the configuration live
  asgi.deploy.nginx_tree:
"""

RETURN = r"""
generation:
  description: The generation that nginx serves.
  type: str
  returned: success
reloaded:
  description: Whether nginx loaded a configuration in this run.
  type: bool
  returned: success
"""

import os
import shutil
import tempfile
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import (
    diff_of,
    flip,
    read_text,
    read_tree,
    target_of,
    write_file,
    write_tree,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import create_self_signed, problems_of
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Nginx, explain
from ansible_collections.asgi.deploy.plugins.module_utils.tls_folder import TlsFolders

ENTRY = "/etc/nginx/nginx.conf"
HOME = "/etc/nginx/deploy"
CURRENT = HOME + "/current"
GENERATIONS = HOME + "/generations"


class Refusal(Exception):
    """The tree must not go live; the text says why."""


class Transaction:
    """Stage, prove, flip, confirm; otherwise flip back."""

    def __init__(self, params: t.Mapping[str, t.Any], nginx: Nginx) -> None:
        self.files: t.Dict[str, str] = dict(params["files"])
        self.generation: str = params["generation"]
        self.entry: str = params["entry"]
        self.provided = params["provided"]
        self.keep: int = params["keep"]
        self.tls = TlsFolders(params["tls_dir"], params["pairs"])
        self.nginx = nginx
        self.live_files = read_tree(CURRENT + "/")
        self.live_entry = read_text(ENTRY)

    def differs(self) -> bool:
        return self.live_files != self.files or self.live_entry != self.entry

    def diff(self) -> t.List[t.Dict[str, str]]:
        before = {CURRENT + "/" + name: text for name, text in self.live_files.items()}
        after = {CURRENT + "/" + name: text for name, text in self.files.items()}
        return diff_of({ENTRY: self.live_entry, **before}, {ENTRY: self.entry, **after})

    def check_provided(self) -> None:
        for pair in self.provided:
            problems = problems_of(pair["certificate"], pair["key"], pair["domains"])
            if problems:
                raise Refusal("{0}: {1}".format(pair["path"], "; ".join(problems)))

    def prove(self, stage: str, substitutes: t.Mapping[str, str]) -> None:
        """Test the tree in the folder ``stage``, which is laid out like /etc/nginx.

        :param substitutes: what to write instead of TLS folders that are only there after a real run
        """
        write_file(os.path.join(stage, "nginx.conf"), self.entry)
        files = self.files
        for folder, substitute in substitutes.items():
            files = {name: text.replace(folder + "/", substitute + "/") for name, text in files.items()}
        write_tree(os.path.join(stage, "deploy", "current"), files)
        message = self.nginx.test(os.path.join(stage, "nginx.conf"))
        if message:
            raise Refusal(explain(message, os.path.join(stage, "deploy/current"), self.files))

    def check(self) -> None:
        """Prove the tree without a change to the host, with throw-away pairs where it has none yet."""
        with tempfile.TemporaryDirectory(prefix="asgi-deploy-check-") as stage:
            substitutes = {}
            for pair in self.tls.absent():
                substitutes[self.tls.current(pair["name"])] = os.path.join(stage, pair["name"])
                create_self_signed(os.path.join(stage, pair["name"]), pair["domains"])
            self.prove(stage, substitutes)

    def stage(self) -> str:
        """Prove the tree and return its folder among the generations."""
        os.makedirs(GENERATIONS, mode=0o755, exist_ok=True)
        for name in os.listdir(HOME):
            if name.startswith(".stage-"):
                shutil.rmtree(os.path.join(HOME, name))
        stage = tempfile.mkdtemp(dir=HOME, prefix=".stage-")
        try:
            self.prove(stage, {})
            # The time keeps the names in order, and apart where the same tree comes back.
            name = time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()) + self.generation
            folder = os.path.join(GENERATIONS, name)
            if os.path.isdir(folder):
                shutil.rmtree(folder)
            os.rename(os.path.join(stage, "deploy", "current"), folder)
            return folder
        finally:
            shutil.rmtree(stage)

    def apply(self) -> None:
        """Put the tree live, or leave everything as it was."""
        folder = self.stage()
        before = target_of(CURRENT)
        self._keep_foreign_entry()
        flip(CURRENT, os.path.join("generations", os.path.basename(folder)))
        if self.live_entry != self.entry:
            write_file(ENTRY, self.entry)
        problem = self.load()
        if problem is None:
            self._prune()
            return
        if self.live_entry is not None and self.live_entry != self.entry:
            write_file(ENTRY, self.live_entry)
        if before is None:
            os.unlink(CURRENT)
        else:
            flip(CURRENT, before)
        shutil.rmtree(folder)
        self.nginx.load()
        raise Refusal(problem + "\nThe configuration before it is live again.")

    def load(self) -> t.Optional[str]:
        problem = self.nginx.load()
        if problem is not None:
            return "nginx did not take the configuration: " + problem
        if not self.nginx.confirm(self.generation):
            return (
                "nginx was reloaded, but the new generation does not answer: it goes on with the configuration it "
                "had. The end of /var/log/nginx/error.log says why; a port that another program holds is the usual "
                "reason.\n" + "\n".join((read_text("/var/log/nginx/error.log") or "").splitlines()[-5:])
            )
        return None

    def load_or_refuse(self) -> None:
        problem = self.load()
        if problem:
            raise Refusal(problem)

    def _keep_foreign_entry(self) -> None:
        """A hand-made nginx.conf is no file of ours: it stays beside the new one."""
        kept = HOME + "/nginx.conf.before"
        if self.live_entry is not None and "asgi.deploy" not in self.live_entry and not os.path.exists(kept):
            write_file(kept, self.live_entry)

    def _prune(self) -> None:
        live = os.path.basename(os.path.realpath(CURRENT))
        names = sorted(name for name in os.listdir(GENERATIONS) if name != live)
        for name in names[: max(0, len(names) - (self.keep - 1))]:
            shutil.rmtree(os.path.join(GENERATIONS, name))


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    nginx = Nginx(module.run_command, module.params["status_port"])
    transaction = Transaction(module.params, nginx)
    transaction.check_provided()
    result: t.Dict[str, t.Any] = {"generation": transaction.generation, "reloaded": False, "diff": transaction.diff()}
    differs = transaction.differs()
    pending = differs or nginx.served_generation() != transaction.generation
    webroot = module.params["webroot"]

    if module.check_mode:
        transaction.check()
        result["changed"] = pending or bool(transaction.tls.stale()) or not os.path.isdir(webroot)
        return result

    changed = False
    if not os.path.isdir(webroot):
        os.makedirs(webroot, mode=0o755)
        changed = True
    # Only what nginx could not open at all: a pair that is served stays as it is until the tree is proven.
    pairs_made = transaction.tls.ensure(transaction.tls.absent())
    if differs:
        transaction.apply()
    else:
        # Tested on every run: what a package or a hand changed beside the tree shows up here,
        # and not at the next restart.
        message = nginx.test(ENTRY)
        if message:
            raise Refusal(explain(message, CURRENT, transaction.files))
        if pending or pairs_made:
            transaction.load_or_refuse()
    stale = transaction.tls.stale()
    pairs_renewed = transaction.tls.ensure(stale)
    if pairs_renewed:
        transaction.load_or_refuse()
    removed = transaction.tls.remove_foreign()
    result["reloaded"] = pending or pairs_made or pairs_renewed
    result["changed"] = bool(changed or stale or removed or result["reloaded"])
    return result


def main() -> None:
    pair = {
        "name": {"type": "str", "required": True},
        "domains": {"type": "list", "elements": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "required": True},
            "generation": {"type": "str", "required": True},
            "entry": {"type": "str", "required": True},
            "pairs": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    **pair,
                    "source": {"type": "str", "required": True, "choices": ["certbot", "self_signed"]},
                },
            },
            "provided": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "certificate": {"type": "str", "required": True},
                    "key": {"type": "str", "required": True, "no_log": False},
                    "domains": pair["domains"],
                },
            },
            "tls_dir": {"type": "path", "required": True},
            "webroot": {"type": "path", "required": True},
            "status_port": {"type": "int", "required": True},
            "keep": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (Refusal, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
