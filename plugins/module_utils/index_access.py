# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an installer reaches a package index: by its address, and by credentials in a file for one user and one build."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import typing as t
import urllib.parse

#: In memory, so that the credentials are on no disk; those that a killed build left go with the next run.
FOLDER = "/run/asgi-deploy-build"


class Access(t.NamedTuple):
    """``environment`` for the installer; ``secrets`` that its output may repeat."""

    environment: t.Dict[str, str]
    secrets: t.List[str]


@contextlib.contextmanager
def index_access(name: str, index: t.Optional[t.Mapping[str, t.Any]], user: t.Any) -> t.Iterator[Access]:
    """Give ``user`` the way to the index as long as the context lasts.

    :param name: of the application, which one build at a time is for
    :param index: url, username, password and ca_bundle; None for the installers' own index
    """
    own = folder_of(name)
    # A build that was killed could not. Its password, perhaps, even if this one needs none.
    shutil.rmtree(own, ignore_errors=True)
    access = Access(_proxies(), _proxy_passwords())
    if index is None:
        yield access
        return
    access.environment.update(PIP_INDEX_URL=index["url"], UV_DEFAULT_INDEX=index["url"])
    if index["ca_bundle"]:
        access.environment.update(PIP_CERT=index["ca_bundle"], SSL_CERT_FILE=index["ca_bundle"])
    if not index["username"]:
        yield access
        return
    os.makedirs(FOLDER, mode=0o711, exist_ok=True)
    os.mkdir(own, 0o700)
    try:
        os.chown(own, user.pw_uid, user.pw_gid)
        path = os.path.join(own, "netrc")
        # Not in the index's address: pip hands that on to its own processes as an argument, for everybody to see.
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
            os.fchown(stream.fileno(), user.pw_uid, user.pw_gid)
            host = urllib.parse.urlsplit(index["url"]).hostname
            stream.write("machine {0} login {1} password {2}\n".format(host, index["username"], index["password"]))
        access.environment["NETRC"] = path
        access.secrets.extend(_spellings(index["username"], index["password"]))
        yield access
    finally:
        shutil.rmtree(own, ignore_errors=True)


def folder_of(name: str) -> str:
    """Return where the credentials of a build of the application ``name`` are, as long as it lasts."""
    return os.path.join(FOLDER, name)


def _spellings(username: str, password: str) -> t.List[str]:
    """Return the forms in which a password may come back, the longest first."""
    pair = "{0}:{1}".format(username, password)
    forms = {password, urllib.parse.quote(password, safe=""), base64.b64encode(pair.encode()).decode()}
    return sorted(forms, key=len, reverse=True)


def _proxies() -> t.Dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}


def _proxy_passwords() -> t.List[str]:
    passwords = (urllib.parse.urlsplit(value).password for value in _proxies().values() if "://" in value)
    return [password for password in passwords if password]
