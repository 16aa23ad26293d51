# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder with one folder a site, in which ``current`` points at the pair that nginx serves.

``bootstrap/`` holds a self-signed pair, so that nginx starts before any certificate exists, and
``site.json`` says what the site wants; by it a folder is known as ours.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import flip, read_text, target_of, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import (
    create_self_signed,
    problems_of,
    read_certificate,
)

#: Where certbot has its certificates.
LINEAGES = "/etc/letsencrypt/live"

#: A self-signed pair is made again this long before its end.
_SPARE_SECONDS = 30 * 86400

Pair = t.Mapping[str, t.Any]


class TlsFolders:
    """:param pairs: the wanted folders, each with ``name``, ``domains`` and ``source``"""

    def __init__(self, root: str, pairs: t.Sequence[Pair]) -> None:
        self.root = root
        self.pairs = pairs

    def folder(self, name: str) -> str:
        return os.path.join(self.root, name)

    def current(self, name: str) -> str:
        return os.path.join(self.folder(name), "current")

    def absent(self) -> t.List[Pair]:
        """Return the pairs that nginx could not open now."""
        return [pair for pair in self.pairs if not os.path.exists(self.current(pair["name"]) + "/fullchain.pem")]

    def stale(self) -> t.List[Pair]:
        """Return the pairs for which :meth:`ensure` has something to do."""
        return [
            pair
            for pair in self.pairs
            if self._bootstrap_is_due(pair)
            or self._wrong_link(pair)
            or read_text(self._marker(pair)) != self._description(pair)
        ]

    def ensure(self, pairs: t.Sequence[Pair]) -> bool:
        """Make the folders of ``pairs`` complete. Returns whether nginx has to load a pair anew."""
        reload = False
        for pair in pairs:
            os.makedirs(self.folder(pair["name"]), mode=0o755, exist_ok=True)
            if self._bootstrap_is_due(pair):
                create_self_signed(self._bootstrap(pair), pair["domains"])
                reload = True
            if self._wrong_link(pair):
                flip(self.current(pair["name"]), self._best(pair))
                reload = True
            write_file(self._marker(pair), self._description(pair))
        return reload

    def remove_foreign(self) -> bool:
        """Remove folders of sites that are gone: only those that carry our marker. Returns whether any was."""
        wanted = {pair["name"] for pair in self.pairs}
        gone = [
            name
            for name in (os.listdir(self.root) if os.path.isdir(self.root) else [])
            if name not in wanted and os.path.exists(os.path.join(self.root, name, "site.json"))
        ]
        for name in gone:
            shutil.rmtree(self.folder(name))
        return bool(gone)

    def _best(self, pair: Pair) -> str:
        """Return what ``current`` should point at: a site that comes back finds its certificate at once."""
        lineage = os.path.join(LINEAGES, pair["name"])
        fits = pair["source"] == "certbot" and not problems_of(
            lineage + "/fullchain.pem", lineage + "/privkey.pem", pair["domains"]
        )
        return lineage if fits else "bootstrap"

    def _bootstrap(self, pair: Pair) -> str:
        return os.path.join(self.folder(pair["name"]), "bootstrap")

    def _marker(self, pair: Pair) -> str:
        return os.path.join(self.folder(pair["name"]), "site.json")

    def _description(self, pair: Pair) -> str:
        wanted = {"domains": sorted(pair["domains"]), "source": pair["source"]}
        return json.dumps(wanted, indent=2, sort_keys=True) + "\n"

    def _wrong_link(self, pair: Pair) -> bool:
        link = self.current(pair["name"])
        if pair["source"] == "self_signed":
            return target_of(link) != "bootstrap"
        # A lineage that was deleted by hand leaves a link to nothing, and nginx would not start.
        return not os.path.exists(link + "/fullchain.pem")

    def _bootstrap_is_due(self, pair: Pair) -> bool:
        folder = self._bootstrap(pair)
        certificate = folder + "/fullchain.pem"
        if problems_of(certificate, folder + "/privkey.pem", pair["domains"], time.time() + _SPARE_SECONDS):
            return True
        # Names that left the site should leave its certificate.
        return read_certificate(certificate).names != frozenset(pair["domains"])
