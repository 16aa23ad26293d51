# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.workers import worker_count


@pytest.mark.parametrize(
    ("vcpus", "workload", "expected"),
    [
        (1, "io", 1),
        (4, "io", 4),
        (4, "mixed", 5),
        (4, "sync", 9),
        (4, "cpu", 4),
        (1, "sync", 3),
        (0.5, "io", 1),
        (0.5, "sync", 3),
        (1.0, "io", 1),
        (2.0, "mixed", 3),
        (2.1, "io", 3),
        (256, "sync", 513),
    ],
)
def test_cpus_and_workload(vcpus: float, workload: str, expected: int) -> None:
    result = worker_count(vcpus, workload)
    assert (result, type(result)) == (expected, int)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 8),
        ({"cpu_quota": 1.5}, 2),
        ({"cpu_quota": 0.2}, 1),
        ({"cpu_quota": 2}, 2),
        ({"cpu_quota": 16}, 8),
        ({"cpu_quota": 2, "workload": "sync"}, 5),
        ({"maximum": 3}, 3),
        ({"maximum": 30}, 8),
        ({"minimum": 12}, 12),
        ({"minimum": 3, "maximum": 3}, 3),
        ({"cpu_quota": 1, "minimum": 2}, 2),
        # (0.8 * 2000 / 2 - 20) / 150 = 5.2
        ({"memory_mb": 2000}, 5),
        # One slot: (0.8 * 2000 - 20) / 150 = 10.5, so the CPUs decide.
        ({"memory_mb": 2000, "slots": 1}, 8),
        ({"memory_mb": 2000, "slots": 4}, 2),
        ({"memory_mb": 2000, "worker_memory_mb": 300}, 2),
        # The memory wins over the minimum, but one worker there always is.
        ({"memory_mb": 2000, "minimum": 7}, 5),
        ({"memory_mb": 1, "minimum": 7}, 1),
        ({"memory_mb": 0.001}, 1),
        ({"memory_mb": 100, "worker_memory_mb": 1000000}, 1),
        ({"memory_mb": 2000, "maximum": 4}, 4),
    ],
)
def test_limits_on_eight_cpus(options: dict[str, t.Any], expected: int) -> None:
    assert worker_count(8, **options) == expected


@pytest.mark.parametrize(
    ("memory_mb", "worker_memory_mb", "slots", "expected"),
    [
        # 0.8 * 800 / 2 = 320 holds exactly the master and two workers of 150; a kilobyte less does not.
        (800, 150, 2, 2),
        (799.999, 150, 2, 1),
        (1175, 150, 2, 3),
        (1174.99, 150, 2, 2),
        # 0.8 * 28.5 - 20 = 2.8 is seven times 0.4; in floats the quotient is 6.999…
        (28.5, 0.4, 1, 7),
        (25.375, 0.1, 1, 3),
        (26, 0.1, 1, 8),
        # 0.8 * 100 / 3 - 20 = 20/3: no decimal holds a third.
        (100, 6.666, 3, 1),
        (150, 10, 3, 2),
    ],
)
def test_exact_at_the_boundary(memory_mb: float, worker_memory_mb: float, slots: int, expected: int) -> None:
    assert worker_count(64, "io", memory_mb, worker_memory_mb, slots) == expected


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"vcpus": 0}, "vcpus: 0 is refused; accepted: a number of CPUs above 0"),
        ({"vcpus": -1}, "vcpus: -1 is refused; accepted: a number of CPUs above 0"),
        ({"vcpus": True}, "vcpus: true is refused; accepted: a number of CPUs above 0"),
        ({"vcpus": "4"}, 'vcpus: "4" is refused; accepted: a number of CPUs above 0'),
        ({"vcpus": None}, "vcpus: null is refused; accepted: a number of CPUs above 0"),
        ({"vcpus": [4]}, "vcpus: [4] is refused; accepted: a number of CPUs above 0"),
        ({"vcpus": {}}, "vcpus: {} is refused; accepted: a number of CPUs above 0"),
        ({"vcpus": float("nan")}, "vcpus: NaN is refused; accepted: a number of CPUs above 0"),
        (
            {"vcpus": float("inf")},
            "vcpus: Infinity is refused; accepted: a number of CPUs above 0, at most 2147483647",
        ),
        ({"workload": "async"}, 'workload: "async" is refused; accepted: one of io, mixed, sync, cpu'),
        ({"workload": "IO"}, 'workload: "IO" is refused; accepted: one of io, mixed, sync, cpu'),
        ({"workload": None}, "workload: null is refused; accepted: one of io, mixed, sync, cpu"),
        ({"workload": ["io"]}, 'workload: ["io"] is refused; accepted: one of io, mixed, sync, cpu'),
        ({"memory_mb": 0}, "memory_mb: 0 is refused; accepted: a number of megabytes above 0"),
        ({"memory_mb": "2g"}, 'memory_mb: "2g" is refused; accepted: a number of megabytes above 0'),
        ({"memory_mb": False}, "memory_mb: false is refused; accepted: a number of megabytes above 0"),
        ({"worker_memory_mb": 0}, "worker_memory_mb: 0 is refused; accepted: a number of megabytes above 0"),
        (
            {"worker_memory_mb": None},
            "worker_memory_mb: null is refused; accepted: a number of megabytes above 0",
        ),
        ({"slots": 0}, "slots: 0 is refused; accepted: an integer of 1 or more"),
        ({"slots": 1.5}, "slots: 1.5 is refused; accepted: an integer of 1 or more"),
        ({"slots": True}, "slots: true is refused; accepted: an integer of 1 or more"),
        ({"minimum": 0}, "minimum: 0 is refused; accepted: an integer of 1 or more"),
        ({"minimum": None}, "minimum: null is refused; accepted: an integer of 1 or more"),
        ({"maximum": 0}, "maximum: 0 is refused; accepted: an integer of 1 or more"),
        ({"maximum": "4"}, 'maximum: "4" is refused; accepted: an integer of 1 or more'),
        (
            {"minimum": 5, "maximum": 4},
            "minimum: 5 is refused; accepted: an integer from 1 to maximum, which is 4",
        ),
        ({"cpu_quota": 0}, "cpu_quota: 0 is refused; accepted: a number of CPUs above 0, such as 1.5"),
        (
            {"cpu_quota": "150%"},
            'cpu_quota: "150%" is refused; accepted: a number of CPUs above 0, such as 1.5',
        ),
    ],
)
def test_refusals(options: dict[str, t.Any], line: str) -> None:
    with pytest.raises(Refused) as caught:
        worker_count(**{"vcpus": 4, **options})
    assert str(caught.value) == line
