# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd allows an application: the sandbox's openings, memory, CPU, processes, files, networks."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_values import app_integer
from ansible_collections.asgi.deploy.plugins.plugin_utils.networks import networks
from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path, app_root
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import number, size

#: Nothing below these is an application's to write: with it, it could change what the system runs as root.
_SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys"),
    *("/usr", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd", "/var/run", "/var/spool/cron"),
)

#: Folders below which one may lie, but that belong to all as a whole.
_SHARED = (
    *("/home", "/media", "/mnt", "/opt", "/srv", "/var", "/var/backups", "/var/cache", "/var/lib", "/var/local"),
    *("/var/log", "/var/mail", "/var/opt", "/var/spool", "/var/www"),
)

#: The application has these for itself; the host's would not be what it writes to.
_OWN = ("/tmp", "/var/tmp")

#: The sandbox hides these.
_HOMES = ("/home", "/root")

_FOLDER = "a folder of the application's own, such as /srv/uploads"

#: Fewer do not hold a master, its workers and their threads.
_LEAST_TASKS = 32

#: Less does not hold the interpreter and what it loads.
_LEAST_MEMORY = "64m"

#: systemd's start of a service needs some, and libraries expect this many.
_LEAST_FILES = 1024

#: The kernel's own limit (fs.nr_open) where nobody has raised it; systemd would silently take less.
_MOST_FILES = 1_048_576

#: One per cent, the least that systemd rounds to something.
_LEAST_CPU = 0.01


def normalise_systemd(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what the unit of a slot says, checked and complete.

    :param values: the role's variables, already of the spec's shape
    :raises Refused: naming ``gunicorn_app_…`` with its place
    """
    allow = sorted(set(values["gunicorn_app_sandbox_allow"]))
    return {
        "sandbox_allow": allow,
        "write_paths": _write_paths(values, allow),
        "outbound": _outbound(values["gunicorn_app_outbound"]),
        "memory_max": _memory(values["gunicorn_app_memory_max"]),
        "cpu_quota": _cpus(values["gunicorn_app_cpu_quota"]),
        "tasks_max": app_integer(values, "tasks_max", _LEAST_TASKS, 4_194_304),
        "open_files": app_integer(values, "open_files", _LEAST_FILES, _MOST_FILES),
    }


def _memory(value: str | None) -> str | None:
    return None if value is None else size("gunicorn_app_memory_max", value, units="mg", minimum=_LEAST_MEMORY)


def _cpus(value: float | None) -> float | None:
    if value is None:
        return None
    quota = float(number("gunicorn_app_cpu_quota", value, maximum=8192))
    if quota < _LEAST_CPU:
        raise Refused("gunicorn_app_cpu_quota", value, f"a number of CPUs, {_LEAST_CPU} or more")
    return quota


def _outbound(values: t.Sequence[str] | None) -> list[str] | None:
    if values is None:
        return None
    return networks("gunicorn_app_outbound", values, everything="leave the variable out to allow all")


def _write_paths(values: t.Mapping[str, t.Any], allow: t.Collection[str]) -> list[str]:
    found: list[str] = []
    for index, value in enumerate(values["gunicorn_app_write_paths"]):
        place = f"gunicorn_app_write_paths[{index}]"
        folder = _folder(place, value, values["gunicorn_app_name"], allow)
        if folder in found:
            raise Refused(place, value, "each folder once")
        found.append(folder)
    return found


def _folder(place: str, value: str, name: str, allow: t.Collection[str]) -> str:
    if value == "/":
        raise Refused(place, value, f"{_FOLDER}; with / there would be no sandbox")
    folder = absolute_path(place, value)
    if posixpath.normpath(folder) != folder:
        raise Refused(place, value, "an absolute path without '.'")
    if _is_within(folder, _OWN):
        raise Refused(place, value, f"{_FOLDER}; a {value} of its own it has already")
    if _is_within(folder, _SYSTEM):
        raise Refused(place, value, f"{_FOLDER}; this one is the system's")
    if folder in _SHARED:
        raise Refused(place, value, f"{_FOLDER}; this one holds more than that, name the folder in it")
    if _is_within(folder, [app_root(name)]):
        raise Refused(place, value, f"{_FOLDER}; releases in {app_root(name)} do not change")
    if _is_within(folder, _HOMES) and "home" not in allow:
        raise Refused(place, value, f"{_FOLDER}; below /home and /root only with home in gunicorn_app_sandbox_allow")
    return folder


def _is_within(folder: str, parents: t.Iterable[str]) -> bool:
    return any(folder == parent or folder.startswith(parent + "/") for parent in parents)
