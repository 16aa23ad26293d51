# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A commit of a git repository, fetched into a cache on the host. Whatever is wrong with the cache, it is made anew."""

from __future__ import annotations

import glob
import os
import re
import shutil
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.archives import unpack_archive
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError, Done, run_as

#: Seconds for a fetch; a first one of a large repository takes minutes.
_SECONDS = 600

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABBREVIATED = re.compile(r"[0-9a-f]{7,64}")

#: Where the wanted version stands in the cache, and everything else if that had to be fetched.
_WANTED = "refs/asgi-deploy/wanted"
_EVERYTHING = ("+refs/heads/*:refs/asgi-deploy/heads/*", "+refs/tags/*:refs/asgi-deploy/tags/*")

#: What no configuration of the host changes: no program of its own, no process that goes on behind us.
_SETTINGS = (
    "gc.autoDetach=false",
    "maintenance.autoDetach=false",
    "gpg.program=gpg",
    "gpg.ssh.allowedSignersFile=/dev/null",
    # git's own would make everything writable for the group, which is the application's.
    "tar.umask=0022",
)


class GitSource:
    """The version of the repository at ``url``. :param cache: folder of ours, which only root can read"""

    def __init__(self, url: str, version: str, cache: str) -> None:
        self.url = url
        self.version = version
        self.cache = cache
        self._ssh = _ssh()

    def ask(self) -> t.Optional[str]:
        """Return the commit as the repository has it now, without fetching anything; None where it has no such one."""
        if shutil.which("git") is None:
            return None
        if _COMMIT.fullmatch(self.version):
            return self.version
        found = self._refs()
        known = found.get(self._tag() + "^{}") or found.get(self._tag()) or found.get(self._branch())
        return known or (self._resolve(self.version + "^{commit}") if self._is_ours() else None)

    def fetch(self) -> str:
        """Fetch what is needed of the repository and return the commit.

        :raises BuildError: where it is not to be had
        """
        # One deployment at a time is here: what is locked was left by one that was killed.
        for left in glob.glob(os.path.join(glob.escape(self.cache), "**/*.lock"), recursive=True):
            os.unlink(left)
        if not self._is_ours():
            self._start_anew()
        if _COMMIT.fullmatch(self.version) and self._has(self.version):
            self._must("update-ref", _WANTED, self.version)
            return self._commit()
        # Without the cache: where the repository cannot be reached, that is all there is to say.
        refs = self._refs()
        try:
            return self._fetch(refs)
        except BuildError:
            # A hand or a full disk may have broken the cache in ways that git finds only now. A second failure counts.
            self._start_anew()
            return self._fetch(refs)

    def tag(self) -> t.Optional[str]:
        """Return the object of the annotated tag that the version names, if it does."""
        kind = self._git("cat-file", "-t", _WANTED).output.strip()
        return self._git("rev-parse", _WANTED).output.strip() if kind == "tag" else None

    def object_text(self, identity: str) -> str:
        return self._git("cat-file", "-p", identity).output

    def verify(self, command: str, identity: str, home: str) -> str:
        """Return what GnuPG says of the signature of a commit or a tag. :param home: GnuPG's folder, with the keys"""
        return self._git(command, "--raw", identity, GNUPGHOME=home).output

    def unpack(self, commit: str, folder: str) -> None:
        """Put the files of ``commit`` into ``folder``, which is made."""
        modules = re.findall(r"^160000 .*\t(.*)$", self._git("ls-tree", "-r", commit).output, re.MULTILINE)
        if modules:
            raise BuildError(
                "gunicorn_app_source: {0} is a submodule, and those are not fetched; deploy an archive that has "
                "its files".format(", ".join(modules))
            )
        archive = os.path.join(self.cache, "commit.tar")
        command = ("archive", "--format=tar", "--output=" + archive, commit)
        try:
            if self._git(*command).code != 0:
                # It has the commit and cannot read it: the cache is damaged.
                self._start_anew()
                self._fetch(self._refs())
                self._must(*command)
            unpack_archive(archive, folder)
        finally:
            if os.path.exists(archive):
                os.unlink(archive)

    def _fetch(self, refs: t.Mapping[str, str]) -> str:
        if _COMMIT.fullmatch(self.version):
            if self._git("fetch", "--quiet", "--depth=1", "--no-tags", self.url, self.version).code == 0:
                self._must("update-ref", _WANTED, self.version)
            else:
                # Not every server gives a commit that no branch ends with.
                self._fetch_everything()
            return self._commit()
        ref = next((name for name in (self._tag(), self._branch()) if name in refs), None)
        if ref is not None:
            if self._resolve(_WANTED) != refs[ref] or not self._has(_WANTED):
                self._must(
                    "fetch", "--quiet", "--force", "--depth=1", "--no-tags", self.url, "+{0}:{1}".format(ref, _WANTED)
                )
            return self._commit()
        if not _ABBREVIATED.fullmatch(self.version):
            raise BuildError(
                "gunicorn_app_source.version: {0} has neither a tag nor a branch {1}".format(self.url, self.version)
            )
        self._fetch_everything()
        return self._commit()

    def _fetch_everything(self) -> None:
        # What came without its history would end every search there.
        self._start_anew()
        self._must("fetch", "--quiet", "--no-tags", self.url, *_EVERYTHING)
        commit = self._resolve(self.version + "^{commit}")
        if commit is None:
            raise BuildError("gunicorn_app_source.version: {0} has no commit {1}".format(self.url, self.version))
        self._must("update-ref", _WANTED, commit)

    def _commit(self) -> str:
        commit = self._resolve(_WANTED + "^{commit}")
        if commit is None:
            raise BuildError("gunicorn_app_source.version: {0} is no commit".format(self.version))
        return commit

    def _refs(self) -> t.Dict[str, str]:
        done = self._must("ls-remote", "--quiet", self.url, self._tag(), self._tag() + "^{}", self._branch())
        lines = (line.split("\t") for line in done.output.splitlines() if "\t" in line)
        return {parts[1]: parts[0] for parts in lines if _COMMIT.fullmatch(parts[0])}

    def _tag(self) -> str:
        return "refs/tags/" + self.version

    def _branch(self) -> str:
        return "refs/heads/" + self.version

    def _resolve(self, name: str) -> t.Optional[str]:
        done = self._git("rev-parse", "--quiet", "--verify", name)
        return done.output.strip() if done.code == 0 else None

    def _has(self, name: str) -> bool:
        """Return whether the commit is there with all its files: what a hand has taken out is seen here."""
        listed = self._git("rev-list", "--objects", "--max-count=1", "--quiet", name)
        return listed.code == 0

    def _is_ours(self) -> bool:
        return (
            os.path.isfile(os.path.join(self.cache, "HEAD"))
            and self._git("rev-parse", "--is-bare-repository").output.strip() == "true"
        )

    def _start_anew(self) -> None:
        if os.path.islink(self.cache) or os.path.isfile(self.cache):
            os.unlink(self.cache)
        shutil.rmtree(self.cache, ignore_errors=True)
        os.makedirs(os.path.dirname(self.cache), mode=0o755, exist_ok=True)
        os.mkdir(self.cache, 0o700)
        self._must("init", "--quiet", "--bare", "--template=", self.cache)

    def _must(self, *arguments: str) -> Done:
        done = self._git(*arguments)
        problem = done.problem("git {0}".format(arguments[0]), _SECONDS)
        if problem is not None:
            raise BuildError("gunicorn_app_source: {0}: {1}".format(self.url, problem))
        return done

    def _git(self, *arguments: str, **environment: str) -> Done:
        command = ["git"]
        if arguments[0] not in ("init", "ls-remote"):
            command.append("--git-dir=" + self.cache)
        for setting in _SETTINGS:
            command += ["-c", setting]
        inherited = {
            key: value for key, value in os.environ.items() if key not in ("GIT_DIR", "GIT_ASKPASS", "LANGUAGE")
        }
        never_asking = {
            # A question for a password or about a host's key would wait for ever.
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": self._ssh,
            "LC_ALL": "C.UTF-8",
        }
        return run_as(
            [*command, *arguments], environment={**inherited, **never_asking, **environment}, seconds=_SECONDS
        )


def _ssh() -> str:
    """Return how git calls SSH: as the host's administrator says, but never with a question."""
    said = os.environ.get("GIT_SSH_COMMAND")
    if said is None:
        done = run_as(["git", "config", "--get", "core.sshCommand"])
        said = done.output.strip() if done.code == 0 else "ssh"
    return said + " -o BatchMode=yes -o ConnectTimeout=30"
