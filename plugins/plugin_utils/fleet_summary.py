# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a release over many hosts at its end: a table, the same as data, and what failed."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_progress import (
    NOTHING,
    Entries,
    Row,
    locks_kept,
    not_counted,
    rows,
    why_not,
)

#: Of so many hosts the messages are shown; a release that fails everywhere fails everywhere in the same way.
_MESSAGES = 3


def report(entries: Entries) -> dict[str, t.Any]:
    """Return all there is to know at the end, ready for JSON."""
    begun = entries[0]
    found: dict[str, t.Any] = {
        "playbook": begun["playbook"],
        "id": begun["id"],
        "by": begun["by"],
        "check_mode": begun["check_mode"],
        "only": begun["only"],
        "began": _moment(begun["began"]),
        "ended": _moment(time.time()),
        "stopped": why_not(entries),
        "hosts": rows(entries),
        "lock_kept_on": locks_kept(entries),
    }
    if begun["playbook"] == "release":
        found["not_counted"] = not_counted(entries)
        counted = [entry["requests"] for entry in entries if entry["kind"] == "requests" and "requests" in entry]
        # 502 and 504 of any site for which no server was left to try: nobody's of the hosts above.
        found["without_server"] = None if found["not_counted"] else sum(item["without_server"] for item in counted)
    return found


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def failed(found: t.Mapping[str, t.Any]) -> bool:
    return bool(found["stopped"]) or any(row["result"] == "failed" for row in found["hosts"])


def table(found: t.Mapping[str, t.Any]) -> list[str]:
    """Return the lines of the table, and what has to be said of it."""
    counts = found["playbook"] == "release" and found["not_counted"] != NOTHING
    several = len({row["application"] for row in found["hosts"] if row["application"]}) > 1
    keys = ["host", *(["application"] if several else []), "from", "to", "seconds", "result"]
    heads = {key: key for key in keys}
    if counts:
        keys += ["lost", "retried"]
        heads.update(lost="requests lost", retried="retried")
    cells = [[heads[key] for key in keys], *([_cell(row, key) for key in keys] for row in found["hosts"])]
    widths = [max(len(line[column]) for line in cells) for column in range(len(keys))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    if found["only"]:
        lines.append(f"only {found['only']} (app={found['only']}), no other application of these hosts")
    if counts and found["not_counted"]:
        lines.append(f"requests lost: not counted ({found['not_counted']})")
    if found.get("without_server"):
        lines.append(f"{found['without_server']} further requests found no server that was left to try")
    if found["lock_kept_on"]:
        lines.append(f"the lock could not be given back on {', '.join(found['lock_kept_on'])}: it ends by itself")
    return lines


def _cell(row: Row, key: str) -> str:
    value = row[key]
    if value is None:
        return "not counted" if key == "lost" and row["result"] in ("live", "went back", "failed") else "-"
    return str(value)


def failure(found: t.Mapping[str, t.Any]) -> str:
    """Return the message with which the playbook ends, the applications' own log lines in it."""
    told = [row for row in found["hosts"] if row["message"]]
    bad = [row["host"] for row in found["hosts"] if row["result"] == "failed"]
    lines = [f"Stopped: {found['stopped']}." if found["stopped"] and bad else found["stopped"]]
    lines = [line for line in lines if line] or [f"{len(set(bad))} of {len(found['hosts'])} hosts failed."]
    for row in told[:_MESSAGES]:
        what = row["host"] if row["application"] is None else f"{row['host']}, {row['application']}"
        lines.append(f"{what}: {row['message']}")
    if len(told) > _MESSAGES:
        lines.append(f"… and {len(told) - _MESSAGES} more, see above.")
    return "\n".join(lines)
