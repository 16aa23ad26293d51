# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot on a host: how it is called, and what an order is to it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.acme_account import account_options, recover
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import LOCKS, read_text
from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import LOG, Words, words_of_run
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_turn import PATIENCE, who
from ansible_collections.asgi.deploy.plugins.module_utils.challenge_options import challenge_options

Run = t.Callable[..., t.Tuple[int, str, str]]
Params = t.Mapping[str, t.Any]

_PAUSE = 2.0


class Certbot:
    """:param params: the module's: ``certbot``, ``environment``, ``email``, ``eab_kid``, ``eab_hmac_key``; for orders
    ``staging``, ``webroot`` and ``dns`` too"""

    def __init__(self, run: Run, params: Params) -> None:
        self._run = run
        self._params = params

    def ask(self, words: t.Sequence[str], domains: t.Sequence[str] = (), eab: bool = False) -> t.Optional[Words]:
        """Call certbot, which is waited for where another one is at work. Returns what went wrong, or None.

        :param domains: the names that it is about
        :param eab: whether it may register an account
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            failure = self._ask_once(words, domains, eab)
            if failure is None or failure.kind != "busy":
                return failure
            if time.monotonic() > deadline:
                other = who()
                return failure._replace(text=failure.text + (": " + other if other else ""))
            time.sleep(_PAUSE)

    def order(self, lineage: t.Any, server: str, rehearsal: bool = False) -> t.Optional[Words]:
        """Order a certificate from ``server``, or do as if. Returns what went wrong, or None."""
        wanted = lineage.wanted
        words = ["certonly", "--cert-name", lineage.name, *self.account_words(server)]
        words += ["--key-type", wanted["key_type"]]
        if wanted["elliptic_curve"]:
            words += ["--elliptic-curve", wanted["elliptic_curve"]]
        if wanted["rsa_key_size"]:
            words += ["--rsa-key-size", str(wanted["rsa_key_size"])]
        if wanted["profile"]:
            words += ["--required-profile", wanted["profile"]]
        words += challenge_options(wanted, self._params)
        if rehearsal:
            words.append("--dry-run")
        elif lineage.exists():
            # There is a reason, or nobody would ask: certbot keeps a valid certificate of another server otherwise.
            words.append("--force-renewal")
            if self._params["staging"]:
                # The certificate before it may be of the other server, and expired: see replaced_by_staging.
                words.append("--break-my-certs")
        if lineage.exists() and lineage.renewal.get("reuse_key") == "True" and lineage.has_other_key(self._run):
            # certbot refuses otherwise, in a rehearsal as well.
            words.append("--new-key")
        for domain in lineage.domains:
            words += ["--domain", domain]
        return self.ask(words, lineage.domains, eab=True)

    def recover(self, server: str) -> None:
        """Register anew at a ``server`` that has forgotten the account.

        :raises ValueError: with the reason; all is as it was
        """
        recover(lambda: self.ask(["register", *self.account_words(server)], eab=True), server)

    def update_account(self, server: str) -> t.Optional[Words]:
        """Tell the CA the account's address. Returns what went wrong, or None."""
        return self.ask(["update_account", *self.account_words(server)])

    def account_words(self, server: str) -> t.List[str]:
        """Return the options that say where, and as who."""
        email = self._params["email"]
        return [
            "--server",
            server,
            *account_options(server),
            "--agree-tos",
            *(["--email", email, "--no-eff-email"] if email else ["--register-unsafely-without-email"]),
        ]

    def _ask_once(self, words: t.Sequence[str], domains: t.Sequence[str], eab: bool) -> t.Optional[Words]:
        before = len(read_text(LOG) or "")
        with self._account_file(eab) as options:
            command = [self._params["certbot"], *words, "--non-interactive", *options]
            code, output, errors = self._run(command, environ_update=self._environment())
        if code == 0:
            return None
        log = read_text(LOG) or ""
        return words_of_run(log, output + errors, domains, beginning=before if len(log) >= before else 0)

    def _environment(self) -> t.Dict[str, str]:
        # The hook would deploy in the middle of it; the module does it when all orders are through.
        return {**self._params["environment"], "ASGI_DEPLOY_AFTERWARDS": "1"}

    @contextlib.contextmanager
    def _account_file(self, wanted: bool) -> t.Iterator[t.List[str]]:
        """Give the options for the external account: its key is in a file, for anybody can read a command line."""
        kid, key = self._params["eab_kid"], self._params["eab_hmac_key"]
        if not wanted or kid is None:
            yield []
            return
        os.makedirs(LOCKS, mode=0o700, exist_ok=True)
        descriptor, path = tempfile.mkstemp(prefix="account-", suffix=".ini", dir=LOCKS)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write("eab-kid = {0}\neab-hmac-key = {1}\n".format(kid, key))
            yield ["--config", path]
        finally:
            os.unlink(path)
