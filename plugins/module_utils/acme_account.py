# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot's accounts at an ACME server: which one is used, its address, and a new one where the server forgot it.

Runs inside modules and, copied beside them, inside the program asgi-deploy-certificates: only the standard
library, and nothing of Ansible.
"""

from __future__ import annotations

import collections
import json
import os
import shutil
import time
import typing as t
import urllib.parse

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text
from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import Words
from ansible_collections.asgi.deploy.plugins.module_utils.renewal_file import RenewalFile

HOME = "/etc/letsencrypt"

#: Accounts that a server does not know any more; their keys may still be good for a revocation elsewhere.
FORGOTTEN = os.path.join("asgi-deploy", "forgotten-accounts")

_FILES = ("meta.json", "private_key.json", "regr.json")

Register = t.Callable[[], t.Optional[Words]]


def folder_of(server: str) -> str:
    """Return where certbot has the accounts at ``server``."""
    parts = urllib.parse.urlsplit(server)
    return os.path.join(HOME, "accounts", parts.netloc + parts.path.rstrip("/"))


def accounts_at(server: str) -> t.List[str]:
    """Return the ids of the accounts at ``server``, the newest first."""
    folder = folder_of(server)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    whole = [name for name in names if all(os.path.exists(os.path.join(folder, name, file)) for file in _FILES)]
    return sorted(whole, key=lambda name: _created(os.path.join(folder, name)), reverse=True)


def account_of(server: str) -> t.Optional[str]:
    """Return the account that orders at ``server`` are to use, or None: the one that most renewals use already."""
    ids = accounts_at(server)
    used = collections.Counter(renewal.get("account") for renewal in renewals_at(server))
    return max(ids, key=lambda account: used[account]) if ids else None


def account_options(server: str) -> t.List[str]:
    """Return the option that says which account, where certbot would ask for it."""
    return ["--account", account_of(server) or ""] if len(accounts_at(server)) > 1 else []


def renewals_at(server: str) -> t.List[RenewalFile]:
    """Return the renewal files of all lineages from ``server``."""
    folder = os.path.join(HOME, "renewal")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    files = [RenewalFile(os.path.join(folder, name)) for name in names if name.endswith(".conf")]
    return [file for file in files if file.get("server") == server]


def lineage_name(renewal: RenewalFile) -> str:
    return os.path.basename(renewal.path)[: -len(".conf")]


def orphans_at(server: str) -> t.List[RenewalFile]:
    """Return the renewal files whose account is gone while another one is there: certbot would not renew by them.

    A recovery that was killed half-way, or a backup without the accounts, leaves such.
    """
    ids = accounts_at(server)
    return [renewal for renewal in renewals_at(server) if renewal.get("account") not in ids] if ids else []


def adopt(server: str) -> t.List[str]:
    """Let such renewals use the account that is there. Returns the lineages that were changed."""
    account = account_of(server)
    orphans = orphans_at(server)
    for renewal in orphans:
        renewal.set("account", account or "")
        renewal.write()
    return [lineage_name(renewal) for renewal in orphans]


def recover(register: Register, server: str) -> None:
    """Register anew at a ``server`` that has forgotten the account, and let all its lineages use the new one.

    :param register: lets certbot register at this server; returns what went wrong, or None
    :raises ValueError: with the reason; the accounts and renewal files are as they were
    """
    folder = folder_of(server)
    aside = os.path.join(HOME, FORGOTTEN, "{0}-{1}".format(urllib.parse.urlsplit(server).hostname, time.time_ns()))
    os.makedirs(os.path.dirname(aside), mode=0o700, exist_ok=True)
    moved = os.path.isdir(folder)
    if moved:
        # certbot's accounts of Let's Encrypt may be a link to those of another of its addresses: the link goes.
        os.rename(folder, aside)
    try:
        failure = register()
        if failure is not None:
            raise ValueError("a new account was not to be had: " + failure.text)
        if not accounts_at(server):
            raise ValueError("certbot registered no account at " + server)
    except BaseException:
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        if moved:
            os.rename(aside, folder)
        raise
    adopt(server)


def _created(folder: str) -> str:
    try:
        meta = json.loads(read_text(os.path.join(folder, "meta.json")) or "")
        return str(meta["creation_dt"])
    except (ValueError, KeyError, TypeError):
        return ""
