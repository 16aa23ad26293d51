# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, versions and requirements of Python packages, and the index that they come from."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_DISTRIBUTION = re.compile(_NAME)
_SEPARATORS = re.compile(r"[-_.]+")
#: PEP 440, as versions are written; `v1.0` and `1.0-1` are the same as others of these.
_VERSION = re.compile(
    r"(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?"
    r"(?:\+[a-z0-9]+(?:[._-][a-z0-9]+)*)?"
)
_CLAUSE = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9._*+!-]+"
_URL = r"[a-z][a-z+]*://[!-~]+"
#: PEP 508. No option of pip and no path of the host can be one.
_REQUIREMENT = re.compile(
    rf"{_NAME}(?:\s*\[\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\])?\s*"
    rf"(?:@\s*{_URL}|\(?{_CLAUSE}(?:\s*,\s*{_CLAUSE})*\)?)?(?:\s*;[ !-~]+)?"
)
_CREDENTIALS = re.compile(r"://[^/\s]*@")
_INDEX = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(?:/[A-Za-z0-9._~%+/-]*)?")
#: What a netrc file can hold without quotes, which pip and uv do not read alike.
_WORD = re.compile(r"(?:(?![\"'\\#])[!-~])+")

_PATH = "gunicorn_app_index"


def distribution(path: str, value: str) -> str:
    """Return the name of a distribution as indexes write it: `My.Notes_App` is `my-notes-app`."""
    if not _DISTRIBUTION.fullmatch(value):
        raise Refused(path, value, "the name of a distribution: letters, digits and . _ - between them")
    return _SEPARATORS.sub("-", value).lower()


def exact_version(path: str, value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise Refused(path, value, "an exact version such as 1.4.2, without an operator")
    return value


def extras_of(path: str, values: t.Sequence[str]) -> list[str]:
    """Return the names of extras, each once and in order, so that the same ones are the same release."""
    return sorted({distribution(f"{path}[{index}]", value) for index, value in enumerate(values)})


def requirement(path: str, value: str) -> str:
    """Return a requirement of a package as pip takes it on its command line."""
    if _CREDENTIALS.search(value):
        raise Refused(path, HIDDEN, "a requirement without credentials; gunicorn_app_index is for them")
    if not _REQUIREMENT.fullmatch(value):
        raise Refused(
            path, value.partition("?")[0], "a requirement (PEP 508) such as gunicorn>=23, no option and no path"
        )
    return value


def index_of(given: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """Return the index, or None where nothing is said of one."""
    url, username, password = given["url"], given["username"], given["password"]
    if url is None:
        for key in ("username", "password", "ca_bundle"):
            if given[key] is not None:
                raise Refused(f"{_PATH}.url", None, f"a value; {key} needs it")
        return None
    if _CREDENTIALS.search(url):
        raise Refused(f"{_PATH}.url", HIDDEN, f"an address without credentials; {_PATH}.username is for them")
    if not _INDEX.fullmatch(url):
        raise Refused(f"{_PATH}.url", url.partition("?")[0], "an http or https address such as https://host/simple")
    for one, other in (("username", "password"), ("password", "username")):
        if given[one] is not None and given[other] is None:
            raise Refused(f"{_PATH}.{other}", None, f"a value; {one} needs it")
    for key, value in (("username", username), ("password", password)):
        if value is not None and not _WORD.fullmatch(value):
            raise Refused(f"{_PATH}.{key}", HIDDEN, "visible ASCII characters but quotes, backslash and #")
    if given["ca_bundle"] is not None:
        absolute_path(f"{_PATH}.ca_bundle", given["ca_bundle"])
    return {"url": url, "username": username, "password": password, "ca_bundle": given["ca_bundle"]}
