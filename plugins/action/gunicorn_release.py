# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render an application's slots on the controller, and hand them to the module of the same name."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_members import first_host
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_run import journal, of_result, who
from ansible_collections.asgi.deploy.plugins.plugin_utils.pack import snapshot
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise
from ansible_collections.asgi.deploy.plugins.plugin_utils.slot_files import environment_text, slot_files

ROLE = "gunicorn_app"

# Before Ansible forks: see there.
renderer(str(ROLES / ROLE), ROLE)

display = Display()


class ActionModule(ActionBase):
    """Takes the role's variables from the host; ``name`` says which application is meant, ``phase`` what is done.

    ``note``: that it is a step of a release over many hosts, and the word for it in their journal. ``release`` is what
    this host goes back to then, and ``first`` the host that runs what runs once, where that is decided already.
    """

    _VALID_ARGS = frozenset(("name", "phase", "prepared", "note", "release", "first"))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        note, host = self._task.args.get("note"), variables["inventory_hostname"]
        if not note:
            return self._run(tmp, variables, None)
        known = journal(C.DEFAULT_LOCAL_TMP)
        with known.noting(note, AnsibleError, host=host, application=self._task.args["name"]) as noted:
            result = self._run(tmp, variables, known.beginning())
            noted.update(of_result(result))
        return result

    def _run(self, tmp: t.Any, variables: dict[str, t.Any], begun: dict[str, t.Any] | None) -> dict[str, t.Any]:
        """:param begun: what the journal of a release over many hosts begins with"""
        result = super().run(tmp, variables)
        try:
            applications = normalise(ROLE, Host(variables, self._templar.template))["applications"]
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        name = self._task.args["name"]
        application = next(item for item in applications if item["name"] == name)
        arguments = {key: application[key] for key in ("name", "state", "root")}
        arguments["by"] = who()
        arguments["lease"] = begun["id"] if begun else None
        if application["state"] == "absent":
            result.update(self._call(arguments, variables))
        else:
            hosts = begun["hosts"] if begun else variables.get("ansible_play_hosts_all")
            arguments.update(self._arguments(application, variables))
            arguments["first"] = self._is_first(name, hosts or [], variables)
            # Ansible removes this one also when the run is interrupted.
            with tempfile.TemporaryDirectory(dir=C.DEFAULT_LOCAL_TMP) as folder:
                result.update(self._deploy(application["source"], arguments, folder, variables))
        # The module's arguments come back in the result, the environment's text hidden, the rest long.
        result.pop("invocation", None)
        self._tell(result)
        return result

    def _arguments(self, application: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        render = renderer(str(ROLES / ROLE), ROLE)
        return {
            "phase": self._task.args["phase"],
            "prepared": self._task.args.get("prepared"),
            "install": {
                "installer": application["installer"],
                "requirements": application["requirements"],
                "index": application["index"],
                "packages": application["server_packages"],
                "server": application["server"],
            },
            "files": slot_files(render, application, ROLES / ROLE / "files"),
            "environment": environment_text(render, application),
            "keep": application["releases"],
            "release": self._task.args.get("release", application["release"]),
            **{key: application[key] for key in ("python", "health", "smoke", "hooks", "static", "warm")},
        }

    def _is_first(self, name: str, hosts: list[str], variables: dict[str, t.Any]) -> bool:
        """Return whether this host runs what runs once. :param hosts: those that run it together with this one"""
        others, here = variables["hostvars"], variables.get("ansible_play_hosts") or hosts
        first = self._task.args.get("first") or first_host(
            name, hosts, here, lambda host: others[host].get("__gunicorn_app_host")
        )
        return first in (None, variables["inventory_hostname"])

    def _deploy(
        self, source: dict[str, t.Any], arguments: dict[str, t.Any], folder: str, variables: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Call the module, and once more with the source where a release has to be built from it."""
        # Whoever goes back is in a hurry, and the source has nothing to do with it.
        taken = None if arguments["release"] else snapshot(source)
        described = {key: value for key, value in source.items() if key not in ("path", "exclude")}
        if taken:
            described["digest"] = taken.digest
        if source["type"] == "archive" and source.get("url"):
            # It is often a token, and the module hides what it gets by this name.
            described["url"], _mark, described["query"] = source["url"].partition("?")
        result = self._call({**arguments, "source": described}, variables)
        if taken is None or not result.get("needs_archive"):
            return result
        archive = os.path.join(folder, "source")
        taken.write(archive)
        # Only now: most runs have nothing to send, and a folder costs three commands on the host.
        remote = self._connection._shell.tmpdir or self._make_tmp_path()
        try:
            archived = self._connection._shell.join_path(remote, "source")
            self._transfer_file(archive, archived)
            return self._call({**arguments, "source": described, "archive": archived}, variables)
        finally:
            self._remove_tmp_path(remote, force=True)

    def _call(self, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        result = self._execute_module("asgi.deploy.gunicorn_release", arguments, task_vars=variables)
        return t.cast("dict[str, t.Any]", result)

    def _tell(self, result: dict[str, t.Any]) -> None:
        """Say what took how long: a release is the one task that people wait for."""
        steps = ", ".join(f"{step['step']} {step['seconds']} s" for step in result.get("steps") or [])
        if steps:
            display.display(f"    {result['name']}, release {result['release']}: {steps}")
        if result.get("unconfirmed"):
            display.display(f"    {result['name']}: not confirmed through nginx: {result['unconfirmed']}")
