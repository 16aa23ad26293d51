# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an application's code comes from, and what it is installed by."""

from __future__ import annotations

import fnmatch
import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused

_RELATIVE = re.compile(r"[A-Za-z0-9._@+-]+(?:/[A-Za-z0-9._@+-]+)*")
# Nothing begins with a hyphen: git and ssh would take it for an option.
_GIT_URL = re.compile(
    r"(?:https?|ssh|git|file)://(?!(?:[^/@]*@)?-)[!-~]+|[A-Za-z0-9._][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[!-~]+|/[!-~]+"
)
#: A user of HTTP is a token already; elsewhere a colon makes a password.
_GIT_PASSWORD = re.compile(r"https?://[^/]*@|[a-z]+://[^@/:\[]*:(?![0-9]+/)[^@]*@")
_GIT_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}")


def normalise_source(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return ``source``, ``requirements``, ``installer``, ``index`` and ``server_packages``, checked and complete.

    :param values: the role's variables, already of the spec's shape
    :raises Refused: naming ``gunicorn_app_…`` with its place
    """
    requirements = _relative("gunicorn_app_requirements", values["gunicorn_app_requirements"])
    return {"source": _source(values["gunicorn_app_source"], requirements), "requirements": requirements}


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


def _match(path: str, value: str, pattern: re.Pattern[str], accepted: str) -> str:
    if not pattern.fullmatch(value):
        raise Refused(path, value, accepted)
    return value
