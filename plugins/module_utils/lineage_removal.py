# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a lineage off a host: nginx first serves the self-signed pair, or it would not start any more."""

from __future__ import annotations

import json
import os
import shutil
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import flip, locked, read_text, target_of
from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import Words
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_order import Certbot
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_turn import turn
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import (
    could_load,
    create_self_signed,
    problems_of,
    read_certificate,
    served_fingerprint,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_deploy import Server
from ansible_collections.asgi.deploy.plugins.module_utils.lineage import HOME
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import LOCK, LOCK_HOLDER
from ansible_collections.asgi.deploy.plugins.module_utils.renewal_file import RenewalFile

#: Seconds in which nginx has to serve the self-signed pairs after the reload.
PATIENCE = 10.0

#: What a CA answers to a revocation that an earlier run has done.
_REVOKED = "alreadyRevoked"

#: What to do where the CA did not revoke, by what went wrong.
_REMEDIES = {"unreachable": "; run the play again when it answers"}

Run = t.Callable[..., t.Tuple[int, str, str]]


class Site:
    """A folder below nginx's TLS folder whose ``current`` points at a lineage."""

    def __init__(self, folder: str) -> None:
        self.name = os.path.basename(folder)
        self.link = os.path.join(folder, "current")
        self._bootstrap = os.path.join(folder, "bootstrap")
        self._before = target_of(self.link) or ""
        marker = os.path.join(folder, "site.json")
        try:
            wanted = json.loads(read_text(marker) or "")
            self._domains = list(wanted["domains"])
            # A site that is gone is kept for nginx's earlier generations, and not served.
            self._is_live = wanted["source"] == "certbot"
            self._lineage = str(wanted.get("lineage") or self.name)
            self._proxy_protocol = bool(wanted.get("proxy_protocol"))
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                "{0} points at it, and {1} is not as the role nginx_proxy writes it".format(self.link, marker)
            ) from None

    def awaits(self) -> t.Optional[str]:
        """Return the lineage that nginx is to serve here, or None where it is to serve nothing."""
        return self._lineage if self._is_live else None

    def to_bootstrap(self) -> None:
        if problems_of(self._bootstrap + "/fullchain.pem", self._bootstrap + "/privkey.pem", self._domains):
            create_self_signed(self._bootstrap, self._domains)
        flip(self.link, "bootstrap")

    def back(self) -> None:
        flip(self.link, self._before)

    def is_served(self) -> bool:
        if not self._is_live:
            return True
        served = served_fingerprint(self._domains[0], proxy_protocol=self._proxy_protocol)
        return served == read_certificate(self._bootstrap + "/fullchain.pem").fingerprint


class Removal:
    """:param wanted: ``name``, ``revoke`` and ``revoke_reason``"""

    def __init__(self, wanted: t.Mapping[str, t.Any], tls_dir: str) -> None:
        self.name: str = wanted["name"]
        #: A key that others may have is given up at once.
        self.is_urgent = bool(wanted.get("revoke"))
        self._wanted = wanted
        self._tls_dir = tls_dir
        self._lineage = os.path.join(HOME, "live", self.name)
        self._renewal = RenewalFile(os.path.join(HOME, "renewal", self.name + ".conf"))

    def paths(self, waiting: t.Container[str] = ()) -> t.List[str]:
        """Return what there is of the lineage; an empty list where nothing has to be done.

        :param waiting: sites that are off it by then
        """
        own = [self._lineage, os.path.join(HOME, "archive", self.name), self._renewal.path]
        links = [os.path.join(self._tls_dir, site, "current") for site in self._sites() if site not in waiting]
        return [path for path in own if os.path.lexists(path)] + links

    def waiting(self, present: t.Container[str]) -> t.List[str]:
        """Return the sites that are served with it until their own lineage is there, as one that got another name is.

        :param present: the lineages that are wanted
        """
        if not could_load(self._lineage + "/fullchain.pem", self._lineage + "/privkey.pem"):
            # Nobody is served with that: nginx would not even start.
            return []
        found = []
        for name in self._sites():
            try:
                own = Site(os.path.join(self._tls_dir, name)).awaits()
            except ValueError:
                # The removal fails with that.
                continue
            if own is not None and own != self.name and own in present:
                found.append(name)
        return found

    def remove(self, run: Run, certbot: Certbot, server: str) -> None:
        """Do it.

        :param server: where the lineage is from, where its renewal file does not say so
        :raises ValueError: with the reason; the lineage is there and served as before, unless certbot has begun to
            delete it
        """
        # The timer's certbot ends with the program, which waits for the other lock: this order, or both wait.
        with turn(run), locked(".certificates", "A removal of a certificate", 600, by="a play"):
            self._check_unused(run)
            sites = [Site(os.path.join(self._tls_dir, name)) for name in self._sites()]
            self._serve_bootstrap(run, sites)
            if self._wanted["revoke"]:
                problem = self._revoke(certbot, server)
                if problem is not None:
                    self._serve_again(run, sites)
                    remedy = _REMEDIES.get(problem.kind, "; with revoke: false it is deleted all the same")
                    raise ValueError("it was not revoked, and so not deleted: " + problem.text + remedy)
            self._delete(certbot)

    def _sites(self) -> t.List[str]:
        """Return the folders that serve the lineage, by what their link says: a renamed site's may, too."""
        names = sorted(os.listdir(self._tls_dir)) if os.path.isdir(self._tls_dir) else []
        links = {name: os.path.join(self._tls_dir, name, "current") for name in names}
        return [name for name, link in links.items() if target_of(link) == self._lineage]

    def _serve_bootstrap(self, run: Run, sites: t.Sequence[Site]) -> None:
        if not sites:
            return
        with locked(LOCK, LOCK_HOLDER, 120, by="a play"):
            server = Server(run)
            for site in sites:
                site.to_bootstrap()
            problem = server.problem()
            if not problem and not server.stopped():
                problem = server.reload() or _wait_until_served(sites)
            if problem:
                self._put_back(sites, server)
                raise ValueError("nginx did not take the self-signed pair, and nothing was removed: " + problem)

    def _serve_again(self, run: Run, sites: t.Sequence[Site]) -> None:
        if sites:
            with locked(LOCK, LOCK_HOLDER, 120, by="a play"):
                self._put_back(sites, Server(run))

    @staticmethod
    def _put_back(sites: t.Sequence[Site], server: Server) -> None:
        for site in sites:
            site.back()
        if not server.stopped() and not server.problem():
            server.reload()

    def _check_unused(self, run: Run) -> None:
        """A configuration by hand may name the files themselves: without them nginx would not start any more."""
        if shutil.which("nginx") and self._lineage + "/" in run(["nginx", "-T"])[1]:
            raise ValueError("it was not removed: nginx's configuration names files in " + self._lineage)

    def _revoke(self, certbot: Certbot, server: str) -> t.Optional[Words]:
        """Returns what went wrong, or None. A lineage without a whole certificate has nothing to revoke."""
        certificate = os.path.join(self._lineage, "cert.pem")
        if not os.path.exists(certificate):
            return None
        server = self._renewal.get("server") or server
        words = ["revoke", "--cert-path", certificate, "--server", server, "--reason", self._wanted["revoke_reason"]]
        account = self._renewal.get("account")
        problem = certbot.ask([*words, "--no-delete-after-revoke", *(["--account", account] if account else [])])
        if problem is not None and problem.kind not in ("unreachable", "rate_limited") and problem.code != _REVOKED:
            # Whoever has the certificate's key may revoke it, without an account or with one that is forgotten.
            problem = certbot.ask(
                [*words, "--no-delete-after-revoke", "--key-path", os.path.join(self._lineage, "privkey.pem")]
            )
        return None if problem is not None and problem.code == _REVOKED else problem

    def _delete(self, certbot: Certbot) -> None:
        if (read_text(self._renewal.path) or "").strip():
            problem = certbot.ask(["delete", "--cert-name", self.name])
            if problem is not None and os.path.exists(self._renewal.path):
                raise ValueError("it was not deleted: " + problem.text)
        # What an earlier run has left when it was killed, or what lies elsewhere than certbot's own file says.
        for folder in (self._lineage, os.path.join(HOME, "archive", self.name)):
            if os.path.lexists(folder):
                shutil.rmtree(folder)
        if os.path.lexists(self._renewal.path):
            os.unlink(self._renewal.path)


def _wait_until_served(sites: t.Sequence[Site]) -> t.Optional[str]:
    deadline = time.monotonic() + PATIENCE
    waiting = [site for site in sites if not site.is_served()]
    while waiting and time.monotonic() < deadline:
        time.sleep(0.1)
        waiting = [site for site in waiting if not site.is_served()]
    return "after a reload it is not served for " + ", ".join(site.name for site in waiting) if waiting else None
