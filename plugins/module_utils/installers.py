# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual environment of a release: what is installed into it, by pip or by uv."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text
from ansible_collections.asgi.deploy.plugins.module_utils.build_tools import Tools, explained
from ansible_collections.asgi.deploy.plugins.module_utils.index_access import Access
from ansible_collections.asgi.deploy.plugins.module_utils.ownership import give
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError, Done, run_as
from ansible_collections.asgi.deploy.plugins.module_utils.shared_packages import NotShared, is_locked, share_packages

#: Seconds for all of a build.
SECONDS = 1800

#: What a slot starts, so a release without it cannot serve.
_SERVERS = {"gunicorn": ("gunicorn", "uvicorn", "uvicorn_worker"), "uvicorn": ("uvicorn",)}

#: Less than this on the disk is the likely reason of a build that failed.
_LITTLE_MB = 100

#: A table of its own, not the word in a comment.
_BUILD_SYSTEM = re.compile(r"^[ \t]*\[[ \t]*build-system[ \t]*\]", re.MULTILINE)

_LOOK = """
import importlib.metadata, importlib.util, json, sys
found = {item.metadata["Name"]: item.version for item in importlib.metadata.distributions()}
missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
print(json.dumps({"packages": found, "missing": missing}))
"""


@dataclasses.dataclass(frozen=True)
class Install:
    """How a source is installed.

    ``requirements`` is relative to the source, None where it is not read; ``index`` has url, username, password and
    ca_bundle, None for the installer's own; ``packages`` are what is installed beside a package; ``server`` is
    gunicorn or uvicorn.
    """

    installer: str
    requirements: t.Optional[str]
    index: t.Optional[t.Mapping[str, t.Any]]
    packages: t.Sequence[str]
    server: str


class Environment:
    """The virtual environment in the release ``folder``, whose code is in its ``app``.

    :param python: the interpreter that it is made with, and :param version: what that says of itself
    :param user: who builds; a package that is built runs its own code, with the rights that it will have anyway
    :param cache: folder of that user
    """

    def __init__(
        self, folder: str, python: str, version: str, user: t.Any, cache: str, access: Access, tools: Tools
    ) -> None:
        self.app = os.path.join(folder, "app")
        self.venv = os.path.join(folder, "venv")
        self.folder = folder
        self.python = python
        self.version = version
        self.user = user
        self.cache = cache
        self.access = access
        self.tools = tools
        self._deadline = time.monotonic() + SECONDS

    def install(
        self, described: t.Mapping[str, t.Any], install: Install, before: t.Callable[[str], t.Optional[str]]
    ) -> t.Dict[str, t.Any]:
        """Install, and return what there is to know of it: ``installer``, ``packages`` and ``dependencies``.

        :param before: given what identifies the dependencies, returns an environment that has just them, or None
        :raises BuildError: with the installer's own last lines
        """
        dependencies = None
        if install.installer == "uv":
            installer = self._by_uv()
        else:
            self._run([self.python, "-I", "-m", "venv", "--without-pip", self.venv], self.folder)
            if described["type"] == "package":
                self._pip(described["digest"], *install.packages)
            else:
                dependencies = self._requirements(str(install.requirements), before)
                self._project()
            installer = {"name": "pip", "version": self.tools.pip_version()}
        found = self._look(_SERVERS[install.server])
        if found["missing"]:
            raise BuildError(_lacking(described, install, found["missing"]))
        return {"installer": installer, "packages": found["packages"], "dependencies": dependencies}

    def _requirements(self, name: str, before: t.Callable[[str], t.Optional[str]]) -> t.Optional[str]:
        """Install the requirements file; return what identifies its outcome, None where that is not fixed."""
        path = os.path.join(self.app, name)
        text = read_text(path)
        if text is None:
            raise BuildError("gunicorn_app_requirements: the source has no file {0}".format(name))
        identity = None
        if is_locked(text):
            identity = hashlib.sha256("\0".join([text, self.python, self.version]).encode()).hexdigest()
            other = before(identity)
            if other is not None and self._shared(other):
                return identity
        self._pip("--requirement", path)
        return identity

    def _shared(self, other: str) -> bool:
        # Links are made by root: nobody else may change where they come to lie, or have another folder of this name.
        os.chown(self.folder, 0, self.user.pw_gid)
        give(self.venv, 0, self.user.pw_gid, maker=self.user.pw_uid)
        try:
            share_packages(other, self.venv)
        except NotShared:
            shutil.rmtree(self.venv)
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
            self._run([self.python, "-I", "-m", "venv", "--without-pip", self.venv], self.folder)
            return False
        # The files stay root's: they are the other release's as well.
        give(self.venv, self.user.pw_uid, self.user.pw_gid, maker=os.geteuid(), folders_only=True)
        os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        return True

    def _project(self) -> None:
        """Install the application itself where it is a library as well."""
        path = os.path.join(self.app, "pyproject.toml")
        # What was installed before could have put a named pipe there, which never ends.
        project = (read_text(path) if os.path.isfile(path) else None) or ""
        if _BUILD_SYSTEM.search(project) or os.path.exists(os.path.join(self.app, "setup.py")):
            self._pip("--no-deps", self.app)

    def _pip(self, *wanted: str) -> None:
        pip = [os.path.join(self.venv, "bin/python"), self.tools.pip(), "--disable-pip-version-check", "--no-input"]
        # With PEP 517 a package is built apart: nothing that happens to be installed here changes what comes out.
        command = [*pip, "install", "--quiet", "--use-pep517", *wanted]
        try:
            self._run(command, self.app)
        except BuildError as error:

            def again(option: str) -> Done:
                return self._execute([*command, option], self.app)

            log = os.path.join(self.folder, "pip.log")
            raise BuildError(explained(str(error), again, log, self.access.secrets)) from None

    def _by_uv(self) -> t.Dict[str, str]:
        for name in ("pyproject.toml", "uv.lock"):
            if not os.path.isfile(os.path.join(self.app, name)):
                raise BuildError("gunicorn_app_installer: uv needs {0}, and the source has none".format(name))
        uv = self.tools.uv(self.access.environment, self.access.secrets)
        # The lock as it is, and the interpreter as it is: uv would fetch another one if it liked that better.
        options = ["--frozen", "--no-dev", "--no-editable", "--no-progress", "--compile-bytecode", "--link-mode=copy"]
        self._run([uv, "sync", *options, "--python", self.python, "--no-python-downloads", "--quiet"], self.app)
        return {"name": "uv", "version": self._execute([uv, "--version"], "/").output.split()[1]}

    def _look(self, servers: t.Sequence[str]) -> t.Dict[str, t.Any]:
        output = self._run([os.path.join(self.venv, "bin/python"), "-I", "-c", _LOOK, *servers], "/")
        # A package may print when Python starts.
        return t.cast("t.Dict[str, t.Any]", json.loads(output.splitlines()[-1]))

    def _run(self, command: t.List[str], folder: str) -> str:
        done = self._execute(command, folder)
        problem = done.problem(" ".join(command), SECONDS)
        if problem is not None:
            free = shutil.disk_usage(self.folder).free >> 20
            if free < _LITTLE_MB:
                # venv and pip do not always say so.
                problem += "\nOnly {0} MB are free below {1}.".format(free, self.folder)
            raise BuildError(problem)
        return done.output

    def _execute(self, command: t.List[str], folder: str) -> Done:
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": self.cache,
            "LANG": "C.UTF-8",
            "PIP_CACHE_DIR": os.path.join(self.cache, "pip"),
            "UV_CACHE_DIR": os.path.join(self.cache, "uv"),
            "UV_PROJECT_ENVIRONMENT": self.venv,
            **self.access.environment,
        }
        left = self._deadline - time.monotonic()
        return run_as(command, self.user, folder, environment, left, self.access.secrets)


def _lacking(described: t.Mapping[str, t.Any], install: Install, missing: t.Sequence[str]) -> str:
    names = ", ".join(_SERVERS[install.server]).replace("_", "-")
    if described["type"] == "package":
        place = "gunicorn_app_server_packages does"
    else:
        place = "uv.lock does" if install.installer == "uv" else "{0} does".format(install.requirements)
    return "{0} not bring {1}: add {2} to it".format(place, ", ".join(missing), names)
