# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many workers each application of a host has: they share its memory."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import integer
from ansible_collections.asgi.deploy.plugins.plugin_utils.workers import MASTER_MB, USABLE_MEMORY, worker_count

#: Both slots run while a release is switched to.
SLOTS = 2


class Wanted(t.NamedTuple):
    """What one application says of its workers. Memory in MB; ``memory_max`` for a slot, None for no limit."""

    #: Where its number of workers is stated: ``gunicorn_app_workers``, or that of one in the list.
    path: str
    workers: int | None
    workload: str
    worker_memory: int
    server: str
    cpu_quota: float | None
    memory_max: int | None
    #: Where that limit is stated.
    memory_path: str = "gunicorn_app_memory_max"

    @property
    def least(self) -> int:
        """MB of both slots with the number that is stated, or with one worker each."""
        return SLOTS * (MASTER_MB + (self.workers or 1) * self.worker_memory)


def share_workers(wanted: t.Sequence[Wanted], vcpus: int | None, memory_mb: int | None) -> list[tuple[int, str]]:
    """Return each application's number of workers, and a phrase that says why.

    :param vcpus: CPUs that the host may use, None for not known
    :param memory_mb: the host's memory, None for not known
    :raises Refused: where the host does not hold them
    """
    stated = [item._replace(workers=_stated(item, memory_mb)) for item in wanted]
    if memory_mb is not None and len(stated) > 1:
        needed = sum(item.least for item in stated)
        if needed > memory_mb:
            accepted = f"applications whose slots fit the host: these need {needed} MB, it has {memory_mb} MB"
            raise Refused("gunicorn_app_applications", f"{len(stated)} applications", accepted)
    memory = [None] * len(stated) if memory_mb is None else _shares(stated, memory_mb)
    return [_count(item, vcpus, share) for item, share in zip(stated, memory, strict=True)]


def _shares(items: t.Sequence[Wanted], memory_mb: int) -> list[int | None]:
    """Return the MB that each may count on: equal parts of what those with a stated number leave.

    One that needs more than its part for a single worker has that, and the others' parts are smaller.
    """
    shares: list[int | None] = [None] * len(items)
    rest = memory_mb - sum(item.least for item in items if item.workers is not None)
    sharing = sorted((-item.least, index) for index, item in enumerate(items) if item.workers is None)
    for others, (_least, index) in zip(range(len(sharing), 0, -1), sharing, strict=True):
        share = min(rest, max(rest // others, items[index].least))
        shares[index] = share
        rest -= share
    return shares


def _stated(item: Wanted, memory_mb: int | None) -> int | None:
    """Return the number of workers that needs no arithmetic, None where there is none."""
    if item.workers is not None:
        integer(item.path, item.workers, 1, 1000)
    if item.memory_max is not None and MASTER_MB + item.worker_memory > item.memory_max:
        needs = f"{MASTER_MB + item.worker_memory}m, gunicorn_app_worker_memory_mb and Gunicorn's master"
        raise Refused(item.memory_path, f"{item.memory_max}m", f"at least {needs}")
    if item.server == "uvicorn":
        if item.workers not in (None, 1):
            raise Refused(item.path, item.workers, "1 with gunicorn_app_server: uvicorn, which runs one process")
        return 1
    if item.workers is None:
        return None
    if memory_mb is not None and item.least > memory_mb:
        needs = f"{SLOTS} slots of {item.workers} workers of {item.worker_memory} MB need {item.least} MB"
        raise Refused(item.path, item.workers, f"fewer: {needs}, the host has {memory_mb} MB")
    if item.memory_max is not None and MASTER_MB + item.workers * item.worker_memory > item.memory_max:
        needs = f"{MASTER_MB + item.workers * item.worker_memory} MB"
        raise Refused(item.path, item.workers, f"fewer: they need {needs}, a slot may have {item.memory_max} MB")
    return item.workers


def _count(item: Wanted, vcpus: int | None, memory: int | None) -> tuple[int, str]:
    if item.server == "uvicorn":
        return 1, "uvicorn alone is one process"
    if item.workers is not None:
        return item.workers, f"as {item.path} says"
    if vcpus is None or memory is None:
        raise Refused(item.path, None, "a number, or the host's facts: the play has not gathered them")
    if item.memory_max is not None:
        # worker_count() leaves a part to the kernel, which a slot's own limit has not to hold.
        memory = min(memory, math.floor(item.memory_max * SLOTS / USABLE_MEMORY))
    count = worker_count(
        vcpus,
        workload=item.workload,
        memory_mb=memory,
        worker_memory_mb=item.worker_memory,
        slots=SLOTS,
        cpu_quota=item.cpu_quota,
    )
    cpus = vcpus if item.cpu_quota is None else min(vcpus, item.cpu_quota)
    why = f"workload {item.workload} on {cpus:g} CPUs and {memory} MB, {item.worker_memory} MB a worker, {SLOTS} slots"
    return count, why
