# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an application's code comes from, and what it is installed by."""

from __future__ import annotations

import fnmatch
import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.pack import file_digest
from ansible_collections.asgi.deploy.plugins.plugin_utils.packages import (
    distribution,
    exact_version,
    extras_of,
    index_of,
    requirement,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused

_RELATIVE = re.compile(r"[A-Za-z0-9._@+-]+(?:/[A-Za-z0-9._@+-]+)*")
# Nothing begins with a hyphen: git and ssh would take it for an option.
_GIT_URL = re.compile(
    r"(?:https?|ssh|git|file)://(?!(?:[^/@]*@)?-)[!-~]+|[A-Za-z0-9._][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[!-~]+|/[!-~]+"
)
#: A user of HTTP is a token already; elsewhere a colon makes a password.
_GIT_PASSWORD = re.compile(r"https?://[^/]*@|[a-z]+://[^@/:\[]*:(?![0-9]+/)[^@]*@")
_GIT_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}")
_FILE_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(?:/[!-~]*)?")
_FILE_PASSWORD = re.compile(r"[a-z]+://[^/]*@")
_CHECKSUM = re.compile(r"sha256:[0-9a-fA-F]{64}")

_BEGIN_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

#: The keys of each type. The last type's own are no keys of the first.
_KEYS = {
    "archive": ("path", "url", "checksum"),
    "directory": ("path", "exclude"),
    "git": ("url", "version", "signed_by"),
    "package": ("name", "version", "extras"),
}
_NEEDED = {"archive": (), "directory": ("path",), "git": ("url", "version"), "package": ("name", "version")}

#: What the argument spec fills in; a test compares. Where it stands nobody has said anything.
DEFAULT_EXCLUDE = [
    *(".env", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv"),
    *("__pycache__", "node_modules", "venv", "*.pyc"),
]

_SOURCE = "gunicorn_app_source"


def normalise_source(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return ``source``, ``requirements``, ``installer``, ``index`` and ``server_packages``, checked and complete.

    What is not used is None, or empty: ``requirements`` with uv and for a package, ``server_packages`` for all else.

    :param values: the role's variables, already of the spec's shape
    :raises Refused: naming ``gunicorn_app_…`` with its place
    """
    given, installer = values[_SOURCE], values["gunicorn_app_installer"]
    requirements = _relative("gunicorn_app_requirements", values["gunicorn_app_requirements"])
    packages = [
        requirement(f"gunicorn_app_server_packages[{index}]", line)
        for index, line in enumerate(values["gunicorn_app_server_packages"])
    ]
    package = given["type"] == "package"
    if package and installer == "uv":
        raise Refused("gunicorn_app_installer", "uv", "pip, for a package has no lock file of uv")
    needed = ["pyproject.toml", "uv.lock"] if installer == "uv" else [requirements]
    return {
        "source": _source(given, installer, needed),
        "requirements": None if package or installer == "uv" else requirements,
        "installer": installer,
        "index": index_of(values["gunicorn_app_index"]),
        "server_packages": packages if package else [],
    }


def _relative(path: str, value: str) -> str:
    if not _RELATIVE.fullmatch(value) or ".." in value.split("/"):
        raise Refused(path, value, "a path inside the source, without '..'")
    return value


def _source(source: t.Mapping[str, t.Any], installer: str, needed: t.Sequence[str]) -> dict[str, t.Any]:
    kind = source["type"]
    for key, value in source.items():
        if key in _NEEDED[kind] and value is None:
            raise Refused(f"{_SOURCE}.{key}", None, f"a value; type {kind} needs it")
        if key not in ("type", *_KEYS[kind]) and value not in (None, [], DEFAULT_EXCLUDE):
            raise Refused(f"{_SOURCE}.{key}", _shown(value), f"no {key} with type {kind}")
    if kind == "directory":
        return _directory(source, installer, needed)
    return {"archive": _archive, "git": _git, "package": _package}[kind](source)


def _git(source: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    if _GIT_PASSWORD.match(source["url"]):
        raise Refused(f"{_SOURCE}.url", HIDDEN, "a URL without a password: it would stand in logs and process lists")
    _match("url", source["url"], _GIT_URL, "the URL of a git repository")
    _match("version", source["version"], _GIT_VERSION, "a commit, a tag or a branch")
    for index, key in enumerate(source["signed_by"]):
        if _BEGIN_KEY not in key:
            raise Refused(f"{_SOURCE}.signed_by[{index}]", HIDDEN, f"an OpenPGP public key, with {_BEGIN_KEY}")
    return {"type": "git", "url": source["url"], "version": source["version"], "signed_by": source["signed_by"]}


def _package(source: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "type": "package",
        "name": distribution(f"{_SOURCE}.name", source["name"]),
        "version": exact_version(f"{_SOURCE}.version", source["version"]),
        "extras": extras_of(f"{_SOURCE}.extras", source["extras"]),
    }


def _archive(source: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    path, url, checksum = source["path"], source["url"], source["checksum"]
    if (path is None) == (url is None):
        wanted = "a file on the controller here, or url" if path is None else "either path or url"
        raise Refused(f"{_SOURCE}.path", path, wanted)
    if checksum is not None:
        checksum = _match("checksum", checksum, _CHECKSUM, "sha256: and 64 hexadecimal digits").lower()
    if url is not None:
        if _FILE_PASSWORD.match(url):
            raise Refused(f"{_SOURCE}.url", HIDDEN, "a URL without a user: it would stand in logs")
        _match("url", url, _FILE_URL, "an http or https URL")
        if checksum is None:
            raise Refused(f"{_SOURCE}.checksum", None, "sha256: and 64 hexadecimal digits; a URL needs it")
        return {"type": "archive", "path": None, "url": url, "checksum": checksum}
    _absolute(path)
    if not os.path.isfile(path):
        raise Refused(f"{_SOURCE}.path", path, "a file on the controller")
    found = f"sha256:{file_digest(path)}" if checksum is not None else None
    if found != checksum:
        raise Refused(f"{_SOURCE}.checksum", checksum, f"that of {path}, which is {found}")
    return {"type": "archive", "path": os.path.abspath(path), "url": None, "checksum": checksum}


def _directory(source: t.Mapping[str, t.Any], installer: str, needed: t.Sequence[str]) -> dict[str, t.Any]:
    folder = source["path"]
    _absolute(folder)
    if not os.path.isdir(folder):
        raise Refused(f"{_SOURCE}.path", folder, "a folder on the controller")
    for name in needed:
        if not os.path.isfile(os.path.join(folder, name)):
            if installer == "uv":
                raise Refused("gunicorn_app_installer", "uv", f"pip; uv needs {name}, which is not in {folder}")
            raise Refused("gunicorn_app_requirements", name, f"a file that is in {folder}")
        for index, pattern in enumerate(source["exclude"]):
            if any(fnmatch.fnmatchcase(part, pattern) for part in name.split("/")):
                raise Refused(f"{_SOURCE}.exclude[{index}]", pattern, f"patterns that leave {name} in")
    return {"type": "directory", "path": os.path.abspath(folder), "exclude": source["exclude"]}


def _absolute(path: str) -> None:
    if not os.path.isabs(path):
        raise Refused(f"{_SOURCE}.path", path, 'an absolute path, such as "{{ inventory_dir }}/../app"')


def _match(key: str, value: str, pattern: re.Pattern[str], accepted: str) -> str:
    if not pattern.fullmatch(value):
        raise Refused(f"{_SOURCE}.{key}", _shown(value), accepted)
    return value


def _shown(value: t.Any) -> t.Any:
    """Return ``value`` as it may be shown: the query of a URL is a token as often as not."""
    if isinstance(value, str) and "://" in value and "?" in value:
        return value.partition("?")[0] + "?***"
    return value
