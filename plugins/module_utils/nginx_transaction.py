# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole nginx configuration: staged, proven, switched to, confirmed; otherwise switched back."""

from __future__ import annotations

import os
import shutil
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, read_tree
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import (
    create_self_signed,
    read_certificate,
    served_fingerprint,
)
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import keep_marks
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Nginx, explain
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_entry import Entry
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import (
    Generations,
    Refusal,
    drifted_modes,
    private_below,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_switch import (
    Files,
    checked_folder,
    load_and_confirm,
    prove,
)
from ansible_collections.asgi.deploy.plugins.module_utils.tls_folder import TlsFolders

#: Seconds in which nginx has to serve a certificate after the reload.
_PATIENCE = 10

#: What --diff shows of a password file.
HIDDEN = "(hidden)\n"
HIDDEN_CHANGED = "(hidden, and other than before)\n"


class NginxTransaction:
    """:param params: the parameters of the module nginx_tree"""

    def __init__(self, params: t.Mapping[str, t.Any], nginx: Nginx, generations: Generations, entry: Entry) -> None:
        self.live_files = read_tree(generations.current + "/")
        # What health checks have marked stays marked, and is no difference.
        self.files: t.Dict[str, str] = keep_marks(params["files"], self.live_files)
        self.private: t.Dict[str, str] = dict(params["private"])
        self.generation: str = params["generation"]
        self.keep: int = params["keep"]
        self.proxy_protocol: bool = params["proxy_protocol"]
        self.served = params["served"]
        self.missing_folders = [item["path"] for item in params["folders"] if not os.path.isdir(item["path"])]
        pairs = [{**pair, "proxy_protocol": self.proxy_protocol} for pair in params["pairs"]]
        self.tls = TlsFolders(params["tls_dir"], pairs)
        self.nginx = nginx
        self.generations = generations
        self.entry = entry

    def differs(self) -> bool:
        wanted = {**self.files, **self.private}
        drifted = drifted_modes(self.generations.current, self.private)
        return self.live_files != wanted or self.entry.differs() or bool(drifted)

    def is_unconfirmed(self) -> bool:
        """Return whether the live generation is one that nginx was never seen to serve: a run was killed."""
        return self.generations.live() not in self.generations.confirmed() or self.entry.is_aside()

    def diff(self) -> t.List[t.Dict[str, str]]:
        if not self.differs():
            return []
        hidden = {*private_below(self.generations.current), *self.private}
        before = {name: HIDDEN if name in hidden else text for name, text in self.live_files.items()}
        after = dict(self.files)
        for name, text in self.private.items():
            after[name] = HIDDEN if self.live_files.get(name, text) == text else HIDDEN_CHANGED
        for name in drifted_modes(self.generations.current, self.private):
            after[name] = HIDDEN_CHANGED
        current = self.generations.current + "/"
        return diff_of(
            {self.entry.path: self.entry.live, **{current + name: text for name, text in before.items()}},
            {self.entry.path: self.entry.text, **{current + name: text for name, text in after.items()}},
        )

    def check(self) -> None:
        """Prove the tree without a change to the host, with throw-away folders where it has none yet."""
        with checked_folder() as stage:
            substitutes = {}
            for pair in self.tls.absent():
                substitutes[self.tls.current(pair["name"])] = os.path.join(stage, pair["name"])
                create_self_signed(os.path.join(stage, pair["name"]), pair["domains"])
            for number, folder in enumerate(self.missing_folders):
                substitutes[folder] = os.path.join(stage, "folder{0}".format(number))
                os.mkdir(substitutes[folder])
            prove(self.nginx, stage, self.entry.text, Files(self.files, self.private), substitutes)

    def test_live(self) -> None:
        """Test what is live. On every run: what a package or a hand changed beside the tree shows up here,

        and not at the next restart.
        """
        message = self.nginx.test(self.entry.path)
        if message:
            raise Refusal(explain(message, self.generations.current, self.files))

    def stage(self) -> str:
        """Prove the tree and return its name among the generations."""
        stage = self.generations.stage()
        try:
            prove(self.nginx, stage, self.entry.text, Files(self.files, self.private), {})
            return self.generations.keep(os.path.join(stage, "deploy", "current"), self.generation)
        finally:
            shutil.rmtree(stage)

    def apply(self) -> None:
        """Put the tree live, or leave everything as it was."""
        before = self._way_back()
        name = self.stage()
        self.generations.point(name)
        # After the flip: an entry of ours whose tree is not there would keep nginx from starting.
        self.entry.put()
        self._settle(name, before)

    def apply_again(self) -> None:
        """End what a killed run began, or undo it."""
        name = self.generations.live() or ""
        self._settle(name, self.generations.way_back(name))

    def _way_back(self) -> t.Optional[str]:
        live = self.generations.live()
        if live is None or (self.is_unconfirmed() and self.generations.confirmed()):
            return self.generations.way_back(live or "")
        return live

    def _settle(self, name: str, before: t.Optional[str]) -> None:
        problem = self.load()
        if problem is None:
            self.generations.confirm(name)
            self.entry.settle()
            self.generations.prune(self.keep)
            return
        if before is None and not self.entry.is_aside():
            raise Refusal(problem)
        self.entry.put_back()
        self.generations.point(before)
        self.nginx.load()
        self.generations.remove(name)
        raise Refusal(problem + "\nThe configuration before it is live again.")

    def kept_folders(self) -> t.Set[str]:
        """Return the TLS folders that a generation on the host reads: without them nobody can go back to it."""
        names = [self.generations.named(one.name, self.tls.root) for one in self.generations.all()]
        return set().union(*names)

    def unserved(self) -> t.List[str]:
        """Return the domains whose certificate nginx serves otherwise than it is on disk: somebody renewed it."""
        return [
            item["domain"]
            for item in self.served
            if served_fingerprint(item["domain"], proxy_protocol=self.proxy_protocol) != _on_disk(item["certificate"])
        ]

    def load(self) -> t.Optional[str]:
        problem = load_and_confirm(self.nginx, self.generation)
        if problem is not None:
            return problem
        deadline = time.monotonic() + _PATIENCE
        while self.unserved():
            if time.monotonic() > deadline:
                return "nginx was reloaded, and does not serve the certificate on disk for " + ", ".join(
                    self.unserved()
                )
            time.sleep(0.1)
        return None

    def load_or_refuse(self) -> None:
        problem = self.load()
        if problem:
            raise Refusal(problem)


def _on_disk(certificate: str) -> t.Optional[str]:
    try:
        return read_certificate(certificate).fingerprint
    except ValueError:
        # Not there yet, or not any more: then nginx cannot serve it either, and says why.
        return "unreadable"
