# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a release over many hosts has come, from its journal: whether it goes on, and what became of each host."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_targets import standing_of, targets
from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import app_socket
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

Entries = t.Sequence[t.Mapping[str, t.Any]]
Row = dict[str, t.Any]

#: Why there is nothing to count, where that needs no words.
NOTHING = "nothing was switched"

#: A failure in one of these stops a release before anything has been switched.
_BEFORE = ("lock", "prepare")


def failures(entries: Entries, *kinds: str) -> list[str]:
    """Return the hosts that failed in a step of these kinds, each once, in the order in which they did."""
    failed = (entry["host"] for entry in entries if entry["kind"] in kinds and "failed" in entry)
    return list(dict.fromkeys(failed))


def stopped(entries: Entries) -> str | None:
    """Return why the release does not go on to further hosts, or None where it does."""
    begun = entries[0]
    before = failures(entries, *_BEFORE)
    if before:
        return f"{_hosts(before, begun)} failed before anything was switched"
    live = failures(entries, "live")
    if len(live) > begun["max_failures"]:
        allowed = begun["max_failures"]
        return f"{_hosts(live, begun)} failed" + (f", more than release_max_failures ({allowed})" if allowed else "")
    return None


def locks_kept(entries: Entries) -> list[str]:
    """Return the hosts that hold the lock at the end, as far as anybody knows."""
    if entries[0]["check_mode"]:
        return []
    freed = {entry["host"] for entry in entries if entry["kind"] == "free" and "failed" not in entry}
    return [entry["host"] for entry in entries if entry["kind"] == "lock" and "failed" not in entry
            and entry["host"] not in freed]  # fmt: skip


def why_not(entries: Entries) -> str | None:
    """Return why nothing was begun, or what was begun was stopped, or None."""
    return next((entry["why"] for entry in entries if entry["kind"] == "refused"), None) or stopped(entries)


def _hosts(failed: t.Sequence[str], begun: t.Mapping[str, t.Any]) -> str:
    return f"{len(failed)} of {len(begun['hosts'])} hosts"


def way_back(entries: Entries) -> dict[str, list[dict[str, t.Any]]]:
    """Return the releases that the hosts had, for each host that has another one now, or may have.

    Among them are failed ones: where a hook fails that comes after the switch, the new release stays.
    """
    had = {key: found["live"] for key, found in _standings(entries).items() if found["live"]}
    now = {(entry["host"], entry["application"]): entry for entry in _of_applications(entries, "live")}
    return _by_host({key: had[key] for key, entry in now.items() if key in had and entry.get("live") != had[key]})


def way_to_targets(entries: Entries) -> tuple[dict[str, list[dict[str, t.Any]]], str | None]:
    """Return the releases that the hosts go back to, or why they cannot."""
    if failures(entries, "lock"):
        return {}, stopped(entries)
    standings = _standings(entries)
    wanted = {
        (entry["host"], name): release
        for entry in entries
        if entry["kind"] == "lock"
        for name, release in entry["wanted"].items()
    }
    found: dict[tuple[str, str], str] = {}
    for name in dict.fromkeys(application for _host, application in standings):
        hosts = [host for host, application in standings if application == name]
        try:
            chosen = targets(
                {host: standing_of(standings[host, name]) for host in hosts},
                {host: wanted[host, name] for host in hosts},
            )
        except Refused as error:
            return {}, str(error)
        found.update({(host, name): release for host, release in chosen.items()})
    return _by_host(found), None


def _by_host(found: t.Mapping[tuple[str, str], str]) -> dict[str, list[dict[str, t.Any]]]:
    """Return by host what each application goes to. ``first`` is the host that runs what runs once: one that moves."""
    hosts: dict[str, list[dict[str, t.Any]]] = {}
    first: dict[str, str] = {}
    for (host, name), release in found.items():
        first.setdefault(name, host)
        hosts.setdefault(host, []).append({"name": name, "release": release, "first": first[name]})
    return hosts


def _of_applications(entries: Entries, kind: str) -> t.Iterator[t.Mapping[str, t.Any]]:
    return (entry for entry in entries if entry["kind"] == kind and "application" in entry)


def _standings(entries: Entries, kind: str = "lock") -> dict[tuple[str, str], t.Mapping[str, t.Any]]:
    """Return what the hosts said of their applications when the lock was taken, or given back, in the hosts' order."""
    begun = entries[0]["hosts"]
    said = {entry["host"]: entry.get("applications", []) for entry in entries if entry["kind"] == kind}
    return {(host, item["name"]): item for host in begun for item in said.get(host, [])}


def rows(entries: Entries) -> list[Row]:
    """Return what became of each application on each host, in the order of the play."""
    before, after = _standings(entries), _standings(entries, "free")
    steps = {
        kind: {(entry["host"], entry["application"]): entry for entry in _of_applications(entries, kind)}
        for kind in ("prepare", "live", "back")
    }
    counted = _requests(entries)
    # Of a rollback that was not stopped, a host that was not asked had what all go back to.
    rest = "unchanged" if entries[0]["playbook"] == "rollback" and not why_not(entries) else "untouched"
    whole = {entry["host"]: entry["failed"] for entry in entries if _is_of_host(entry)}
    found = []
    for host in entries[0]["hosts"]:
        names: list[str | None] = [name for owner, name in before if owner == host]
        for name in names or [None]:
            key = (host, name or "")
            done = {kind: entry[key] for kind, entry in steps.items() if key in entry}
            found.append(
                {
                    "host": host,
                    "application": name,
                    "from": before[key]["live"] if key in before else None,
                    "to": _to(done, after.get(key), before.get(key)),
                    "seconds": _seconds(done),
                    "result": "failed" if host in whole else _result(done, rest),
                    **(counted or {}).get(key, {"lost": None, "retried": None}),
                    "message": _message(done, whole.get(host)),
                }
            )
    return found


def _result(done: t.Mapping[str, t.Mapping[str, t.Any]], rest: str) -> str:
    if any("failed" in entry for entry in done.values()):
        return "failed"
    for kind, word, intent in (("back", "went back", "would go back"), ("live", "live", ""), ("prepare", "", "")):
        entry = done.get(kind)
        if entry is None:
            continue
        if "would" in entry:
            return intent or ("would go live" if entry["would"] == "switch" else "would be built and go live")
        if kind == "prepare":
            return "untouched" if entry.get("due") else "unchanged"
        if kind == "live" or "live" in done or entry.get("changed"):
            return word
        return "unchanged"
    return rest


def _to(
    done: t.Mapping[str, t.Mapping[str, t.Any]],
    after: t.Mapping[str, t.Any] | None,
    before: t.Mapping[str, t.Any] | None,
) -> str | None:
    """Return what is live at the end, as the host says it; in check mode, what would be."""
    for entry in done.values():
        if "would" in entry:
            return t.cast("str | None", entry.get("release"))
    # As long as nothing was switched it has what it had, also where it does not answer any more.
    known = after or (None if "live" in done or "back" in done else before)
    return known["live"] if known else None


def _seconds(done: t.Mapping[str, t.Mapping[str, t.Any]]) -> float | None:
    entry = done.get("live") or done.get("back")
    return None if entry is None or "would" in entry else entry.get("seconds")


def _message(done: t.Mapping[str, t.Mapping[str, t.Any]], whole: str | None) -> str | None:
    told = [entry["failed"] for entry in done.values() if "failed" in entry] + ([whole] if whole else [])
    return "\n".join(told) or None


def _is_of_host(entry: t.Mapping[str, t.Any]) -> bool:
    """Return whether this is a failure of a host, before it came to one of its applications."""
    return "failed" in entry and "application" not in entry and entry["kind"] in (*_BEFORE, "live", "back")


def _requests(entries: Entries) -> dict[tuple[str, str], dict[str, int]] | None:
    """Return the requests that all proxies together have counted, or None where one has not."""
    if not_counted(entries) is not None:
        return None
    found: dict[tuple[str, str], dict[str, int]] = {}
    for host, name in _standings(entries):
        found[host, name] = {"lost": 0, "retried": 0}
    for entry in entries:
        if entry["kind"] != "requests":
            continue
        for item in entry["requests"]["servers"]:
            key = (item["host"], item["application"])
            if key in found:
                for what in ("lost", "retried"):
                    found[key][what] += item[what]
    return found


def not_counted(entries: Entries) -> str | None:
    """Return why there is no number of lost requests, or None where there is one."""
    told = [entry for entry in entries if entry["kind"] == "requests"]
    if not any(entry["kind"] == "live" for entry in entries):
        return NOTHING
    if not told:
        return "no host of the group proxies is in this run"
    for entry in entries:
        why = None
        if entry["kind"] in ("position", "requests"):
            why = entry.get("failed") or entry.get("requests", {}).get("not_counted")
        if why:
            return f"{entry['host']}: {str(why).splitlines()[0]}"
    return None


def log_position(entries: Entries, proxy: str) -> t.Mapping[str, t.Any] | None:
    """Return where the logs of a proxy were at the beginning, or None where there is nothing to count for."""
    if not any(entry["kind"] == "live" for entry in entries):
        return None
    noted = (entry for entry in entries if entry["kind"] == "position" and entry["host"] == proxy)
    return t.cast("t.Mapping[str, t.Any] | None", next(noted, {}).get("positions"))


def servers(entries: Entries, proxy: str) -> list[dict[str, str]]:
    """Return how a proxy reaches each application of each host."""
    found = []
    for entry in entries:
        if entry["kind"] != "lock" or "wanted" not in entry:
            continue
        host = entry["host"]
        for name in entry["wanted"]:
            if host == proxy:
                found.append({"host": host, "application": name, "address": f"unix:{app_socket(name)}"})
            if name in entry["ports"]:
                found.append(
                    {"host": host, "application": name, "address": f"{entry['address']}:{entry['ports'][name]}"}
                )
    return found
