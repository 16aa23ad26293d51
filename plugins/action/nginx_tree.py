# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render the nginx tree on the controller, and hand it to the module of the same name in one piece."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_transaction import HIDDEN
from ansible_collections.asgi.deploy.plugins.plugin_utils.challenge_peers import peers_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import host_facts, nginx_version, probe_for
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_needs import MASKED, folders
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import (
    build_tree,
    served_certificates,
    tls_pairs,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

ROLE = "nginx_proxy"

# Before Ansible forks: see there.
renderer(str(ROLES / ROLE), ROLE)

UNKNOWN_PROXY = (
    "{0}: this host cannot resolve {1}, another of the proxies, so that it cannot answer a CA for that one. Where both "
    "serve the same names, give that one an ansible_host with an address"
)


class ActionModule(ActionBase):
    """Takes the role's variables from the host.

    ``back_to`` takes the place of what they say is to be live. ``expected``: see the module.
    """

    _VALID_ARGS = frozenset(("probe", "back_to", "expected"))

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result = super().run(tmp, variables)
        try:
            proxy = normalise(ROLE, Host(variables, self._templar.template))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        probe = self._task.args.get("probe")
        probe = probe or self._low_level_execute_command(probe_for(proxy["looked_up"]))["stdout"]
        installed = "nginx version:" in probe
        if "masked" in probe.split():
            # Found here, in the first play: later the package is installed, and nothing can start it.
            raise AnsibleActionFail(MASKED)
        expected = self._task.args.get("expected") or []
        if not installed and (expected or not self._task.check_mode):
            raise AnsibleActionFail("nginx is not installed on this host: " + probe.strip())
        try:
            back_to = self._task.args.get("back_to") or proxy["generation"]
            if back_to is None:
                arguments = self._tree(proxy, probe, variables["inventory_hostname"])
            elif not installed:
                raise AnsibleActionFail("nginx_proxy_generation: this host has no generation, nor nginx")
            else:
                arguments = {"back_to": back_to, "tls_dir": proxy["tls_dir"]}
            # Check mode has not written it, and a test without it passes what nginx cannot start with.
            arguments["drop_in"] = renderer(str(ROLES / ROLE), ROLE)("host/nginx.service.j2", **proxy)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        if not installed:
            shown = {**arguments["files"], **dict.fromkeys(arguments["private"], HIDDEN)}
            after = {f"/etc/nginx/deploy/current/{name}": text for name, text in shown.items()}
            after["/etc/nginx/nginx.conf"] = arguments["entry"]
            result.update(changed=True, diff=diff_of({}, after), msg="Not tested: nginx is not installed yet.")
            return result
        arguments.update(host=variables["inventory_hostname"], expected=expected)
        result.update(self._execute_module("asgi.deploy.nginx_tree", arguments, task_vars=variables))
        # The whole tree would come back with it.
        result.pop("invocation", None)
        return result

    def _tree(self, proxy: dict[str, t.Any], probe: str, name: str) -> dict[str, t.Any]:
        """Return the module's arguments for the inventory's configuration."""
        nginx, host = nginx_version(probe), host_facts(probe)
        known = peers_of(proxy["other_proxies"], host.addresses)
        for other in proxy["other_proxies"]:
            if other not in known:
                self._display.warning(UNKNOWN_PROXY.format(name, other))
        render = renderer(str(ROLES / ROLE), ROLE)
        tree = build_tree(render, proxy, nginx, host)
        return {
            "files": tree.files,
            "private": tree.private,
            "generation": tree.generation,
            "entry": render("nginx.conf.j2"),
            "pairs": tls_pairs(proxy, nginx),
            "served": served_certificates(proxy),
            "tls_dir": proxy["tls_dir"],
            "folders": folders(proxy),
            "proxy_protocol": proxy["client_address"]["proxy_protocol"],
            "status_port": proxy["status_port"],
            "keep": proxy["generations"],
        }
