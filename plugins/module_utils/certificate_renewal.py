# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last run of certbot.service went, and when certbot is to renew each certificate.

Runs inside the program asgi-deploy-certificates, copied beside it: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import LOG, Words, words_of_run
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_order import Certbot
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_turn import UNIT, who
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import Certificate
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_state import Config
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Run
from ansible_collections.asgi.deploy.plugins.module_utils.renewal import interval, renew_before
from ansible_collections.asgi.deploy.plugins.module_utils.renewal_file import FOLDER, TOP, RenewalFile

TIMER = "certbot.timer"

#: Looks whether all is well, and renews nothing.
WATCH = "asgi-deploy-certificates.service"

_KEY = "renew_before_expiry"

Note = t.Dict[str, t.Any]


def note_of(
    environment: t.Mapping[str, str], run: Run, before: t.Optional[Note], server: t.Optional[str], log: str = LOG
) -> t.Optional[Note]:
    """Return what to remember of the run that systemd tells of in ``environment``.

    :param before: what was remembered of the one before
    :param server: the inventory's; an account that another one does not know is not to be replaced there
    """
    result = environment.get("SERVICE_RESULT")
    if result is None or (environment.get("EXIT_CODE") == "killed" and result == "success"):
        # Not systemd's, or stopped by somebody: it says nothing.
        return before
    note: Note = {"at": int(time.time()), "ok": result == "success", "words": "", "account_unknown": False}
    note["server"] = server
    if not note["ok"]:
        text = (read_text(log) or "") if _is_of_this_run(log, run) else ""
        words = words_of_run(text, "")
        other = None if text else who()
        if other:
            words = Words("busy", "another certbot is running on this host: " + other)
        elif not text:
            ended = "certbot ended with {0} ({1}) and wrote no log".format(environment.get("EXIT_STATUS"), result)
            words = Words("other", ended)
        note["words"] = words.text
        if words.kind == "unreachable" and server:
            note["words"] += " ({0})".format(server)
        note["account_unknown"] = server is not None and words.account_unknown_at(server)
        if words.kind == "account_unknown" and not note["account_unknown"]:
            note["words"] += " ({0})".format(", ".join(words.forgotten_by) or "see " + LOG)
        elif note["account_unknown"] and words.kind != "account_unknown":
            # Another lineage has failed after it.
            note["words"] += "; {0} does not know the account".format(server)
    return note


def recovered(note: t.Optional[Note], config: Config, run: Run) -> t.Optional[Note]:
    """Register anew where the CA has forgotten the account, so that the timer's next run renews."""
    account = config.account
    if not note or not note["account_unknown"] or not account or not config.server or account["external"]:
        return note
    if note.get("server") != config.server:
        # The inventory has another server since, whose account is good.
        return note
    params = {"certbot": account["certbot"], "environment": {}, "email": account["email"]}
    try:
        Certbot(run, {**params, "eab_kid": None, "eab_hmac_key": None}).recover(config.server)
    except (ValueError, OSError) as error:
        note["words"] += "; " + words_of(error)
        return note
    note["account_unknown"] = False
    note["words"] += "; there is a new one now"
    return note


def _is_of_this_run(log: str, run: Run) -> bool:
    """Return whether certbot has written its log since its unit was started: it may have failed before that."""
    command = ["systemctl", "show", "--property=ExecMainStartTimestamp", "--value", "--timestamp=unix", UNIT]
    started = re.fullmatch(r"@(\d+)", run(command)[1].strip())
    if not os.path.exists(log):
        return False
    return started is None or os.stat(log).st_mtime >= int(started[1])


def problem_of(note: t.Optional[Note]) -> t.Optional[str]:
    if note is None or note["ok"]:
        return None
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(note["at"]))
    cure = "the next run of the playbook registers anew" if note["account_unknown"] else "its timer tries again"
    return "the last renewal failed on {0}: {1}; {2}, or now: systemctl start {3}".format(
        when, note["words"], cure, UNIT
    )


def timer_problem(run: Run, booted: str = "/run/systemd/system") -> t.Optional[str]:
    """Return why nothing would renew, or None."""
    if not os.path.isdir(booted):
        return None
    active, enabled = (run(["systemctl", question, TIMER])[1].strip() for question in ("is-active", "is-enabled"))
    # Enabled until the next boot only, or by a link into another folder, is enabled as well.
    if active == "active" and enabled.startswith("enabled"):
        return None
    state = active or "not known to systemd" if active != "active" else enabled
    return "{0} is {1}, so that nothing renews: systemctl enable --now {0}".format(TIMER, state)


def is_stopping(run: Run) -> bool:
    """Return whether the host is going down: nothing can be started any more, and the run that ended says nothing."""
    return run(["systemctl", "is-system-running"])[1].strip() == "stopping"


def forget_failures(run: Run) -> None:
    """Let systemd forget what is mended: a unit would stay failed, for hours, until its timer starts it again."""
    run(["systemctl", "reset-failed", UNIT, WATCH])


def set_threshold(
    name: str, read: Certificate, is_new: bool, folder: str = FOLDER
) -> t.Tuple[t.Optional[str], t.Optional[str]]:
    """Let certbot renew the lineage ``name`` in time for its lifetime. Returns what was changed, and what is wrong.

    :param is_new: whether it was issued or renewed since the last time; what a hand writes holds until then
    """
    path = os.path.join(folder, name + ".conf")
    try:
        file = RenewalFile(path)
        if not file.before:
            return None, "certbot has no settings to renew it by, {0} is empty or not there".format(path)
        wanted = interval(renew_before(read.not_after - read.not_before))
        present = file.get(_KEY)
        if present == wanted or (present is not None and not is_new):
            return None, None
        file.set(_KEY, wanted, TOP)
        file.write()
    except OSError as error:
        return None, "certbot was not told when to renew it: " + words_of(error)
    return "{0}: certbot renews it {1} before its end".format(name, wanted), None
