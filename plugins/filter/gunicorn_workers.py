# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: gunicorn_workers
author: The asgi.deploy authors (@asgi)
version_added: 0.1.0
short_description: How many Gunicorn workers a host carries
description:
  - Computes the number of workers from the CPUs and the kind of workload, then limits it by the memory.
  - The CPUs are V(vcpus) or O(cpu_quota), whichever is less, rounded up.
  - The memory holds floor((0.8 * O(memory_mb) / O(slots) - 20) / O(worker_memory_mb)) workers. 20 MB are
    Gunicorn's master, and a fifth of the memory stays free for the kernel and for peaks.
  - The memory wins over O(minimum). The result is never below 1.
  - Every refused value fails with one line that names the argument, the value and what is accepted.
positional: workload, memory_mb, worker_memory_mb, slots, minimum, maximum, cpu_quota
options:
  _input:
    description: The CPUs of the host, above 0. A fraction such as V(0.5) is accepted.
    type: float
    required: true
  workload:
    description:
      - What the workers spend their time on.
      - V(io) for an asynchronous application that waits for databases and other services, one worker a CPU.
      - V(mixed) for one that also computes or blocks now and then, CPUs + 1.
      - V(sync) for blocking workers, 2 * CPUs + 1.
      - V(cpu) for an application that computes, one worker a CPU.
    type: str
    choices: [io, mixed, sync, cpu]
    default: io
  memory_mb:
    description: The memory in MB that all O(slots) of the application share, above 0. Not limited if unset.
    type: float
  worker_memory_mb:
    description: The memory in MB that one worker needs at its peak, above 0.
    type: float
    default: 150
  slots:
    description:
      - How many slots of the application run at the same time, 1 or more.
      - The default is 2, because the old and the new release overlap during a deployment.
    type: int
    default: 2
  minimum:
    description: The fewest workers, 1 or more, as far as the memory holds them.
    type: int
    default: 1
  maximum:
    description: The most workers, O(minimum) or more. Not limited if unset.
    type: int
  cpu_quota:
    description: The CPUs that systemd's C(CPUQuota=) leaves to the application, above 0; V(1.5) for 150 %.
    type: float
"""

EXAMPLES = r"""
# 4: one worker a CPU
- name: An asynchronous application on 4 CPUs
  ansible.builtin.debug:
    msg: "{{ 4 | asgi.deploy.gunicorn_workers }}"

# 4: CPUs + 1 would be 9, but (0.8 * 1600 / 2 - 20) / 150 is 4.1
- name: A mixed workload on 8 CPUs and 1600 MB
  ansible.builtin.debug:
    msg: "{{ 8 | asgi.deploy.gunicorn_workers('mixed', memory_mb=1600) }}"

- name: What the host reports, and at least two workers
  ansible.builtin.debug:
    msg: >-
      {{ ansible_facts['processor_vcpus']
         | asgi.deploy.gunicorn_workers(memory_mb=ansible_facts['memtotal_mb'], minimum=2) }}
"""

RETURN = r"""
_value:
  description: The number of workers for one slot, 1 or more.
  type: int
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.asgi.deploy.plugins.plugin_utils.values import arguments
from ansible_collections.asgi.deploy.plugins.plugin_utils.workers import worker_count

ARGUMENTS = (
    "vcpus",
    "workload",
    "memory_mb",
    "worker_memory_mb",
    "slots",
    "minimum",
    "maximum",
    "cpu_quota",
)


def gunicorn_workers(*args: t.Any, **kwargs: t.Any) -> int:
    """Return the number of workers; the arguments are those of ``worker_count``."""
    try:
        return worker_count(**arguments(ARGUMENTS, args, kwargs))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., int]]:
        return {"gunicorn_workers": gunicorn_workers}
