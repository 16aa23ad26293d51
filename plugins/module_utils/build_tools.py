# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What releases are built with, on a host once for all applications: root's, and never changed once it is there."""

from __future__ import annotations

import glob
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, sync_folder
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError, Done, run_as
from ansible_collections.asgi.deploy.plugins.module_utils.published_files import sync_disk

FOLDER = "/usr/local/lib/asgi.deploy/tools"

#: Reads the lock files of today, and has all the options that are used here.
UV = "uv>=0.8"

_SECONDS = 300

_NOTHING_THERE = "(from versions: none)"

#: A page of the index that pip could not have, and why.
_UNREAD = re.compile(r"Could not fetch URL .*")


def explained(problem: str, again: t.Callable[[str], Done], log: str, secrets: t.Collection[str]) -> str:
    """Return pip's words with the reason why it read nothing of the index, if that is what they are about: of a login
    that is refused it speaks in its log alone.

    :param again: runs the command with an option more; :param log: where that may write
    """
    if _NOTHING_THERE not in problem:
        return problem
    again("--log=" + log)
    # The application's user could write there: no link is followed, and a named pipe would never end.
    text = (read_text(log) if os.path.isfile(log) and not os.path.islink(log) else None) or ""
    for secret in secrets:
        text = text.replace(secret, "***")
    return "\n".join([problem, *_UNREAD.findall(text)[:1]])


class Tools:
    """:param python: the interpreter that applications run on; :param version: what it says of itself"""

    def __init__(self, python: str, version: str) -> None:
        self.python = python
        self.folder = FOLDER
        self._suffix = "-{0}-{1}".format(python.strip("/").replace("/", "-"), version.rpartition(" ")[2])

    def pip(self) -> str:
        """Return the folder ``pip`` in a folder with nothing else, which any virtual environment's interpreter can run.

        A copy of pip in each environment would take longer to make than all else, and applications do not need it.
        """
        return os.path.join(self._made("pip" + self._suffix, self._make_pip), "pip")

    def pip_version(self) -> str:
        records = glob.glob(os.path.join(os.path.dirname(self.pip()), "pip-*.dist-info"))
        return os.path.basename(records[0])[len("pip-") : -len(".dist-info")]

    def uv(self, environment: t.Mapping[str, str], secrets: t.Collection[str]) -> str:
        """Return uv's path. :param environment: how the package index is reached, where it comes from"""

        def make(folder: str) -> None:
            self._run([self.python, "-I", "-m", "venv", "--without-pip", folder])
            command = [os.path.join(folder, "bin/python"), "-I", self.pip(), "install", "--quiet", "--no-input"]
            # From a wheel, which runs nothing here: this is root.
            command += ["--only-binary=:all:", "--no-cache-dir", UV]
            try:
                self._run(command, environment, secrets)
            except BuildError as error:

                def again(option: str) -> Done:
                    return self._execute([*command, option], environment, secrets)

                raise BuildError(explained(str(error), again, folder + ".log", secrets)) from None

        return os.path.join(self._made(UV.replace(">=", "-") + self._suffix, make), "bin/uv")

    def _made(self, name: str, make: t.Callable[[str], None]) -> str:
        path = os.path.join(self.folder, name)
        if os.path.isdir(path):
            return path
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        for left in glob.glob(os.path.join(self.folder, ".new-*")):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-") as temporary:
            made = os.path.join(temporary, name)
            make(made)
            os.chmod(made, 0o755)
            # Nothing else does: after a power cut the name could be there, its files empty, and no build works again.
            sync_disk(temporary)
            try:
                os.rename(made, path)
            except OSError:
                # The build of another application was there first.
                if not os.path.isdir(path):
                    raise
        sync_folder(self.folder)
        return path

    def _make_pip(self, folder: str) -> None:
        venv = folder + "-venv"
        self._run([self.python, "-I", "-m", "venv", venv])
        os.mkdir(folder)
        for path in glob.glob(os.path.join(venv, "lib/python*/site-packages/pip*")):
            os.rename(path, os.path.join(folder, os.path.basename(path)))

    def _run(
        self,
        command: t.Sequence[str],
        environment: t.Optional[t.Mapping[str, str]] = None,
        secrets: t.Collection[str] = (),
    ) -> None:
        problem = self._execute(command, environment or {}, secrets).problem(" ".join(command), _SECONDS)
        if problem is not None:
            raise BuildError(problem)

    @staticmethod
    def _execute(command: t.Sequence[str], environment: t.Mapping[str, str], secrets: t.Collection[str]) -> Done:
        own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/root", **environment}
        return run_as(command, environment=own, seconds=_SECONDS, secrets=secrets, umask=0o022)
