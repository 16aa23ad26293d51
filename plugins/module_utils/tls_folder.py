# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder with one folder a site, in which ``current`` points at the pair that nginx serves.

``bootstrap/`` holds a self-signed pair, so that nginx starts before any certificate exists, and
``site.json`` says what the site wants; by it a folder is known as ours. The folder of a site that is gone
stays, marked as such, while a generation that may be gone back to reads it.

Runs inside modules and, copied beside them, inside the program asgi-deploy-nginx-rollback: only the standard
library, and nothing of Ansible.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import flip, read_text, target_of, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import (
    could_load,
    covers,
    create_self_signed,
    problems_of,
    read_certificate,
)

#: Where certbot has its certificates.
LINEAGES = "/etc/letsencrypt/live"

#: A self-signed pair is made again this long before its end.
_SPARE_SECONDS = 30 * 86400

#: The source of a site that is not served any more.
GONE = "gone"

Pair = t.Mapping[str, t.Any]


class _Fitness(t.NamedTuple):
    """How well a valid lineage of certbot's fits a site; of two the greater one fits better."""

    covered: int
    is_own: bool
    is_for_real: bool
    not_after: float
    name: str

    @classmethod
    def of(cls, name: str, domains: t.Sequence[str], is_own: bool) -> t.Optional[_Fitness]:
        """Return None for a lineage that nginx could not serve any of ``domains`` with."""
        certificate = os.path.join(LINEAGES, name, "fullchain.pem")
        if problems_of(certificate, os.path.join(LINEAGES, name, "privkey.pem"), ()):
            return None
        read = read_certificate(certificate)
        covered = sum(covers(read.names, domain) for domain in domains)
        # Let's Encrypt's for trials; browsers refuse them, and they may well be the younger ones.
        is_for_real = "(STAGING)" not in read.issuer
        return cls(covered, is_own, is_for_real, read.not_after, name) if covered else None


def lineage_of(pair: Pair) -> str:
    """Return the name of certbot's certificate for a site."""
    name: str = pair.get("lineage") or pair["name"]
    return name


def _lineages() -> t.List[str]:
    # certbot's README is no folder.
    names = os.listdir(LINEAGES) if os.path.isdir(LINEAGES) else []
    return sorted(name for name in names if os.path.isdir(os.path.join(LINEAGES, name)))


class TlsFolders:
    """:param pairs: the wanted folders, each with ``name``, ``domains`` and ``source``; with ``lineage``, the name of

    certbot's certificate, where that is not the site's own name, because several sites share one for instance
    """

    def __init__(self, root: str, pairs: t.Sequence[Pair]) -> None:
        self.root = root
        self.pairs = pairs

    def folder(self, name: str) -> str:
        return os.path.join(self.root, name)

    def current(self, name: str) -> str:
        return os.path.join(self.folder(name), "current")

    def absent(self) -> t.List[Pair]:
        """Return the pairs that nginx could not open now."""
        return [pair for pair in self.pairs if not self._can_open(pair)]

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
            if self._wrong_link(pair) or self._comes_back(pair):
                flip(self.current(pair["name"]), self._best(pair))
                reload = True
            write_file(self._marker(pair), self._description(pair))
        return reload

    def remove_foreign(self, needed: t.Callable[[], t.Container[str]]) -> bool:
        """Remove folders of sites that are gone: only those that carry our marker. Returns whether any was.

        :param needed: names that stay, out of certbot's reach, for the generations that read them; asked for only
            where a site is gone, because the answer is in all files of all generations
        """
        wanted = {pair["name"] for pair in self.pairs}
        gone = [name for name in self._ours() if name not in wanted]
        stays = needed() if gone else ()
        changed = False
        for name in gone:
            if name in stays:
                changed = self._mark(name, gone=True) or changed
            else:
                shutil.rmtree(self.folder(name))
                changed = True
        return changed

    def mend(self, names: t.Iterable[str]) -> None:
        """Give those of our folders that nginx could not open now something that it can."""
        ours = set(self._ours())
        for name in sorted(ours.intersection(names)):
            pair = self._remembered(name)
            if self._wrong_link(pair):
                if self._bootstrap_is_due(pair):
                    create_self_signed(self._bootstrap(pair), pair["domains"])
                flip(self.current(name), self._best(pair))

    def mark(self, live: t.Container[str]) -> None:
        """Let certbot's program care for the folders in ``live``, which nginx reads now, and for no others."""
        for name in self._ours():
            self._mark(name, gone=name not in live)

    def _ours(self) -> t.List[str]:
        names = sorted(os.listdir(self.root)) if os.path.isdir(self.root) else []
        return [name for name in names if os.path.exists(os.path.join(self.root, name, "site.json"))]

    def _remembered(self, name: str) -> t.Dict[str, t.Any]:
        """Return the pair that a folder of ours was made for."""
        text = read_text(os.path.join(self.folder(name), "site.json")) or ""
        try:
            wanted = json.loads(text)
            source = wanted["was"] if wanted["source"] == GONE else wanted["source"]
            return {**wanted, "name": name, "source": source, "domains": list(wanted["domains"])}
        except (ValueError, KeyError, TypeError):
            raise ValueError(self.folder(name) + "/site.json is not as this collection writes it") from None

    def _mark(self, name: str, gone: bool) -> bool:
        pair = self._remembered(name)
        text = self._description({**pair, "source": GONE, "was": pair["source"]} if gone else pair)
        if read_text(self._marker(pair)) == text:
            return False
        write_file(self._marker(pair), text)
        return True

    def _best(self, pair: Pair) -> str:
        """Return what ``current`` should point at, where it points at nothing that nginx could open or is set anew.

        A site that comes back finds its certificate at once. One that got another name, or another lineage, is served
        with what certbot has for its names until the new certificate is there: that is better than a self-signed pair.
        """
        if pair["source"] != "certbot":
            return "bootstrap"
        own = lineage_of(pair)
        found = [_Fitness.of(name, pair["domains"], name == own) for name in _lineages()]
        best = max((one for one in found if one is not None), default=None)
        return os.path.join(LINEAGES, best.name) if best else "bootstrap"

    def _bootstrap(self, pair: Pair) -> str:
        return os.path.join(self.folder(pair["name"]), "bootstrap")

    def _marker(self, pair: Pair) -> str:
        return os.path.join(self.folder(pair["name"]), "site.json")

    def _description(self, pair: Pair) -> str:
        wanted = {"domains": sorted(pair["domains"]), "source": pair["source"]}
        if lineage_of(pair) != pair["name"]:
            wanted["lineage"] = pair["lineage"]
        if pair.get("proxy_protocol"):
            # certbot's program asks nginx what it serves, and would get no answer without the protocol's line.
            wanted["proxy_protocol"] = True
        if pair["source"] == GONE:
            wanted["was"] = pair["was"]
        return json.dumps(wanted, indent=2, sort_keys=True) + "\n"

    def _wrong_link(self, pair: Pair) -> bool:
        if pair["source"] == "self_signed":
            return target_of(self.current(pair["name"])) != "bootstrap"
        return not self._can_open(pair)

    def _can_open(self, pair: Pair) -> bool:
        # A lineage that was deleted by hand leaves a link to nothing, a power cut empty files: nginx would not start.
        folder = self.current(pair["name"])
        if pair["source"] == "certbot":
            return could_load(folder + "/fullchain.pem", folder + "/privkey.pem")
        return os.path.exists(folder + "/fullchain.pem")

    def _comes_back(self, pair: Pair) -> bool:
        """Return whether a site of certbot's was none before, and a better pair is there than the self-signed one."""
        if pair["source"] != "certbot" or target_of(self.current(pair["name"])) != "bootstrap":
            return False
        try:
            was = json.loads(read_text(self._marker(pair)) or "{}").get("source")
        except (ValueError, AttributeError):
            return False
        return was != "certbot" and self._best(pair) != "bootstrap"

    def _bootstrap_is_due(self, pair: Pair) -> bool:
        folder = self._bootstrap(pair)
        certificate = folder + "/fullchain.pem"
        if problems_of(certificate, folder + "/privkey.pem", pair["domains"], time.time() + _SPARE_SECONDS):
            return True
        # Names that left the site should leave its certificate.
        return read_certificate(certificate).names != frozenset(pair["domains"])
