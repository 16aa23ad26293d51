# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.asgi.deploy.plugins.filter.gunicorn_workers import FilterModule

gunicorn_workers = FilterModule().filters()["gunicorn_workers"]
PREFIX = "The filter plugin 'asgi.deploy.gunicorn_workers' failed: "
Evaluate = t.Callable[[dict[str, str]], dict[str, t.Any]]

OPTIONS = "workload, memory_mb, worker_memory_mb, slots, minimum, maximum, cpu_quota"


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((4,), {}, 4),
        ((4, "sync"), {}, 9),
        ((8, "mixed", 1600), {}, 4),
        ((8, "io", 2000, 300, 1, 1, 3, 4), {}, 3),
        ((4,), {"cpu_quota": 1.5, "workload": "mixed"}, 3),
        ((4,), {"memory_mb": None, "maximum": None, "cpu_quota": None}, 4),
    ],
)
def test_counts(args: tuple[t.Any, ...], kwargs: dict[str, t.Any], expected: int) -> None:
    assert gunicorn_workers(*args, **kwargs) == expected


@pytest.mark.parametrize(
    ("args", "kwargs", "line"),
    [
        ((), {}, "vcpus: null is refused; accepted: the filter's input, which is required"),
        ((None,), {}, "vcpus: null is refused; accepted: a number of CPUs above 0"),
        (("4",), {}, 'vcpus: "4" is refused; accepted: a number of CPUs above 0'),
        (({(1, 2): 3},), {}, "vcpus: (a dictionary) is refused; accepted: a number of CPUs above 0"),
        ((4, "turbo"), {}, 'workload: "turbo" is refused; accepted: one of io, mixed, sync, cpu'),
        ((4,), {"worker_memory": 1}, f"worker_memory: 1 is refused; accepted: only the arguments {OPTIONS}"),
        ((4, *range(8)), {}, f"argument 8: 7 is refused; accepted: nothing more than {OPTIONS}"),
        (
            (4, "io"),
            {"workload": "io"},
            'workload: "io" is refused; accepted: this argument once, by position or by name',
        ),
    ],
)
def test_refusals(args: tuple[t.Any, ...], kwargs: dict[str, t.Any], line: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        gunicorn_workers(*args, **kwargs)
    assert caught.value.message == line


def test_in_a_playbook(evaluate: Evaluate) -> None:
    assert evaluate(
        {
            "plain": "4 | asgi.deploy.gunicorn_workers",
            "named": "8 | asgi.deploy.gunicorn_workers('mixed', memory_mb=1600)",
            "division": "(3 / 2) | asgi.deploy.gunicorn_workers",
        }
    ) == {"plain": 4, "named": 4, "division": 2}


def test_what_a_user_reads(evaluate: Evaluate) -> None:
    """The line ends with ours: ansible-core put the task and the filter's name before it, nothing after."""
    expected = {
        "'4' | asgi.deploy.gunicorn_workers": (f'{PREFIX}vcpus: "4" is refused; accepted: a number of CPUs above 0'),
        "4 | asgi.deploy.gunicorn_workers(ram=1)": (
            f"{PREFIX}ram: 1 is refused; accepted: only the arguments {OPTIONS}"
        ),
        "{(1, 2): 3} | asgi.deploy.gunicorn_workers": (
            f"{PREFIX}vcpus: (a dictionary) is refused; accepted: a number of CPUs above 0"
        ),
        "cores | asgi.deploy.gunicorn_workers": "'cores' is undefined",
    }
    read = evaluate({f"line_{number}": expression for number, expression in enumerate(expected)})
    assert [line[-len(end) :] for line, end in zip(read.values(), expected.values(), strict=True)] == [
        *expected.values()
    ]
