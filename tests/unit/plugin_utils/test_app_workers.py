# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The applications of a host share its memory: who says a number has it, the others share what is left."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_workers import SLOTS, Wanted, share_workers
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.workers import MASTER_MB


def app(**said: t.Any) -> Wanted:
    """Return what an application says; the rest as the role's defaults have it."""
    least = Wanted(
        path="gunicorn_app_workers",
        workers=None,
        workload="io",
        worker_memory=150,
        server="gunicorn",
        cpu_quota=None,
        memory_max=None,
    )
    return least._replace(**said)


STATED = app(workers=3)
UVICORN = app(server="uvicorn")


@pytest.mark.parametrize(
    ("wanted", "vcpus", "memory_mb", "expected"),
    [
        ([], 2, 2048, []),
        ([app()], 4, 8192, [4]),
        ([app(workload="mixed")], 4, 8192, [5]),
        ([app(workload="sync")], 4, 8192, [9]),
        # 80 % of 1,000 MB for two slots: 380 MB a slot after the master.
        ([app()], 4, 1000, [2]),
        # One is never none.
        ([app()], 4, 200, [1]),
        # Half of the memory each.
        ([app(), app()], 4, 2000, [2, 2]),
        ([app(), app(worker_memory=50)], 4, 2000, [2, 4]),
        # Three with 150 MB and the master, twice, are 940 MB of it; the rest as if there was no more.
        ([STATED, app()], 4, 1940, [3, 2]),
        ([app(), STATED], 4, 1940, [2, 3]),
        ([STATED, app(), app()], 4, 2940, [3, 2, 2]),
        # One process of 150 MB, the same reckoning: 340 MB.
        ([UVICORN, app()], 4, 1340, [1, 2]),
        ([UVICORN], 4, 8192, [1]),
        ([app(server="uvicorn", workers=1)], 4, 8192, [1]),
        # A part of 1,100 MB holds not one worker of 1 GB in each slot: it has its 2,040 MB, and the other one the rest.
        ([app(worker_memory=50), app(worker_memory=1000)], 8, 2200, [1, 1]),
        ([app(worker_memory=50), app(worker_memory=1000)], 8, 2690, [4, 1]),
        # The CPUs are not shared out: applications that wait leave them to each other.
        ([app(), app(), app()], 4, 16384, [4, 4, 4]),
        ([app(cpu_quota=1.5)], 4, 8192, [2]),
        ([app(cpu_quota=16.0)], 4, 8192, [4]),
        ([app(cpu_quota=0.5)], 4, 8192, [1]),
        ([app(cpu_quota=1.0, workload="sync")], 4, 8192, [3]),
        # A limit of the slot's own is all for it: 512 MB are the master and three workers of 150 MB.
        ([app(memory_max=512)], 4, 8192, [3]),
        ([app(memory_max=470)], 4, 8192, [3]),
        ([app(memory_max=469)], 4, 8192, [2]),
        ([app(memory_max=170)], 4, 8192, [1]),
        # The smaller of the slot's and the host's.
        ([app(memory_max=4096)], 4, 1000, [2]),
        ([app(workers=3, memory_max=470)], 4, 8192, [3]),
        # A number needs no facts.
        ([STATED], None, None, [3]),
        ([STATED, UVICORN], None, None, [3, 1]),
    ],
)
def test_count(wanted: list[Wanted], vcpus: int | None, memory_mb: int | None, expected: list[int]) -> None:
    shared = share_workers(wanted, vcpus, memory_mb)
    assert [count for count, _why in shared] == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([app()], ["workload io on 4 CPUs and 2000 MB, 150 MB a worker, 2 slots"]),
        ([app(cpu_quota=1.5)], ["workload io on 1.5 CPUs and 2000 MB, 150 MB a worker, 2 slots"]),
        # What it may use of the memory, the kernel's part included.
        ([app(memory_max=512)], ["workload io on 4 CPUs and 1280 MB, 150 MB a worker, 2 slots"]),
        ([app(), app(workload="cpu")],
         ["workload io on 4 CPUs and 1000 MB, 150 MB a worker, 2 slots",
          "workload cpu on 4 CPUs and 1000 MB, 150 MB a worker, 2 slots"]),
        ([STATED], ["as gunicorn_app_workers says"]),
        ([STATED._replace(path="gunicorn_app_applications[1].workers")],
         ["as gunicorn_app_applications[1].workers says"]),
        ([UVICORN], ["uvicorn alone is one process"]),
    ],
)  # fmt: skip
def test_why(wanted: list[Wanted], expected: list[str]) -> None:
    """The phrase stands in gunicorn's configuration file, where somebody looks for the reason."""
    assert [why for _count, why in share_workers(wanted, 4, 2000)] == expected


def test_what_is_shared_out_is_never_more_than_there_is() -> None:
    heavy, light = app(worker_memory=900), app(worker_memory=40, workload="sync")
    wanted = [app(), light, heavy, STATED._replace(workers=1), light]
    least = sum(item.least for item in wanted)
    for memory_mb in range(least, 4 * least, 90):
        shared = share_workers(wanted, 8, memory_mb)
        used = [
            SLOTS * (MASTER_MB + count * item.worker_memory) for item, (count, _why) in zip(wanted, shared, strict=True)
        ]
        assert sum(used) <= memory_mb


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ([app(workers=0)], "gunicorn_app_workers: 0 is refused; accepted: an integer from 1 to 1000"),
        ([app(workers=1001)], "gunicorn_app_workers: 1001 is refused; accepted: an integer from 1 to 1000"),
        ([app(workers=7)],
         "gunicorn_app_workers: 7 is refused; accepted: fewer: 2 slots of 7 workers of 150 MB need 2140 MB, "
         "the host has 2000 MB"),
        ([app(), app(workers=9, path="gunicorn_app_applications[1].workers")],
         "gunicorn_app_applications[1].workers: 9 is refused; accepted: fewer: 2 slots of 9 workers of 150 MB "
         "need 2740 MB, the host has 2000 MB"),
        ([app(workers=3), app(workers=4)],
         'gunicorn_app_applications: "2 applications" is refused; accepted: applications whose slots fit the host: '
         "these need 2180 MB, it has 2000 MB"),
        ([app()] * 6,
         'gunicorn_app_applications: "6 applications" is refused; accepted: applications whose slots fit the host: '
         "these need 2040 MB, it has 2000 MB"),
        ([UVICORN] * 6,
         'gunicorn_app_applications: "6 applications" is refused; accepted: applications whose slots fit the host: '
         "these need 2040 MB, it has 2000 MB"),
        ([app(server="uvicorn", workers=2)],
         "gunicorn_app_workers: 2 is refused; accepted: 1 with gunicorn_app_server: uvicorn, which runs one process"),
        ([app(workers=3, memory_max=469)],
         "gunicorn_app_workers: 3 is refused; accepted: fewer: they need 470 MB, a slot may have 469 MB"),
        # A worker that the kernel ends at once serves nobody; the number of them has nothing to do with it.
        ([app(memory_max=169)],
         'gunicorn_app_memory_max: "169m" is refused; accepted: at least 170m, gunicorn_app_worker_memory_mb and '
         "Gunicorn's master"),
        ([app(workers=1, memory_max=169, memory_path="gunicorn_app_applications[0].memory_max")],
         'gunicorn_app_applications[0].memory_max: "169m" is refused; accepted: at least 170m, '
         "gunicorn_app_worker_memory_mb and Gunicorn's master"),
    ],
)  # fmt: skip
def test_refused(wanted: list[Wanted], line: str) -> None:
    with pytest.raises(Refused) as caught:
        share_workers(wanted, 4, 2000)
    assert str(caught.value) == line


@pytest.mark.parametrize(("vcpus", "memory_mb"), [(None, 2000), (4, None), (None, None)])
def test_without_facts_a_number_has_to_be_said(vcpus: int | None, memory_mb: int | None) -> None:
    with pytest.raises(Refused, match=r"^gunicorn_app_workers: null is refused; accepted: a number, or"):
        share_workers([STATED, app()], vcpus, memory_mb)
