# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a host's certificates as a table for people.

Runs inside the program asgi-deploy-certificates, copied beside it: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.certificate_state import Json

_HEAD = ("CERTIFICATE", "NAMES", "VALID UNTIL", "RENEWED FROM", "SITES")

#: What a site serves instead of its certificate.
_INSTEAD = {"bootstrap": "the self-signed pair", "other": "another one"}


def table(state: Json) -> str:
    """Return the whole answer of ``asgi-deploy-certificates --status``."""
    rows = [_HEAD, *(_row(name, one) for name, one in sorted(state["certificates"].items()))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(widths[column]) for column, cell in enumerate(row)).rstrip() for row in rows]
    if len(rows) == 1:
        lines = ["no certificates"]
    lines += ["", "last renewal: " + _renewal(state["renewal"]), ""]
    if state["problems"]:
        lines += ["problems:", *("  " + problem for problem in state["problems"])]
    else:
        lines.append("all is well")
    return "\n".join(lines)


def _row(name: str, one: Json) -> t.Tuple[str, ...]:
    sites = ", ".join(_site(site, told, one["fingerprint"]) for site, told in sorted(one["sites"].items()))
    return name, ", ".join(one["names"]) or "-", _date(one["not_after"]), _date(one["renew_at"]), sites or "-"


def _site(name: str, told: Json, fingerprint: t.Optional[str]) -> str:
    if told["served"] is None:
        return name + " (does not answer)"
    if fingerprint is not None and told["served"] == fingerprint:
        return name
    return "{0} (serves {1})".format(name, _INSTEAD.get(told["serves"], "another one"))


def _renewal(note: t.Optional[Json]) -> str:
    if note is None:
        return "certbot.service has not run yet"
    return "{0}, {1}".format(_date(note["at"]), "ok" if note["ok"] else "failed: " + note["words"])


def _date(at: t.Optional[float]) -> str:
    return "-" if at is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
