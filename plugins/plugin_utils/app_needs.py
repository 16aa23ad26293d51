# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What applications need of their host before a release can be built."""

from __future__ import annotations

import re
import typing as t

#: Asks a host for what the number of workers follows from, as a role or an inventory reckons it.
MACHINE = "nproc; echo vcpus=$(getconf _NPROCESSORS_ONLN); grep MemTotal /proc/meminfo"


def machine_facts(told: str) -> dict[str, int]:
    """Return the facts that Ansible would gather of :data:`MACHINE`'s words, by its own names; only those there are."""
    found = {
        "processor_nproc": re.search(r"^(\d+)\r?$", told, re.MULTILINE),
        "processor_vcpus": re.search(r"^vcpus=(\d+)\r?$", told, re.MULTILINE),
        "memtotal_mb": re.search(r"^MemTotal: *(\d+) kB\r?$", told, re.MULTILINE),
    }
    numbers = {name: int(match[1]) for name, match in found.items() if match}
    if "memtotal_mb" in numbers:
        numbers["memtotal_mb"] //= 1024
    return numbers


def packages(applications: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Return the distribution's packages that the releases of these applications are built with."""
    sources = [application["source"] for application in applications]
    wanted = {
        "python3-venv": bool(applications),
        "git": any(source["type"] == "git" for source in sources),
        "gpg": any(source.get("signed_by") for source in sources),
        "stunnel4": any(application["hop"] and application["hop"]["tls"] for application in applications),
        "nftables": any(application["hop"] for application in applications),
    }
    return [name for name, needed in wanted.items() if needed]


def host_parameters(applications: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, list[str]]:
    """Return the parameters of the module gunicorn_host for the applications that are to be there."""
    return {"packages": packages(applications), "users": [application["name"] for application in applications]}
