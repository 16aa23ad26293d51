# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many Gunicorn workers a host carries: its CPUs decide, its memory has the last word."""

from __future__ import annotations

import math
import typing as t
from fractions import Fraction

from ansible_collections.asgi.deploy.plugins.plugin_utils import values
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

#: Workers from CPUs. An event loop or a computation fills one CPU; a blocking worker waits half of its time.
#: The guides say CPUs, CPUs + 1 and 2 · CPUs + 1: each is right for one workload.
WORKLOADS: dict[str, tuple[int, int]] = {"io": (1, 0), "mixed": (1, 1), "sync": (2, 1), "cpu": (1, 0)}

#: Megabytes of Gunicorn's master: the intercept of PSS over workers (78 MB with 2, 136 with 4, 251 with 8).
MASTER_MB = 20

#: The rest is the kernel's, the page cache's and the peak's; without it the OOM killer picks a worker.
USABLE_MEMORY = Fraction(80, 100)


def worker_count(
    vcpus: t.Any,
    workload: t.Any = "io",
    memory_mb: t.Any = None,
    worker_memory_mb: t.Any = 150,
    slots: t.Any = 2,
    minimum: t.Any = 1,
    maximum: t.Any = None,
    cpu_quota: t.Any = None,
) -> int:
    """Return the number of workers for one slot of an application.

    :param vcpus: CPUs of the host, above 0; a fraction counts as the CPU it is a part of
    :param workload: ``io``, ``mixed``, ``sync`` or ``cpu``
    :param memory_mb: megabytes that the application's slots share; None for no limit
    :param worker_memory_mb: megabytes of one worker at its peak
    :param slots: slots that run at the same time; two overlap while a release replaces another
    :param minimum: fewest workers, where the memory holds them
    :param maximum: most workers; None for no limit
    :param cpu_quota: CPUs that systemd's ``CPUQuota=`` leaves (1.5 for 150 %); None for all
    :raises Refused: naming the argument, its value and what is accepted
    """
    cpus = values.number("vcpus", vcpus, accepted="a number of CPUs above 0")
    factor, extra = WORKLOADS[values.choice("workload", workload, WORKLOADS)]
    per_worker = values.number("worker_memory_mb", worker_memory_mb, accepted="a number of megabytes above 0")
    sharing = values.integer("slots", slots, 1)
    fewest = values.integer("minimum", minimum, 1)
    if cpu_quota is not None:
        quota = values.number("cpu_quota", cpu_quota, accepted="a number of CPUs above 0, such as 1.5")
        cpus = min(cpus, quota)
    count = max(factor * math.ceil(cpus) + extra, fewest)
    if maximum is not None:
        most = values.integer("maximum", maximum, 1)
        if fewest > most:
            raise Refused("minimum", fewest, f"an integer from 1 to maximum, which is {most}")
        count = min(count, most)
    if memory_mb is not None:
        memory = values.number("memory_mb", memory_mb, accepted="a number of megabytes above 0")
        # Fractions, because 0.8 * 425 / 2 - 20 is exactly one worker of 150 MB and floats may say less.
        count = min(count, math.floor((USABLE_MEMORY * memory / sharing - MASTER_MB) / per_worker))
    return max(1, count)
