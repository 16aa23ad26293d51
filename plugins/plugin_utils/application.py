# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The normaliser of the role gunicorn_app: what the user wrote, checked and made complete."""

from __future__ import annotations

import fnmatch
import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path, app_root, app_socket
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.timeouts import check_application
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import field, integer
from ansible_collections.asgi.deploy.plugins.plugin_utils.workers import MASTER_MB, worker_count

#: Both slots run while a release is switched to.
SLOTS = 2

#: Users and units that a Debian host has already: an application of that name would take them over.
# fmt: off
TAKEN_NAMES = frozenset(
    [
        "_apt", "adm", "avahi", "backup", "bin", "certbot", "chrony", "cron", "daemon", "dbus", "dnsmasq",
        "games", "getty", "gnats", "irc", "list", "lp", "mail", "man", "messagebus", "mysql", "news", "nginx",
        "nobody", "ntp", "openvpn", "polkitd", "postfix", "postgres", "postgresql", "proxy", "redis", "root",
        "ssh", "sshd", "staff", "sudo", "sync", "sys", "syslog", "systemd", "tss", "tty", "user", "users",
        "uucp", "uuidd", "www-data",
    ]
)
# fmt: on

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?", re.ASCII)
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEALTH_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_RELATIVE = re.compile(r"[A-Za-z0-9._@+-]+(?:/[A-Za-z0-9._@+-]+)*")
# Nothing begins with a hyphen: git and ssh would take it for an option.
_GIT_URL = re.compile(
    r"(?:https?|ssh|git|file)://(?!(?:[^/@]*@)?-)[!-~]+|[A-Za-z0-9._][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[!-~]+|/[!-~]+"
)
#: A user of HTTP is a token already; elsewhere a colon makes a password.
_GIT_PASSWORD = re.compile(r"https?://[^/]*@|[a-z]+://[^@/:\[]*:(?![0-9]+/)[^@]*@")
_GIT_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}")
_GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}")

#: Set by systemd or by the slot; another value would break the service.
_RESERVED_ENVIRONMENT = (
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "STATE_DIRECTORY",
    "GUNICORN_CMD_ARGS",
)


def application_name(path: str, value: t.Any) -> str:
    """Return ``value`` where it is a name that units, users and paths can bear."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Refused(path, value, "[a-z][a-z0-9_-]*, 32 characters at most")
    if value in TAKEN_NAMES or value.startswith("systemd-"):
        raise Refused(path, value, "a name that no user or service of the system has")
    return value


def normalise_application(
    values: t.Mapping[str, t.Any], vcpus: int | None, memory_mb: int | None, host: str = "localhost"
) -> dict[str, t.Any]:
    """Return the complete structure that the role gunicorn_app works from.

    :param values: the role's variables, already of the spec's shape
    :param vcpus: CPUs that the host may use
    :param memory_mb: the host's memory in MB
    :param host: name that the health path is asked under; applications refuse names they do not know
    :raises Refused: naming ``gunicorn_app_…`` with its place
    """
    name = application_name("gunicorn_app_name", values["gunicorn_app_name"])
    _match("gunicorn_app_module", values["gunicorn_app_module"], _MODULE, "package.module:attribute")
    _match("gunicorn_app_health_path", values["gunicorn_app_health_path"], _HEALTH_PATH, "a path that begins with /")
    _match("gunicorn_app_proxy_group", values["gunicorn_app_proxy_group"], _GROUP, "the name of a group")
    absolute_path("gunicorn_app_python", values["gunicorn_app_python"])
    for key in ("health_timeout", "timeout", "stop_timeout", "keepalive"):
        integer(f"gunicorn_app_{key}", values[f"gunicorn_app_{key}"], 1, 86400)
    # Two are the least that can be gone back from.
    integer("gunicorn_app_releases", values["gunicorn_app_releases"], 2, 1000)
    check_application(
        values["gunicorn_app_timeout"], values["gunicorn_app_stop_timeout"], values["gunicorn_app_keepalive"]
    )
    requirements = _relative("gunicorn_app_requirements", values["gunicorn_app_requirements"])
    workers, reason = _workers(values, vcpus, memory_mb)
    return {
        "name": name,
        "root": app_root(name),
        "socket": app_socket(name),
        "module": values["gunicorn_app_module"],
        "source": _source(values["gunicorn_app_source"], requirements),
        "requirements": requirements,
        "env": _environment(values["gunicorn_app_env"]),
        "health_host": host,
        "health_path": values["gunicorn_app_health_path"],
        "health_timeout": values["gunicorn_app_health_timeout"],
        "workers": workers,
        "workers_reason": reason,
        "timeout": values["gunicorn_app_timeout"],
        "stop_timeout": values["gunicorn_app_stop_timeout"],
        "keepalive": values["gunicorn_app_keepalive"],
        "python": values["gunicorn_app_python"],
        "proxy_group": values["gunicorn_app_proxy_group"],
        "releases": values["gunicorn_app_releases"],
    }


def _match(path: str, value: str, pattern: re.Pattern[str], accepted: str) -> str:
    if not pattern.fullmatch(value):
        raise Refused(path, value, accepted)
    return value


def _relative(path: str, value: str) -> str:
    if not _RELATIVE.fullmatch(value) or ".." in value.split("/"):
        raise Refused(path, value, "a path inside the source, without '..'")
    return value


def _source(source: t.Mapping[str, t.Any], requirements: str) -> dict[str, t.Any]:
    path = "gunicorn_app_source"
    needed = {"directory": ("path",), "git": ("url", "version")}[source["type"]]
    for key in ("path", "url", "version"):
        if key in needed and source[key] is None:
            raise Refused(f"{path}.{key}", None, f"a value; type {source['type']} needs it")
        if key not in needed and source[key] is not None:
            raise Refused(f"{path}.{key}", source[key], f"no {key} with type {source['type']}")
    if source["type"] == "git":
        if _GIT_PASSWORD.match(source["url"]):
            raise Refused(f"{path}.url", HIDDEN, "a URL without a password: it would stand in logs and process lists")
        _match(f"{path}.url", source["url"], _GIT_URL, "the URL of a git repository")
        _match(f"{path}.version", source["version"], _GIT_VERSION, "a commit, a tag or a branch")
        return {"type": "git", "url": source["url"], "version": source["version"]}
    folder = source["path"]
    if not os.path.isabs(folder):
        raise Refused(f"{path}.path", folder, 'an absolute path, such as "{{ inventory_dir }}/../app"')
    if not os.path.isdir(folder):
        raise Refused(f"{path}.path", folder, "a folder on the controller")
    if not os.path.isfile(os.path.join(folder, requirements)):
        raise Refused("gunicorn_app_requirements", requirements, f"a file that is in {folder}")
    for index, pattern in enumerate(source["exclude"]):
        if any(fnmatch.fnmatchcase(part, pattern) for part in requirements.split("/")):
            raise Refused(f"{path}.exclude[{index}]", pattern, f"patterns that leave {requirements} in")
    return {"type": "directory", "path": os.path.abspath(folder), "exclude": source["exclude"]}


def _environment(given: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the environment as text. Only names are ever shown: a value may be a secret."""
    environment = {}
    for name, value in given.items():
        path = field("gunicorn_app_env", name)
        if not isinstance(name, str) or not _ENVIRONMENT_NAME.fullmatch(name):
            raise Refused(path, HIDDEN, "a name of letters, digits and underscores that begins with no digit")
        if name in _RESERVED_ENVIRONMENT:
            raise Refused(path, HIDDEN, "a name that systemd and the slot do not set themselves")
        # YAML has already turned 1.10 into 1.1 and yes into true.
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise Refused(path, HIDDEN, "a string or a whole number (quote everything else)")
        text = str(value)
        if any(character in text for character in "\0\n\r"):
            raise Refused(path, HIDDEN, "a value on one line: the environment file cannot hold NUL or a newline")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise Refused(path, HIDDEN, "text that UTF-8 can hold")
        environment[name] = text
    return environment


def _workers(values: t.Mapping[str, t.Any], vcpus: int | None, memory_mb: int | None) -> tuple[int, str]:
    """Return the worker count and a phrase that says why."""
    path = "gunicorn_app_workers"
    each = integer("gunicorn_app_worker_memory_mb", values["gunicorn_app_worker_memory_mb"], 1, 1_000_000)
    given = values[path]
    if given is None:
        if vcpus is None or memory_mb is None:
            raise Refused(path, None, "a number, or the host's facts: the play has not gathered them")
        workload = values["gunicorn_app_workload"]
        count = worker_count(vcpus, workload=workload, memory_mb=memory_mb, worker_memory_mb=each, slots=SLOTS)
        return count, f"workload {workload} on {vcpus} CPUs and {memory_mb} MB, {each} MB a worker, {SLOTS} slots"
    integer(path, given, 1, 1000)
    needed = SLOTS * (MASTER_MB + given * each)
    if memory_mb is not None and needed > memory_mb:
        raise Refused(
            path,
            given,
            f"fewer: {SLOTS} slots of {given} workers of {each} MB need {needed} MB, the host has {memory_mb} MB",
        )
    return given, "as gunicorn_app_workers says"
