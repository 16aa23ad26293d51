# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring certbot's certificates to nginx: lineage to site, test, reload, and see that they are served.

Runs inside the program asgi-deploy-certificates, copied beside it: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import flip, locked, read_text, target_of, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import (
    Certificate,
    covers,
    problems_of,
    read_certificate,
    served_fingerprint,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import LOCK, LOCK_HOLDER, Nginx, Run
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_sandbox import sandbox_of

#: Where certbot has its certificates.
LIVE = "/etc/letsencrypt/live"

ENTRY = "/etc/nginx/nginx.conf"

#: Seconds in which nginx has to serve a certificate after the reload.
PATIENCE = 10.0

#: Seconds in which worker processes of before a reload may still answer.
LINGERING = 5.0

#: How often in a row a site has to be served anew before it counts: the first answer may be luck.
_SURE = 3

#: Seconds in which a play has to be done with nginx.
_LONGEST_CHANGE = 120.0

STAYS = "; the pair before it stays"


class Lineage:
    """A certificate of certbot's with its key."""

    def __init__(self, name: str, live: str = LIVE) -> None:
        self.name = name
        self.folder = os.path.join(live, name)
        self._certificate = os.path.join(self.folder, "fullchain.pem")

    def exists(self) -> bool:
        return os.path.lexists(self._certificate)

    def problems(self) -> t.List[str]:
        """Return why nobody could serve this pair, for whatever name."""
        return problems_of(self._certificate, os.path.join(self.folder, "privkey.pem"), ())

    def read(self) -> Certificate:
        return read_certificate(self._certificate)


class Site:
    """A folder below the TLS folder, whose ``current`` nginx reads."""

    def __init__(self, folder: str, wanted: t.Mapping[str, t.Any], live: str = LIVE, port: int = 443) -> None:
        self.name = os.path.basename(folder)
        self.domains: t.List[str] = list(wanted["domains"])
        self.lineage = Lineage(wanted.get("lineage", self.name), live)
        # Written only where nginx expects the protocol.
        self._proxy_protocol = bool(wanted.get("proxy_protocol"))
        self._port = port
        self._folder = folder
        self._link = os.path.join(folder, "current")
        self._before: t.Optional[str] = None

    def missing(self) -> t.List[str]:
        """Return the domains that the lineage is not for."""
        names = self.lineage.read().names
        return [domain for domain in self.domains if not covers(names, domain)]

    def is_linked(self) -> bool:
        return target_of(self._link) == self.lineage.folder

    def is_deployable(self) -> bool:
        """Return whether nginx should serve the lineage. What it reads already is never better while it is older."""
        return not self.lineage.problems() and (self.is_linked() or not self.missing())

    def is_done(self) -> bool:
        return self.is_linked() and self.is_served()

    def is_served(self) -> bool:
        served = self.served()
        return served is not None and self._has(served)

    def served(self) -> t.Optional[str]:
        return served_fingerprint(self.domains[0], self._port, self._proxy_protocol)

    def settled(self, deadline: float) -> t.Optional[str]:
        """Return what nginx serves when a reload is through, or at the ``deadline``.

        For a moment after one a worker process of before may answer, although a new one has answered already.
        """
        served = self.served()
        while served is not None and self.is_linked() and self.is_deployable() and not self._has(served):
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
            served = self.served()
        return served

    def _has(self, fingerprint: str) -> bool:
        return self.lineage.read().fingerprint == fingerprint

    def serves(self, served: t.Optional[str]) -> str:
        """Return whose certificate it is that nginx serves, or would: ``certbot``, ``bootstrap`` or ``other``."""
        for kind, folder in (("certbot", self.lineage.folder), ("bootstrap", os.path.join(self._folder, "bootstrap"))):
            try:
                fingerprint = read_certificate(os.path.join(folder, "fullchain.pem")).fingerprint
            except ValueError:
                continue
            if served == fingerprint or (served is None and os.path.realpath(self._link) == os.path.realpath(folder)):
                return kind
        return "other"

    def switch(self) -> None:
        self._before = target_of(self._link) or "bootstrap"
        if not self.is_linked():
            flip(self._link, self.lineage.folder)

    def switch_back(self) -> None:
        if self._before is not None and target_of(self._link) != self._before:
            flip(self._link, self._before)

    def line(self) -> str:
        """Return what to print of a deployment."""
        read = self.lineage.read()
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(read.not_after))
        return "{0}: nginx serves the certificate from {1}, valid until {2}".format(self.name, read.issuer, until)


def sites_below(root: str, live: str = LIVE, port: int = 443) -> t.Tuple[t.List[Site], t.List[str]]:
    """Return the sites that want a certificate of certbot's, and what is wrong with the others' descriptions."""
    sites, problems = [], []
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        path = os.path.join(root, name, "site.json")
        text = read_text(path)
        if text is None:
            continue
        try:
            wanted = json.loads(text)
            if wanted["source"] == "certbot" and wanted["domains"]:
                sites.append(Site(os.path.join(root, name), wanted, live, port))
        except (ValueError, KeyError, TypeError):
            problems.append("{0} is not as the role nginx_proxy writes it: run the playbook".format(path))
    return sites, problems


class Server:
    """The nginx of this host. It is never started here: whoever has stopped it may have a reason."""

    def __init__(self, run: Run, entry: str = ENTRY) -> None:
        self._run = run
        self._entry = entry
        self._nginx = Nginx(run, 0, sandbox_of())

    def problem(self) -> t.Optional[str]:
        """Return why nginx could not load what is on disk, or None."""
        message = self._nginx.test(self._entry) or ""
        # It may have warned for months. A certificate that is not served because of that ends, and then nothing works.
        errors = [line for line in message.splitlines() if "[warn]" not in line]
        return "nginx -t: " + "\n".join(errors) if errors else None

    def stopped(self) -> t.Optional[str]:
        if self._run(["systemctl", "is-active", "--quiet", "nginx.service"])[0] == 0:
            return None
        return "nginx does not run; when it was started, run asgi-deploy-certificates"

    def reload(self) -> t.Optional[str]:
        code, output, errors = self._run(["systemctl", "reload", "nginx.service"])
        return "nginx was not reloaded: " + (errors + output).strip() if code else None


class Deployed(t.NamedTuple):
    """The sites that nginx serves anew, and what kept others from it, by the site's name."""

    done: t.List[Site]
    failed: t.Dict[str, str]


def deploy(sites: t.Sequence[Site], server: Server, patience: float = PATIENCE) -> Deployed:
    """Switch ``sites``, which are deployable, to their lineages, with one reload for all; none where no site is due.

    A site that nginx does not serve then goes back to what it had.
    """
    if all(site.is_done() for site in sites):
        return Deployed([], {})
    try:
        with locked(LOCK, LOCK_HOLDER, _LONGEST_CHANGE, "asgi-deploy-certificates"):
            # Whoever had the lock may have reloaded nginx.
            return _deploy([site for site in sites if not site.is_done()], server, patience)
    except ValueError as error:
        return Deployed([], {site.name: str(error) + STAYS for site in sites if not site.is_done()})


def _deploy(due: t.Sequence[Site], server: Server, patience: float) -> Deployed:
    if not due:
        return Deployed([], {})
    stopped = server.stopped()
    if stopped:
        return Deployed([], {site.name: stopped for site in due})
    failed: t.Dict[str, str] = {}
    ready = _switched(due, failed)
    if ready and server.problem():
        # Either it is not about certificates, or one keeps the others waiting.
        _put_back(ready, failed)
        ready = _one_by_one(ready, server, failed)
    if not ready:
        return Deployed([], failed)
    problem = server.reload()
    left = ready if problem else _wait_until_served(ready, patience)
    for site in left:
        failed[site.name] = (problem or "nginx does not serve the new certificate after a reload") + STAYS
    _put_back(left, failed)
    if left and not problem:
        # What is on disk now is what it had: to stay with it also after the next restart.
        server.reload()
    return Deployed([site for site in ready if site not in left], failed)


def _switched(sites: t.Sequence[Site], failed: t.Dict[str, str]) -> t.List[Site]:
    ready = []
    for site in sites:
        try:
            site.switch()
            ready.append(site)
        except OSError as error:
            failed[site.name] = words_of(error) + STAYS
    return ready


def _one_by_one(sites: t.Sequence[Site], server: Server, failed: t.Dict[str, str]) -> t.List[Site]:
    """Switch those of ``sites`` that nginx takes."""
    problem = server.problem()
    if problem:
        failed.update({site.name: problem + STAYS for site in sites})
        return []
    taken = []
    for site in sites:
        if not _switched([site], failed):
            continue
        problem = server.problem()
        if problem:
            failed[site.name] = problem + STAYS
            site.switch_back()
        else:
            taken.append(site)
    return taken


def _put_back(sites: t.Sequence[Site], failed: t.Dict[str, str]) -> None:
    for site in sites:
        try:
            site.switch_back()
        except OSError as error:
            failed[site.name] = "{0}; {1}".format(failed.get(site.name, "nginx did not take it"), words_of(error))


def _wait_until_served(sites: t.Sequence[Site], patience: float) -> t.List[Site]:
    """Return the sites whose certificate nginx does not serve when the patience is over."""
    deadline, times = time.monotonic() + patience, 0
    while True:
        waiting = [site for site in sites if not site.is_served()]
        times = 0 if waiting else times + 1
        if times == _SURE or time.monotonic() > deadline:
            return waiting
        time.sleep(0.1)
