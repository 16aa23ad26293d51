# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The applications of a host: one by the role's variables, or several by gunicorn_app_applications."""

from __future__ import annotations

import contextlib
import difflib
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_hop import NOBODY, Around
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_proof import Served
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_workers import Wanted, share_workers
from ansible_collections.asgi.deploy.plugins.plugin_utils.application import normalise_application
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.shape import conform
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import field, integer, size_bytes

_LIST = "gunicorn_app_applications"
_PREFIX = "gunicorn_app_"
#: The variables that may be refused later: when the host is asked, see host_questions.py, or by a playbook.
ASKED = ("name", "python", "proxy_group", "port", "port_tls", "release")
_VARIABLE = re.compile(rf"{_PREFIX}([a-z_]+)(.*)", re.DOTALL)


class Given(t.NamedTuple):
    """One application as the user wrote it: the variables in their spec's shape, and where its own ones stand."""

    values: dict[str, t.Any]
    number: int | None = None
    own: t.Collection[str] = ()

    @property
    def name(self) -> str:
        """The application's name, which is required."""
        name = self.values["gunicorn_app_name"]
        if name is None:
            place = "gunicorn_app_name" if self.number is None else f"{_LIST}[{self.number}].name"
            raise Refused(place, None, "a value (str); it is required")
        return str(name)

    def place(self, path: str) -> str:
        """Return where the variable at ``path`` was written: in the list, or as the default for all in it."""
        variable = _VARIABLE.fullmatch(path)
        if self.number is None or variable is None or variable[1] not in self.own:
            return path
        return f"{_LIST}[{self.number}].{variable[1]}{variable[2]}"

    @contextlib.contextmanager
    def placed(self) -> t.Iterator[None]:
        """Name the place in the list in what is refused."""
        try:
            yield
        except Refused as error:
            raise Refused(self.place(error.path), error.value, error.accepted) from None


def given_applications(options: t.Mapping[str, t.Any], values: t.Mapping[str, t.Any]) -> list[Given]:
    """Return the applications that the role's variables describe, each complete.

    :param options: the options of the role's argument spec
    :param values: what the user wrote, by the variables' names
    :raises Refused: at the first value that has not its spec's shape
    """
    listed = conform(options, values)[_LIST]
    single = {name: option for name, option in options.items() if name != _LIST}
    if listed is None:
        return [Given(conform(single, values))]
    keys = [name.removeprefix(_PREFIX) for name in single]
    found = []
    for index, entry in enumerate(listed):
        _refuse_unknown(f"{_LIST}[{index}]", entry, keys)
        given = Given({}, index, frozenset(entry))
        own = {f"{_PREFIX}{key}": value for key, value in entry.items()}
        with given.placed():
            found.append(given._replace(values=conform(single, {**values, **own})))
    return found


def _refuse_unknown(path: str, entry: t.Mapping[t.Any, t.Any], keys: t.Sequence[str]) -> None:
    """Refuse a key that there is not, with a hint. Its value may be a secret: a slip for ``env`` is enough."""
    for key in entry:
        if key not in keys:
            bare = str(key).removeprefix(_PREFIX)
            meant = bare if bare in keys else next(iter(difflib.get_close_matches(bare, keys, n=1)), None)
            hint = f"; did you mean {meant}?" if meant else ""
            raise Refused(field(path, key), HIDDEN, f"the role's variables without {_PREFIX}{hint}")


def normalise_applications(
    given: t.Sequence[Given],
    served: t.Callable[[str], Served | None],
    around: Around = NOBODY,
    vcpus: int | None = None,
    memory_mb: int | None = None,
) -> list[dict[str, t.Any]]:
    """Return the complete structure of each application.

    :param served: how nginx serves an application of this host, by its name
    :param around: who passes on to the host's applications
    :param vcpus: CPUs that the host may use, None for not known
    :param memory_mb: the host's memory, None for not known
    :raises Refused: naming the variable with its place
    """
    applications: list[dict[str, t.Any]] = []
    ports: dict[int, str] = {}
    for item in given:
        with item.placed():
            application = normalise_application(item.values, served(item.name), around)
            _refuse_one_port(application, ports)
            if item.name in [other["name"] for other in applications]:
                raise Refused("gunicorn_app_name", item.name, "a name that no other application of the host has")
        # For what only the host can tell of them.
        application["places"] = {key: item.place(f"{_PREFIX}{key}") for key in ASKED}
        applications.append(application)
    present = [(item, own) for item, own in zip(given, applications, strict=True) if own["state"] == "present"]
    counts = share_workers([_wanted(item, application) for item, application in present], vcpus, memory_mb)
    for (_item, application), (workers, reason) in zip(present, counts, strict=True):
        application.update(workers=workers, workers_reason=reason)
    return applications


def _refuse_one_port(application: t.Mapping[str, t.Any], ports: dict[int, str]) -> None:
    hop = application.get("hop")
    if hop:
        other = ports.setdefault(hop["port"], application["name"])
        if other != application["name"]:
            raise Refused("gunicorn_app_port", hop["port"], f"a port of its own; {other} has this one")


def _wanted(item: Given, application: t.Mapping[str, t.Any]) -> Wanted:
    with item.placed():
        memory = integer("gunicorn_app_worker_memory_mb", item.values["gunicorn_app_worker_memory_mb"], 1, 1_000_000)
    limit = application["memory_max"]
    return Wanted(
        path=item.place("gunicorn_app_workers"),
        workers=item.values["gunicorn_app_workers"],
        workload=item.values["gunicorn_app_workload"],
        worker_memory=memory,
        server=application["server"],
        cpu_quota=application["cpu_quota"],
        memory_max=None if limit is None else size_bytes(limit) // 2**20,
        memory_path=item.place("gunicorn_app_memory_max"),
    )
