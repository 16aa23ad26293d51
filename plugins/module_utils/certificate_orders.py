# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as they are wanted: what has to be ordered, edited and removed, and how each of it is done.

One certificate's failure keeps no other waiting.
"""

from __future__ import annotations

import json
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.acme_account import (
    accounts_at,
    adopt,
    lineage_name,
    orphans_at,
    renewals_at,
)
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import Words
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_order import Certbot
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_turn import turn
from ansible_collections.asgi.deploy.plugins.module_utils.challenge import problems_of
from ansible_collections.asgi.deploy.plugins.module_utils.cooldown import Orders
from ansible_collections.asgi.deploy.plugins.module_utils.lineage import Lineage, replaced_by_staging
from ansible_collections.asgi.deploy.plugins.module_utils.lineage_mend import mend
from ansible_collections.asgi.deploy.plugins.module_utils.lineage_removal import Removal
from ansible_collections.asgi.deploy.plugins.module_utils.renewal_file import RenewalFile

#: What the program on the host knows of the last renewal.
STATE = "/var/lib/asgi-deploy/certificates/state.json"

Run = t.Callable[..., t.Tuple[int, str, str]]
Params = t.Mapping[str, t.Any]

#: What to do, by what went wrong.
_REMEDIES = {
    "account_unknown": "; register anew by hand, or ask the CA",
    "other": "; all of it is in /var/log/letsencrypt/letsencrypt.log",
    "refused": "; mend that and run the play again",
    "unreachable": "; run the play again when it answers",
}


class Plan:
    """What differs from what is wanted. :param params: the module's"""

    def __init__(self, run: Run, params: Params) -> None:
        present = [Lineage(wanted) for wanted in params["certificates"] if wanted["state"] == "present"]
        self.present = [lineage.name for lineage in present]
        absent = [
            Removal(wanted, params["tls_dir"]) for wanted in params["certificates"] if wanted["state"] == "absent"
        ]
        self.removals = [removal for removal in absent if removal.paths()]
        self.reasons = {lineage.name: lineage.reasons(run, params["server"]) for lineage in present}
        self.due = [lineage for lineage in present if self.reasons[lineage.name]]
        self.edits: t.List[t.Tuple[Lineage, RenewalFile]] = []
        for lineage in present:
            edited = lineage.edited(params)
            if lineage not in self.due and edited.is_changed():
                self.edits.append((lineage, edited))

    def diff(self) -> t.List[t.Dict[str, str]]:
        """Return Ansible's ``diff``."""
        shown = [
            _difference(lineage.name, "; ".join(self.reasons[lineage.name]) + "\n", ", ".join(lineage.domains) + "\n")
            for lineage in self.due
        ]
        shown += [_difference(edited.path, edited.before or "", edited.text) for _lineage, edited in self.edits]
        taken = {item.name: item.paths(item.waiting(self.present)) for item in self.removals}
        return shown + [_difference(name, "\n".join(paths) + "\n", "") for name, paths in taken.items()]


class Outcome:
    """What came of it: names, and what people have to know, a line each."""

    def __init__(self) -> None:
        self.ordered: t.List[str] = []
        self.edited: t.List[str] = []
        #: Those whose order is complained of.
        self.failed: t.List[str] = []
        self.removed: t.List[str] = []
        self.account = False
        self.complaints: t.List[str] = []
        self.warnings: t.List[str] = []

    def is_changed(self) -> bool:
        return bool(self.ordered or self.edited or self.removed or self.account)


class Work:
    """Carries a plan out."""

    def __init__(self, run: Run, params: Params, orders: t.Optional[Orders] = None) -> None:
        self._run = run
        self._params = params
        self._server: str = params["server"]
        self._certbot = Certbot(run, params)
        self._orders = orders or Orders()
        self.outcome = Outcome()

    def carry_out(self, plan: Plan, deploy: t.Callable[[], None] = lambda: None) -> Outcome:
        """Do what the plan has, and keep what the CA said for the next run.

        :param deploy: brings what was ordered to nginx, where a site has to be off what goes
        """
        is_registered = bool(accounts_at(self._server))
        try:
            for removal in plan.removals:
                if removal.is_urgent:
                    self._remove(removal)
            self._account()
            self._order_all(plan)
            self._edit_all(plan)
            if accounts_at(self._server) and not (is_registered and self._params["email"]):
                self._orders.account(self._server).setdefault("email", self._params["email"])
            self._remove_all(plan, deploy)
            self._adopt()
        finally:
            self._save()
        return self.outcome

    def _adopt(self) -> None:
        if not orphans_at(self._server):
            return
        try:
            with turn(self._run):
                known = self.outcome.ordered + self.outcome.edited
                self.outcome.edited += [name for name in adopt(self._server) if name not in known]
        except (ValueError, OSError) as error:
            self._complain("the account at " + self._server, words_of(error))

    def would_change_account(self) -> bool:
        """Return whether :meth:`carry_out` has something to do beside what the plan says."""
        return self._is_account_lost() or self.would_update_account() or bool(orphans_at(self._server))

    def _is_account_lost(self) -> bool:
        """Return whether there are renewals and no account, as after a restore without the accounts.

        certbot registers for an order, and for a renewal never.
        """
        gone = [wanted["name"] for wanted in self._params["certificates"] if wanted["state"] == "absent"]
        names = [lineage_name(renewal) for renewal in renewals_at(self._server)]
        return not accounts_at(self._server) and any(name not in gone for name in names)

    def would_update_account(self) -> bool:
        """Return whether the account's address differs from what the CA was told last, as far as anybody knows."""
        known = self._orders.account(self._server)
        email = self._params["email"]
        return bool(accounts_at(self._server)) and (known["email"] != email if "email" in known else email is not None)

    def _remove_all(self, plan: Plan, deploy: t.Callable[[], None]) -> None:
        """A site that got another name goes from the old certificate to the new one, and not by its self-signed pair.

        Where the new one did not come, the old one stays: browsers would refuse the site from now on otherwise.
        """
        removals = [removal for removal in plan.removals if not removal.is_urgent]
        if any(removal.waiting(plan.present) for removal in removals):
            deploy()
        for removal in removals:
            waiting = removal.waiting(plan.present)
            if waiting:
                sites = ("the site {0} is" if len(waiting) == 1 else "the sites {0} are").format(", ".join(waiting))
                text = "{0}: kept: {1} served with it until its own certificate is there"
                self.outcome.warnings.append(text.format(removal.name, sites))
            else:
                self._remove(removal)

    def _remove(self, removal: Removal) -> None:
        try:
            removal.remove(self._run, self._certbot, self._server)
            self.outcome.removed.append(removal.name)
        except (ValueError, OSError) as error:
            self._complain(removal.name, words_of(error))

    def _account(self) -> None:
        known = self._orders.account(self._server)
        try:
            since = known.get("recovered_at", 0)
            unknown = bool(accounts_at(self._server)) and _account_unknown_since(since, self._server)
            if unknown or self._is_account_lost():
                with turn(self._run):
                    self._recover(self._server)
            if self.would_update_account():
                with turn(self._run):
                    problem = self._asked(self._server, lambda: self._certbot.update_account(self._server))
                if problem:
                    raise ValueError("its address was not changed: " + problem.text)
                known["email"] = self._params["email"]
                self.outcome.account = True
        except (ValueError, OSError) as error:
            self._complain("the account at " + self._server, words_of(error))

    def _recover(self, server: str) -> None:
        self._certbot.recover(server)
        known = self._orders.account(server)
        known["recovered_at"] = time.time()
        if server == self._server:
            known["email"] = self._params["email"]
            self.outcome.account = True

    def _asked(self, server: str, ask: t.Callable[[], t.Optional[Words]]) -> t.Optional[Words]:
        """Ask, and where the CA has forgotten the account, once more with a new one."""
        problem = ask()
        if problem is None or problem.kind != "account_unknown":
            return problem
        try:
            self._recover(server)
        except ValueError as error:
            return problem._replace(text="{0}; {1}".format(problem.text, error))
        return ask()

    def _order_all(self, plan: Plan) -> None:
        ready = [lineage for lineage in plan.due if not self._is_held_back(lineage)]
        unanswered = self._probe(ready)
        for lineage in ready:
            said = [unanswered[name] for name in lineage.domains if name in unanswered]
            if said:
                self._fail(lineage, "no order was placed: " + "; ".join(dict.fromkeys(said)))
                continue
            try:
                with turn(self._run):
                    self._order_in_turn(Lineage(lineage.wanted))
            except (ValueError, OSError) as error:
                self._fail(lineage, "no order was placed: " + words_of(error))

    def _is_held_back(self, lineage: Lineage) -> bool:
        valid = replaced_by_staging(lineage.name, self._server) if self._params["staging"] else None
        if valid:
            self._fail(lineage, "no order was placed: a staging certificate would replace the one from " + valid)
            return True
        pause = None if self._params["ignore_cooldown"] else self._orders.pause(self._server, lineage.domains)
        if pause:
            remedy = "; mend that and wait, or place one with -e certbot_ignore_cooldown=true"
            self._fail(lineage, "no order was placed: " + pause + remedy)
        return bool(pause)

    def _probe(self, lineages: t.Sequence[Lineage]) -> t.Dict[str, str]:
        """Return why names would not be answered for, a text for each; all names of a challenge at once."""
        found: t.Dict[str, str] = {}
        for challenge in sorted({lineage.wanted["challenge"] for lineage in lineages}):
            names = [
                name for lineage in lineages if lineage.wanted["challenge"] == challenge for name in lineage.domains
            ]
            params = self._params
            found.update(problems_of(names, challenge, params["probe"], params["webroot"], params["dns"]))
        return found

    def _order_in_turn(self, lineage: Lineage) -> None:
        # The timer may have had its turn in between, and renewed what had expired.
        if not lineage.reasons(self._run, self._server):
            return
        mended = mend(lineage, self._params["tls_dir"])
        if mended:
            self.outcome.warnings.append("{0}: {1}".format(lineage.name, mended))
            lineage = Lineage(lineage.wanted)
        self._order(lineage)

    def _order(self, lineage: Lineage) -> None:
        if not self._is_rehearsed(lineage):
            return
        problem = self._asked(self._server, lambda: self._certbot.order(lineage, self._server))
        if problem is None:
            self._orders.succeeded(self._server, lineage.domains)
            self.outcome.ordered.append(lineage.name)
            return
        self._orders.failed(self._server, lineage.domains, problem)
        stays = "; the certificate before it stays" if lineage.exists() else ""
        self._fail(lineage, problem.text + _REMEDIES.get(problem.kind, "") + stays, ", from " + self._server)

    def _is_rehearsed(self, lineage: Lineage) -> bool:
        """Return whether the order may be placed."""
        server = self._params["rehearsal"]
        if server is None:
            return True
        problem = self._asked(server, lambda: self._certbot.order(lineage, server, rehearsal=True))
        if problem is None:
            return True
        if problem.kind in ("unreachable", "rate_limited", "account_unknown"):
            # It says nothing of the names.
            self.outcome.warnings.append("{0}: not rehearsed at {1}: {2}".format(lineage.name, server, problem.text))
            return True
        self._fail(
            lineage,
            "no order was placed, for its rehearsal at {0} failed: {1}{2}".format(
                server, problem.text, _REMEDIES.get(problem.kind, "")
            ),
        )
        return False

    def _edit_all(self, plan: Plan) -> None:
        unanswered = self._probe([lineage for lineage, _edited in plan.edits])
        for lineage, _edited in plan.edits:
            said = [unanswered[name] for name in lineage.domains if name in unanswered]
            if said:
                self._complain(lineage.name, "its renewals were not changed: " + "; ".join(said))
                continue
            try:
                with turn(self._run):
                    # certbot may have written it anew in between.
                    if lineage.edited(self._params).write():
                        self.outcome.edited.append(lineage.name)
            except (ValueError, OSError) as error:
                self._complain(lineage.name, "its renewals were not changed: " + words_of(error))

    def _save(self) -> None:
        try:
            self._orders.save()
        except OSError as error:
            self._complain("what the CA said was not kept", words_of(error))

    def _fail(self, lineage: Lineage, text: str, origin: str = "") -> None:
        self.outcome.failed.append(lineage.name)
        self._complain(lineage.name + origin, text)

    def _complain(self, name: str, text: str) -> None:
        self.outcome.complaints.append("{0}: {1}".format(name, text))


def _account_unknown_since(recovered_at: float, server: str) -> bool:
    """Return whether the CA did not know the account when the timer last asked it to renew, and that is not over."""
    try:
        renewal = json.loads(read_text(STATE) or "{}").get("renewal") or {}
        if renewal.get("server") != server:
            return False
        return bool(renewal.get("account_unknown")) and renewal.get("at", 0) > recovered_at
    except (ValueError, AttributeError, TypeError):
        return False


def _difference(header: str, before: str, after: str) -> t.Dict[str, str]:
    return {"before_header": header, "after_header": header, "before": before, "after": after}
