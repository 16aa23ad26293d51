# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole nginx configuration: staged, proven, switched to, confirmed; otherwise switched back."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import (
    diff_of,
    flip,
    flip_back,
    read_text,
    read_tree,
    target_of,
    write_file,
    write_tree,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import (
    create_self_signed,
    read_certificate,
    served_fingerprint,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Nginx, explain
from ansible_collections.asgi.deploy.plugins.module_utils.tls_folder import TlsFolders

ENTRY = "/etc/nginx/nginx.conf"
HOME = "/etc/nginx/deploy"
CURRENT = HOME + "/current"
GENERATIONS = HOME + "/generations"


#: Seconds in which nginx has to serve a certificate after the reload.
_PATIENCE = 10


class Refusal(Exception):
    """The tree must not go live; the text says why."""


class NginxTransaction:
    """:param params: the parameters of the module nginx_tree"""

    def __init__(self, params: t.Mapping[str, t.Any], nginx: Nginx) -> None:
        self.files: t.Dict[str, str] = dict(params["files"])
        self.generation: str = params["generation"]
        self.entry: str = params["entry"]
        self.keep: int = params["keep"]
        self.tls = TlsFolders(params["tls_dir"], params["pairs"])
        self.served = params["served"]
        self.nginx = nginx
        self.live_files = read_tree(CURRENT + "/")
        self.live_entry = read_text(ENTRY)

    def differs(self) -> bool:
        return self.live_files != self.files or self.live_entry != self.entry

    def diff(self) -> t.List[t.Dict[str, str]]:
        before = {CURRENT + "/" + name: text for name, text in self.live_files.items()}
        after = {CURRENT + "/" + name: text for name, text in self.files.items()}
        return diff_of({ENTRY: self.live_entry, **before}, {ENTRY: self.entry, **after})

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

    def test_live(self) -> None:
        """Test what is live. On every run: what a package or a hand changed beside the tree shows up here,

        and not at the next restart.
        """
        message = self.nginx.test(ENTRY)
        if message:
            raise Refusal(explain(message, CURRENT, self.files))

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
            while os.path.exists(folder):
                # Of the same second, and perhaps the live one: never removed before its successor is.
                folder += "+"
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
        flip_back(CURRENT, before)
        shutil.rmtree(folder)
        self.nginx.load()
        raise Refusal(problem + "\nThe configuration before it is live again.")

    def unserved(self) -> t.List[str]:
        """Return the domains whose certificate nginx serves otherwise than it is on disk: somebody renewed it."""
        return [
            item["domain"]
            for item in self.served
            if served_fingerprint(item["domain"]) != _on_disk(item["certificate"])
        ]

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


def _on_disk(certificate: str) -> t.Optional[str]:
    try:
        return read_certificate(certificate).fingerprint
    except ValueError:
        # Not there yet, or not any more: then nginx cannot serve it either, and says why.
        return "unreadable"
