# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the code of a release comes from: what it is, and how it gets into a folder."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.archives import unpack_archive
from ansible_collections.asgi.deploy.plugins.module_utils.download import digest_of_file, fetch, shown_url
from ansible_collections.asgi.deploy.plugins.module_utils.git_signature import signer_of
from ansible_collections.asgi.deploy.plugins.module_utils.git_source import GitSource
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError

#: The commit in check mode on a host that has no git yet.
NOT_FETCHED = "not fetched yet"


class Source:
    """A source that is known, and not unpacked yet.

    ``described`` says what it is, without any secret: it is kept beside the release. Its ``digest`` is equal for equal
    code only. ``needs_archive`` is True where the controller has to send it first.
    """

    def __init__(
        self, described: t.Mapping[str, t.Any], unpack: t.Callable[[str], None], needs_archive: bool = False
    ) -> None:
        self.described = dict(described)
        self.needs_archive = needs_archive
        self._unpack = unpack

    def unpack(self, folder: str) -> None:
        """Put the source into ``folder``, which is made.

        :raises BuildError: where it is not to be had, or would lie outside
        """
        self._unpack(folder)


def source_of(params: t.Mapping[str, t.Any], archive: t.Optional[str], cache: str, check: bool = False) -> Source:
    """Return the source that ``params`` describe; of git it is fetched when this returns.

    :param params: gunicorn_app_source as normalised, with the ``digest`` of what is on the controller
    :param archive: where what the controller sent lies, None where it has not
    :param cache: folder for git's objects
    :param check: change nothing on the host
    :raises BuildError: where there is no such source
    """
    if params["type"] == "git":
        return _git(params, cache, check)
    if params["type"] == "package":
        return _package(params)
    if params.get("url"):
        return _from_url(params)
    described = {"type": params["type"], "digest": params["digest"]}
    if params["type"] == "archive":
        described["checksum"] = "sha256:" + params["digest"]
    return Source(described, lambda folder: _unpack_sent(archive, described, folder), archive is None)


def _unpack_sent(archive: t.Optional[str], described: t.Mapping[str, t.Any], folder: str) -> None:
    if archive is None:
        raise BuildError("gunicorn_app_source: the controller has not sent it")
    whole = described["type"] == "archive"
    # A disk that was full on the way, or a hand.
    if whole and digest_of_file(archive) != described["digest"]:
        raise BuildError("gunicorn_app_source.path: what arrived has not the checksum of what was sent")
    unpack_archive(archive, folder, strip=whole)


def _from_url(params: t.Mapping[str, t.Any]) -> Source:
    digest = params["checksum"].partition(":")[2]
    url = shown_url(params["url"])

    def unpack(folder: str) -> None:
        # Beside the folder: the release that it is part of goes as a whole if this is interrupted.
        path = folder + ".download"
        try:
            fetch(params["url"], digest, path)
            unpack_archive(path, folder, strip=True)
        finally:
            if os.path.exists(path):
                os.unlink(path)

    return Source({"type": "archive", "digest": digest, "url": url, "checksum": "sha256:" + digest}, unpack)


def _package(params: t.Mapping[str, t.Any]) -> Source:
    extras = sorted(params["extras"])
    wanted = "{0}{1}=={2}".format(params["name"], "[{0}]".format(",".join(extras)) if extras else "", params["version"])
    described = {"type": "package", "digest": wanted, "name": params["name"], "version": params["version"]}
    # The installer brings it; the folder is where the application works.
    return Source({**described, "extras": extras}, os.makedirs)


def _git(params: t.Mapping[str, t.Any], cache: str, check: bool) -> Source:
    git = GitSource(params["url"], params["version"], cache)
    described = {"type": "git", "url": params["url"], "version": params["version"]}
    if check:
        commit = git.ask() or NOT_FETCHED
        return Source({**described, "commit": commit, "digest": commit}, lambda folder: git.unpack(commit, folder))
    commit = git.fetch()
    if params["signed_by"]:
        described["signer"] = signer_of(git, commit, params["signed_by"])
    return Source({**described, "commit": commit, "digest": commit}, lambda folder: git.unpack(commit, folder))
