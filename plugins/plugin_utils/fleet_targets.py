# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an application goes back to, decided once for all of its hosts.

The same code has a release on each host, under names that differ: in the time of the build, and where Python is
another one. What they have in common is their code's id.
"""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

_VARIABLE = "gunicorn_app_release"


class Lived(t.NamedTuple):
    """When and how a release became live for the last time."""

    release: str
    at: str
    how: str


class Standing(t.NamedTuple):
    """What a host has of an application: ``releases`` by name to their code, oldest first; ``lived``, the last last."""

    live: str | None
    releases: t.Mapping[str, str]
    lived: t.Sequence[Lived]

    def code(self, release: str) -> str:
        # One that is live and damaged is none of the releases that can be again.
        return self.releases.get(release, release)

    def release(self, code: str) -> str | None:
        """Return the newest release of this code."""
        return next((name for name in reversed(list(self.releases)) if self.releases[name] == code), None)

    def codes(self) -> dict[str, Lived]:
        """Return the codes that have been live and can be again, the last one last. No time is before the one before
        it, whatever the host's clock did.
        """
        found: dict[str, Lived] = {}
        at = ""
        for entry in self.lived:
            at = max(at, entry.at)
            if entry.release in self.releases:
                code = self.releases[entry.release]
                found.pop(code, None)
                found[code] = entry._replace(at=at)
        return found


def standing_of(found: t.Mapping[str, t.Any]) -> Standing:
    """:param found: one of the applications that the module release_lock has returned"""
    return Standing(
        found["live"],
        {item["name"]: item["code"] for item in found["releases"]},
        [Lived(item["release"], item["at"], item["how"]) for item in found["lived"]],
    )


def targets(hosts: t.Mapping[str, Standing], wanted: t.Mapping[str, str]) -> dict[str, str]:
    """Return the release that each host goes to; a host that is left alone is not in it.

    :param hosts: all hosts that have the application
    :param wanted: of each the variable, "previous" or a name
    :raises Refused: where a host has it not, naming the host
    """
    if len(hosts) == 1:
        # Its releases are told apart by their names alone, also where they differ in nothing but Python.
        hosts = {host: item._replace(releases={name: name for name in item.releases}) for host, item in hosts.items()}
    if set(wanted.values()) == {"previous"}:
        code = _previous(hosts)
        return {
            host: _on(hosts, host, code, "previous")
            for host, item in hosts.items()
            if item.live is None or item.code(item.live) != code
        }
    named = {host: _named(hosts, host, wanted[host]) for host in hosts}
    codes = set(named.values())
    if len(codes) > 1:
        raise Refused(_VARIABLE, sorted(set(wanted.values())), "releases of the same code on all hosts")
    return {
        host: wanted[host] if wanted[host] in item.releases else _on(hosts, host, named[host], wanted[host])
        for host, item in hosts.items()
    }


def _previous(hosts: t.Mapping[str, Standing]) -> str:
    """Return the code that was live on all hosts before what is, or before what is on some of them."""
    lived = {host: item.codes() for host, item in hosts.items()}
    common = [code for code in _by_time(lived) if all(code in codes for codes in lived.values())]
    live = {item.code(item.live): host for host, item in hosts.items() if item.live}
    newest = max(live, key=lambda code: _last(lived, code), default=None)
    if len(live) > 1 and newest in common and _how(lived, newest) == "rolled back":
        # A rollback that was stopped: it goes on.
        return newest
    found = next((code for code in reversed(common) if code != newest), None)
    if found is None:
        raise Refused(_VARIABLE, "previous", f"the name of a release; {_why_none(lived, newest)}")
    return found


def _by_time(lived: t.Mapping[str, t.Mapping[str, Lived]]) -> list[str]:
    """Return all codes, the one last that became live last. In the same second a host's own order counts."""
    order = {code: index for codes in lived.values() for index, code in enumerate(codes)}
    return sorted(order, key=lambda code: (_last(lived, code), order[code]))


def _last(lived: t.Mapping[str, t.Mapping[str, Lived]], code: str) -> str:
    return max((codes[code].at for codes in lived.values() if code in codes), default="")


def _how(lived: t.Mapping[str, t.Mapping[str, Lived]], code: str) -> str:
    return max((codes[code] for codes in lived.values() if code in codes), key=lambda entry: entry.at).how


def _why_none(lived: t.Mapping[str, t.Mapping[str, Lived]], newest: str | None) -> str:
    others = [code for code in _by_time(lived) if code != newest]
    if len(lived) == 1 or not others:
        return "none was live before the one that is"
    best = max(others, key=lambda code: sum(code in codes for codes in lived.values()))
    name = next(codes[best].release for codes in lived.values() if best in codes)
    without = [host for host, codes in lived.items() if best not in codes]
    return f"none was live before on all hosts and is still there; {_hosts(without)} not {name}"


def _named(hosts: t.Mapping[str, Standing], host: str, name: str) -> str:
    """Return the code of the release that is called so on the host, or on another one."""
    for item in (hosts[host], *hosts.values()):
        for release in reversed(list(item.releases)):
            if name == release or release.endswith(f"-{name}"):
                return item.releases[release]
    there = ", ".join(_everywhere(hosts)) or "there is none"
    which = "this host" if len(hosts) == 1 else "all hosts, by their names on the first"
    raise Refused(_VARIABLE, name, f"previous, or one of those on {which}: {there}")


def _everywhere(hosts: t.Mapping[str, Standing]) -> list[str]:
    first = next(iter(hosts.values()))
    return [name for name, code in first.releases.items() if all(item.release(code) for item in hosts.values())]


def _on(hosts: t.Mapping[str, Standing], host: str, code: str, wanted: str) -> str:
    found = hosts[host].release(code)
    if found is None:
        without = [name for name, item in hosts.items() if item.release(code) is None]
        there = ", ".join(_everywhere(hosts)) or "there is none"
        raise Refused(_VARIABLE, wanted, f"one that is on all hosts ({there}); {_hosts(without)} it not")
    return found


def _hosts(names: t.Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{shown} {'has' if len(names) == 1 else 'have'}"
