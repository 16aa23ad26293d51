# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file from a URL, whose checksum is known before it is asked for."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import typing as t
import urllib.parse

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import words_of
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError

#: Seconds without a byte, and for all of it.
_SILENCE = 30
_SECONDS = 600

#: What the disk has left when all is fetched, in bytes.
_SPARE = 50 * 2**20

_BLOCK = 1 << 20


def shown_url(url: str) -> str:
    """Return ``url`` as it may be shown and kept: a query is a token as often as not, a user always is."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "***" if parts.query else "", "")
    )


def digest_of_file(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def fetch(url: str, digest: str, path: str) -> None:
    """Fetch ``url`` to ``path``.

    :param digest: the SHA-256 that it must have, hexadecimal
    :raises BuildError: where it is not to be had, or is something else; nothing is left then
    """
    # Here, not above: with HTTP and TLS they are half of the module, and few runs need them.
    import http.client

    problem = "the answer is no HTTP, or breaks off"
    try:
        _fetch(url, path)
        found = digest_of_file(path)
        if found == digest:
            return
        problem = "its checksum is sha256:{0}, not sha256:{1}".format(found, digest)
    except http.client.HTTPException:
        # Its own text is whatever the server has sent.
        pass
    except OSError as error:
        reason = getattr(error, "reason", error)
        problem = words_of(reason) if isinstance(reason, OSError) else str(reason)
        status = getattr(error, "code", None)
        if status is not None:
            problem = "the server answers {0} {1}".format(status, problem)
    except ValueError as error:
        problem = str(error)
    if os.path.exists(path):
        os.unlink(path)
    # The library's words may repeat the URL.
    raise BuildError("gunicorn_app_source.url: {0}: {1}".format(shown_url(url), problem.replace(url, shown_url(url))))


def _fetch(url: str, path: str) -> None:
    deadline = time.monotonic() + _SECONDS
    with _opener().open(url, timeout=_SILENCE) as answer, open(path, "wb") as stream:
        announced = answer.headers.get("Content-Length")
        got = 0
        room = shutil.disk_usage(os.path.dirname(path)).free - _SPARE
        if announced and announced.isdigit() and int(announced) > room:
            raise ValueError("it has {0} MB, and {1} MB are free".format(int(announced) >> 20, max(0, room) >> 20))
        for block in iter(lambda: answer.read(_BLOCK), b""):
            got += len(block)
            if got > room:
                raise ValueError("it has more than the {0} MB that are free".format(max(0, room) >> 20))
            if time.monotonic() > deadline:
                raise ValueError("it was not there after {0} s".format(_SECONDS))
            stream.write(block)
        if announced and announced.isdigit() and got != int(announced):
            raise ValueError("it broke off after {0} of {1} bytes".format(got, announced))


def _opener() -> t.Any:
    import urllib.request

    class SameKind(urllib.request.HTTPRedirectHandler):
        """Follows to HTTP and HTTPS only, and never from HTTPS to HTTP, where anybody could read the token."""

        def redirect_request(self, req: t.Any, fp: t.Any, code: int, msg: str, headers: t.Any, newurl: str) -> t.Any:
            to = urllib.parse.urlsplit(newurl).scheme
            if to not in ("http", "https") or (req.type == "https" and to != "https"):
                raise ValueError("it redirects from {0} to {1}, which is not followed".format(req.type, to))
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    opener = urllib.request.OpenerDirector()
    # All but those for file:, ftp: and data:. A proxy is taken from the environment.
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        SameKind(),
    ):
        opener.add_handler(handler)
    return opener
