# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certbot of its own beside the distribution's: made aside, proven, and only then the one that renews."""

from __future__ import annotations

import glob
import os
import re
import shutil
import tempfile
import typing as t
import urllib.parse

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import flip, read_text, target_of, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.build_tools import Tools, explained
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError, Done, run_as

FOLDER = "/usr/local/lib/asgi.deploy/certbot"

#: What somebody who types ``certbot`` gets: the one that renews.
LINK = "/usr/local/bin/certbot"

#: Lets certbot.service start it.
DROP_IN = "/etc/systemd/system/certbot.service.d/asgi-deploy-version.conf"

PYTHON = "/usr/bin/python3"

#: In an environment that has been proven. One without it is what a killed run left.
_PROVEN = ".proven"

_SECONDS = 600

#: What pip reads beside its own files, so that a play's ``environment`` reaches it.
_FOR_PIP = re.compile(r"PIP_\w+|\w+_proxy", re.IGNORECASE)


class Wanted(t.NamedTuple):
    """``version`` is None for the distribution's certbot; ``plugin`` is that of DNS, such as rfc2136, or None."""

    version: t.Optional[str]
    plugin: t.Optional[str]
    drop_in: str


class Environments:
    """The folder with the virtual environments, and what leads to the one in use."""

    def __init__(self, folder: str = FOLDER, link: str = LINK, drop_in: str = DROP_IN, python: str = PYTHON) -> None:
        self.folder = folder
        self.link = link
        self.drop_in = drop_in
        self.python = python
        self.current = os.path.join(folder, "current")
        self.program = os.path.join(self.current, "bin/certbot")

    def name_of(self, wanted: Wanted) -> str:
        """Return the environment's name, with the interpreter's in it: after an upgrade of the system it is another."""
        parts = [str(wanted.version), os.path.basename(os.path.realpath(self.python)), wanted.plugin]
        return "-".join(part for part in parts if part)

    def is_due(self, wanted: Wanted) -> bool:
        """Return whether anything on the host differs from what is wanted. Starts no process."""
        if wanted.version is None:
            return bool(self._left())
        return not (
            target_of(self.current) == self.name_of(wanted)
            and os.access(self.program, os.X_OK)
            and target_of(self.link) == self.program
            and read_text(self.drop_in) == wanted.drop_in
        )

    def link_problem(self) -> t.Optional[str]:
        """Return what is in the way of the link, or None."""
        if os.path.lexists(self.link) and not self._is_ours():
            return "{0} is there already, and is not of this collection".format(self.link)
        return None

    def install(self, wanted: Wanted) -> None:
        """Make what is wanted and put it in use; what fails leaves the one before in use.

        :raises BuildError: with pip's or certbot's own words
        """
        problem = self.link_problem()
        if problem:
            raise BuildError(problem)
        name = self.name_of(wanted)
        path = os.path.join(self.folder, name)
        before = target_of(self.current)
        if not (os.path.exists(os.path.join(path, _PROVEN)) and os.access(os.path.join(path, "bin/certbot"), os.X_OK)):
            os.makedirs(self.folder, mode=0o755, exist_ok=True)
            self._remove_all_but(before)
            try:
                self._make(path, wanted)
            except BaseException:
                shutil.rmtree(path, ignore_errors=True)
                raise
        flip(self.current, name)
        os.makedirs(os.path.dirname(self.link), mode=0o755, exist_ok=True)
        flip(self.link, self.program)
        os.makedirs(os.path.dirname(self.drop_in), mode=0o755, exist_ok=True)
        write_file(self.drop_in, wanted.drop_in)
        # The one before stays: a renewal may be running in it, and it is the way back.
        self._remove_all_but(name, before)

    def remove(self) -> None:
        """Go back to the distribution's certbot. The unit comes first: it must never start what is not there."""
        if os.path.lexists(self.drop_in):
            os.unlink(self.drop_in)
        if self._is_ours():
            os.unlink(self.link)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _left(self) -> t.List[str]:
        ours = [self.link] if self._is_ours() else []
        return ours + [path for path in (self.drop_in, self.folder) if os.path.lexists(path)]

    def _is_ours(self) -> bool:
        return (target_of(self.link) or "").startswith(self.folder + "/")

    def _remove_all_but(self, *names: t.Optional[str]) -> None:
        for path in glob.glob(os.path.join(glob.escape(self.folder), "*")):
            if os.path.isdir(path) and not os.path.islink(path) and os.path.basename(path) not in names:
                shutil.rmtree(path)

    def _make(self, path: str, wanted: Wanted) -> None:
        # Where it stays, because its programs name their interpreter by its path: only `current` says what is used.
        shutil.rmtree(path, ignore_errors=True)
        version = self._run([self.python, "--version"]).strip()
        self._run([self.python, "-I", "-m", "venv", "--without-pip", path])
        names = ["certbot", *(["certbot-dns-" + wanted.plugin] if wanted.plugin else [])]
        self._install(
            path, Tools(self.python, version).pip(), ["{0}=={1}".format(name, wanted.version) for name in names]
        )
        self._prove(path, wanted)
        write_file(os.path.join(path, _PROVEN), "")

    def _install(self, path: str, pip: str, requirements: t.List[str]) -> None:
        environment = {name: value for name, value in os.environ.items() if _FOR_PIP.fullmatch(name)}
        secrets = _passwords(environment.values())
        command = [os.path.join(path, "bin/python"), "-I", pip, "install", "--quiet", "--no-input", "--no-cache-dir"]
        # From wheels, which run nothing here: this is root. A host without a way out says so in a minute, not in five.
        command += ["--disable-pip-version-check", "--only-binary=:all:", "--retries=2", *requirements]
        try:
            self._run(command, environment, secrets)
        except BuildError as error:

            def again(option: str) -> Done:
                return _execute([*command, option], environment, secrets)

            raise BuildError(explained(str(error), again, os.path.join(path, "pip.log"), secrets)) from None

    def _prove(self, path: str, wanted: Wanted) -> None:
        program = os.path.join(path, "bin/certbot")
        said = self._run([program, "--version"]).split()
        if said[-1:] != [wanted.version]:
            raise BuildError("{0} says that it is {1}".format(program, " ".join(said)))
        with tempfile.TemporaryDirectory(dir=path) as own:
            # Folders of its own: the real ones are locked as long as a certbot renews.
            folders = ["--{0}-dir={1}".format(kind, os.path.join(own, kind)) for kind in ("config", "work", "logs")]
            plugins = self._run([program, "plugins", *folders])
        if wanted.plugin and "* dns-{0}\n".format(wanted.plugin) not in plugins:
            raise BuildError("{0} does not know its plugin dns-{1}".format(program, wanted.plugin))

    @staticmethod
    def _run(
        command: t.List[str],
        environment: t.Optional[t.Mapping[str, str]] = None,
        secrets: t.Collection[str] = (),
    ) -> str:
        done = _execute(command, environment or {}, secrets)
        problem = done.problem(" ".join(command), _SECONDS)
        if problem is not None:
            raise BuildError(problem)
        return done.output


def _execute(command: t.List[str], environment: t.Mapping[str, str], secrets: t.Collection[str]) -> Done:
    own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/root", **environment}
    return run_as(command, environment=own, seconds=_SECONDS, secrets=secrets, umask=0o022)


def _passwords(values: t.Iterable[str]) -> t.List[str]:
    """Return the passwords in addresses, of a proxy or an index: pip's words may repeat them."""
    found = (urllib.parse.urlsplit(word).password for value in values for word in value.split() if "://" in word)
    return [password for password in found if password]
