# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release of an application: a folder that is built once, from one source, and never changed."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import re
import shutil
import subprocess
import tarfile
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, write_file

#: What the slots start, so a release without it cannot serve.
_SERVERS = ("gunicorn", "uvicorn", "uvicorn_worker")

#: What a finished release has; the record is written last.
_PARTS = ("release.json", "app", "venv/bin/gunicorn")

#: Less than this on the disk is the likely reason of a build that failed.
_LITTLE_MB = 100

#: What build() calls a release.
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")


class BuildError(Exception):
    """The release could not be built; the text says why, with the tool's own last lines."""


class Releases:
    """The releases of the application ``name`` below ``root``.

    :param python: interpreter for the virtual environments
    """

    def __init__(self, name: str, root: str, python: str) -> None:
        self.name = name
        self.folder = os.path.join(root, "releases")
        self.cache = os.path.join("/var/cache", name)
        self.python = python

    def identify(self, source: t.Mapping[str, str], requirements: str) -> str:
        """Return the id of a release: the same source on the same Python is the same release."""
        version = subprocess.run(
            [self.python, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        parts = [source["type"], source["digest"], requirements, self.python, version.stdout.decode(errors="replace")]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    def find(self, identity: str) -> t.Optional[str]:
        """Return the folder's name of the finished release ``identity``, the newest if there are several."""
        return next((name for name in reversed(self.finished()) if name.endswith("-" + identity)), None)

    def finished(self) -> t.List[str]:
        """Return the names of the releases that were built to their end and are still whole, oldest first."""
        names = sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else []
        return [name for name in names if all(os.path.exists(os.path.join(self.folder, name, part)) for part in _PARTS)]

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def build(
        self,
        identity: str,
        source: t.Mapping[str, str],
        unpack: t.Callable[[str], None],
        requirements: str,
        used: t.Collection[str],
    ) -> str:
        """Build a release and return its name. What an interrupted build left is removed first.

        :param unpack: puts the source into the folder that it is given
        :param requirements: the locked requirements file, relative to the source
        :param used: releases that a slot runs: they stay, even if somebody has damaged them
        :raises BuildError: and nothing of the release is left
        """
        self._remove_unfinished(used)
        name = time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()) + identity
        user = pwd.getpwnam(self.name)
        self._make_folders(user)
        folder = self.path(name)
        os.mkdir(folder, 0o750)
        try:
            os.chown(folder, user.pw_uid, user.pw_gid)
            unpack(os.path.join(folder, "app"))
            _give(folder, user.pw_uid, user.pw_gid)
            self._install(folder, requirements, user)
            # The application can read its release and change nothing in it.
            _give(folder, 0, user.pw_gid)
            record = {
                "release": name,
                "source": dict(source),
                "requirements": requirements,
                "python": self.python,
                "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
            # Last: a release without it is not finished.
            write_file(os.path.join(folder, "release.json"), json.dumps(record, indent=2, sort_keys=True) + "\n")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return name

    def remove(self, name: str) -> None:
        shutil.rmtree(self.path(name), ignore_errors=True)

    def prune(self, keep: int, used: t.Collection[str]) -> None:
        """Remove the oldest releases beyond ``keep``, but none that a slot still uses."""
        names = self.finished()
        for name in names[: max(0, len(names) - keep)]:
            if name not in used:
                self.remove(name)

    def _remove_unfinished(self, used: t.Collection[str]) -> None:
        if os.path.isdir(self.folder):
            for name in set(os.listdir(self.folder)) - set(self.finished()) - set(used):
                # What has no name of ours is not ours to remove.
                if _NAME.fullmatch(name):
                    self.remove(name)

    def _make_folders(self, user: t.Any) -> None:
        root = os.path.dirname(self.folder)
        os.makedirs(root, mode=0o755, exist_ok=True)
        for folder in (self.folder, self.cache):
            os.makedirs(folder, mode=0o750, exist_ok=True)
        os.chown(self.folder, 0, user.pw_gid)
        os.chown(self.cache, user.pw_uid, user.pw_gid)

    def _install(self, folder: str, requirements: str, user: t.Any) -> None:
        """Make the virtual environment and install into it, as the application's user.

        A package that is built here runs its own code; it gets the rights that it will have anyway.
        """
        app, venv = os.path.join(folder, "app"), os.path.join(folder, "venv")
        if not os.path.isfile(os.path.join(app, requirements)):
            raise BuildError("gunicorn_app_requirements: the source has no file {0}".format(requirements))
        self._run([self.python, "-m", "venv", venv], folder, user)
        pip = [os.path.join(venv, "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        self._run([*pip, "--quiet", "--requirement", os.path.join(app, requirements)], app, user)
        project = read_text(os.path.join(app, "pyproject.toml")) or ""
        if "[build-system]" in project or os.path.exists(os.path.join(app, "setup.py")):
            self._run([*pip, "--quiet", "--no-deps", app], app, user)
        missing = [module for module in _SERVERS if not self._has(venv, module, user)]
        if missing:
            raise BuildError(
                "{0} does not bring {1}: add gunicorn, uvicorn and uvicorn-worker to it".format(
                    requirements, ", ".join(missing)
                )
            )

    def _has(self, venv: str, module: str, user: t.Any) -> bool:
        script = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
        return self._execute([os.path.join(venv, "bin/python"), "-I", "-c", script, module], "/", user).returncode == 0

    def _run(self, command: t.List[str], folder: str, user: t.Any) -> None:
        done = self._execute(command, folder, user)
        if done.returncode:
            lines = done.stdout.decode(errors="replace").strip().splitlines()[-20:]
            free = shutil.disk_usage(self.folder).free // 2**20
            if free < _LITTLE_MB:
                # venv and pip do not always say so.
                lines.append("Only {0} MB are free below {1}.".format(free, self.folder))
            raise BuildError("{0} failed:\n{1}".format(" ".join(command), "\n".join(lines)))

    def _execute(self, command: t.List[str], folder: str, user: t.Any) -> "subprocess.CompletedProcess[bytes]":
        def become() -> None:
            os.setgroups([group.gr_gid for group in grp.getgrall() if user.pw_name in group.gr_mem])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            os.umask(0o027)

        environment = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
        environment.update(
            PATH="/usr/local/bin:/usr/bin:/bin", HOME=self.cache, LANG="C.UTF-8", PIP_CACHE_DIR=self.cache + "/pip"
        )
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            preexec_fn=become,
        )


def unpack_archive(archive: str, folder: str) -> None:
    """Unpack a tar archive that the controller made. Its members stay inside ``folder``."""
    os.makedirs(folder)
    with tarfile.open(archive) as tar:
        links = {os.path.normpath(member.name): member.linkname for member in tar.getmembers() if member.issym()}
        for member in tar.getmembers():
            if not (member.isfile() or member.isdir() or member.issym()):
                raise BuildError("the source holds {0}, which is no file, folder or symlink".format(member.name))
            if any(os.path.normpath(member.name).startswith(link + "/") for link in links):
                raise BuildError("the source holds {0}, which leads through a link".format(member.name))
            if ".." in member.name.split("/") or _leads_out(member.name, links):
                raise BuildError("the source holds {0}, which leads out of it".format(member.name))
        if hasattr(tarfile, "data_filter"):
            # What newer versions of Python do by themselves, and warn of until then.
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)


def _leads_out(name: str, links: t.Mapping[str, str]) -> bool:
    """Return whether ``name`` lies outside once the symlinks are followed, one through the other."""
    place: t.List[str] = []
    rest = name.split("/")[::-1]
    followed = 0
    if name.startswith("/"):
        return True
    while rest:
        part = rest.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not place:
                return True
            place.pop()
            continue
        place.append(part)
        link = links.get("/".join(place))
        if link is not None:
            followed += 1
            # Linux gives up after 40 as well.
            if link.startswith("/") or followed > 40:
                return True
            place.pop()
            rest += link.split("/")[::-1]
    return False


def unpack_commit(repository: str, commit: str, folder: str) -> None:
    """Put the files of ``commit`` into ``folder``."""
    os.makedirs(folder)
    archive = subprocess.run(
        # git's own umask would make everything writable for the group, which is the application's.
        ["git", "-C", repository, "-c", "tar.umask=0022", "archive", "--format=tar", commit],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
    )
    if archive.returncode:
        raise BuildError("git archive failed: " + archive.stderr.decode(errors="replace").strip())
    subprocess.run(["tar", "--extract", "--directory", folder], input=archive.stdout, check=True)


def _give(folder: str, owner: int, group: int) -> None:
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            os.lchown(os.path.join(parent, name), owner, group)
    os.chown(folder, owner, group)
