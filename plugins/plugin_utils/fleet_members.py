# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of a play are meant, where not all have the same applications, and which of them runs what runs once."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

#: What the action gunicorn_host has said of a host, None where it was not asked.
Told = t.Callable[[str], t.Mapping[str, t.Any] | None]


def members(everybody: t.Sequence[str], told: Told, only: str | None) -> list[str]:
    """Return the hosts of a release, in the order of the play: those that have an application to be released.

    :param everybody: the hosts of the play; those that have dropped out were not asked
    :param only: the application that is meant, None for all
    :raises Refused: where no host has one
    """
    asked = [(host, told(host)) for host in everybody]
    found = [host for host, said in asked if said and said["present"]]
    if not found:
        named = sorted({name for _host, said in asked if said for name in said["named"]})
        if only is None or not named:
            raise Refused("groups.apps", list(everybody), "hosts that have an application")
        raise Refused("app", only, " or ".join(named))
    return found


def batch_sizes(batches: t.Sequence[int | str], hosts: t.Sequence[str], everybody: t.Sequence[str]) -> list[int | str]:
    """Return Ansible's ``serial`` for a play with ``everybody``, so that its batches are these of ``hosts``.

    :param batches: numbers of hosts, or shares such as "25%"; the last one repeats
    """
    if len(hosts) == len(everybody):
        return list(batches)
    sizes: list[int | str] = []
    begun = done = 0
    steps = itertools.chain(batches, itertools.repeat(batches[-1]))
    while done < len(hosts):
        batch = next(steps)
        # As Ansible reckons shares.
        size = batch if isinstance(batch, int) else int(batch.rstrip("%")) * len(hosts) // 100 or 1
        done = min(done + size, len(hosts))
        end = everybody.index(hosts[done - 1]) + 1
        sizes.append(end - begun)
        begun = end
    return sizes


def first_host(name: str, hosts: t.Iterable[str], here: t.Container[str], told: Told) -> str | None:
    """Return the host that runs what runs once for the application ``name``: the first one of the play that has it.

    :param hosts: those of the play, in its order
    :param here: those of them that have not failed or been lost
    """
    for host in hosts:
        said = told(host)
        if said is None and host in here:
            # In tasks of one's own it may not have been asked yet; two hosts that migrate are worse than none.
            return host
        if said is None or said.get("skipped"):
            # It dropped out before it was asked, or is left out: it will run nothing.
            continue
        # One that failed since has had its turn: what it ran must not be run again by the next.
        if name in said.get("seen", [name]):
            return host
    return None
