# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the program asgi-deploy-certificates: what is due, in which order, and what there is to say of it.

Runs inside that program, copied beside it: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.certificate import covers
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_command import forget, run_for
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_deploy import (
    LINGERING,
    LIVE,
    STAYS,
    Lineage,
    Server,
    Site,
    deploy,
    sites_below,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_renewal import (
    Note,
    problem_of,
    set_threshold,
    timer_problem,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_state import Config, Json, Store
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Run
from ansible_collections.asgi.deploy.plugins.module_utils.renewal import alarm_before, renew_before
from ansible_collections.asgi.deploy.plugins.module_utils.renewal_file import FOLDER

#: What went wrong, by the name of the lineage.
Failures = t.Dict[str, t.List[str]]


class Report(t.NamedTuple):
    """What a run has to say.

    ``changes`` a line each; ``problems`` of certificates; ``waiting``: what the timer, or whoever started this,
    mends without a run of ours; ``state`` for everybody else.
    """

    changes: t.List[str]
    problems: t.List[str]
    waiting: t.List[str]
    state: Json


class Host:
    """What the run works on. :param run: executes a command, returns its exit code, output and errors"""

    def __init__(
        self, config: Config, store: Store, run: Run, live: str = LIVE, renewals: str = FOLDER, port: int = 443
    ) -> None:
        self.config = config
        self.store = store
        self.run = run
        self.renewals = renewals
        self.sites, self.problems = sites_below(config.tls_dir, live, port)
        # A site may serve a lineage that the inventory does not have any more, until that is deleted.
        names = {site.lineage.name for site in self.sites if site.lineage.exists()}
        self.wanted: t.Dict[str, t.Sequence[str]] = dict.fromkeys(names, ())
        if config.certificates is not None:
            self.wanted = {item["name"]: item["domains"] for item in config.certificates}
        self.lineages = {name: Lineage(name, live) for name in sorted(self.wanted)}

    def fit(self) -> t.List[Lineage]:
        return [lineage for lineage in self.lineages.values() if not lineage.problems()]

    def known(self) -> t.Dict[str, str]:
        """Return the fingerprints of the run before, by the name of the lineage."""
        certificates = self.store.read("state").get("certificates", {})
        return {name: one.get("fingerprint") for name, one in certificates.items()}

    def sites_of(self, lineage: Lineage) -> t.List[Site]:
        return [site for site in self.sites if site.lineage.name == lineage.name]


def work(host: Host, server: Server, note: t.Optional[Note]) -> Report:
    """Do what is due. :param note: of the last renewal"""
    changes: t.List[str] = []
    failures: Failures = {name: [] for name in host.lineages}
    problems = list(host.problems)
    deployed = deploy([site for site in host.sites if site.is_deployable()], server)
    changes += [site.line() for site in deployed.done]
    for site in host.sites:
        if site.name in deployed.failed:
            # Of a lineage that is about to be deleted nobody else would say it.
            failures.setdefault(site.lineage.name, []).append(_of(site, deployed.failed[site.name]))
    known = host.known()
    for lineage in host.fit():
        read = lineage.read()
        change, problem = set_threshold(lineage.name, read, known.get(lineage.name) != read.fingerprint, host.renewals)
        changes += [change] if change else []
        failures[lineage.name] += [problem] if problem else []
    if host.config.deploy_command:
        said = run_for(host.config.deploy_command, host.fit(), host.store)
        changes += said.done
        for name, text in said.failed.items():
            failures[name].append(text)
    else:
        forget(host.store)
    return _report(host, changes, problems, failures, note)


def look(host: Host, note: t.Optional[Note]) -> Report:
    """Say how things are, and change nothing."""
    return _report(host, [], list(host.problems), {name: [] for name in host.lineages}, note)


def _report(
    host: Host, changes: t.List[str], problems: t.List[str], failures: Failures, note: t.Optional[Note]
) -> Report:
    certificates = {}
    # One for all of them: where nginx is broken, none changes.
    deadline = time.monotonic() + LINGERING
    for name, lineage in host.lineages.items():
        certificates[name] = _told(host, lineage, failures.pop(name), deadline)
        problems += ["{0}: {1}".format(name, problem) for problem in certificates[name]["problems"]]
    # Those that are left are not the inventory's.
    problems += ["{0}: {1}".format(name, problem) for name in sorted(failures) for problem in failures[name]]
    renewed = timer_problem(host.run) if host.config.certificates else None
    waiting = [problem for problem in (problem_of(note), renewed) if problem]
    problems, waiting = ([" ".join(line.split()) for line in lines] for lines in (problems, waiting))
    state = {
        "checked_at": int(time.time()),
        "problems": problems + waiting,
        "renewal": note,
        "certificates": certificates,
    }
    return Report(changes, problems, waiting, state)


def _told(host: Host, lineage: Lineage, failures: t.Sequence[str], deadline: float) -> Json:
    """Return what the state says of a lineage. :param deadline: for what a reload may still change"""
    sites = {site: site.settled(deadline) for site in host.sites_of(lineage)}
    told: Json = {
        "names": [],
        "issuer": None,
        "not_before": None,
        "not_after": None,
        "renew_at": None,
        "fingerprint": None,
        "sites": {site.name: {"serves": site.serves(served), "served": served} for site, served in sites.items()},
        "problems": [],
    }
    if not lineage.exists():
        others = [site.name for site in sites if site.serves(None) == "bootstrap"]
        instead = ", and nginx serves the self-signed pair for " + ", ".join(others) if others else ""
        told["problems"] = ["there is no certificate yet{0}: run the playbook, which orders it".format(instead)]
        return told
    unfit = [problem + STAYS for problem in lineage.problems()]
    try:
        read = lineage.read()
    except ValueError:
        told["problems"] = unfit
        return told
    lifetime = read.not_after - read.not_before
    told.update(
        names=sorted(read.names),
        issuer=read.issuer,
        not_before=read.not_before,
        not_after=read.not_after,
        renew_at=int(read.not_after - renew_before(lifetime)),
        fingerprint=read.fingerprint,
    )
    told["problems"] = unfit or _near_its_end(read.not_after, lifetime)
    wanted = [*host.wanted[lineage.name], *(domain for site in sites for domain in site.domains)]
    missing = [name for name in dict.fromkeys(wanted) if not covers(read.names, name)]
    if missing:
        told["problems"].append(
            "it does not cover {0}, only {1}: run the playbook, which orders it anew".format(
                ", ".join(missing), ", ".join(sorted(read.names)) or "no name"
            )
        )
    told["problems"] += failures
    if not failures:
        stale = [site for site, served in sites.items() if site.is_deployable() and served != read.fingerprint]
        told["problems"] += [
            _of(site, "nginx serves another certificate; run asgi-deploy-certificates") for site in stale
        ]
    return told


def _near_its_end(not_after: float, lifetime: float) -> t.List[str]:
    if time.time() < not_after - alarm_before(lifetime):
        return []
    end, due = (_date(at) for at in (not_after, not_after - renew_before(lifetime)))
    return ["it expires on {0}, and was to be renewed from {1} on: journalctl --unit=certbot.service".format(end, due)]


def _of(site: Site, text: str) -> str:
    """Name the site where its lineage does not."""
    return text if site.name == site.lineage.name else "site {0}: {1}".format(site.name, text)


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
