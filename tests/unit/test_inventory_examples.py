# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory that a newcomer copies is the one that is tested."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise

ROOT = Path(__file__).resolve().parents[2]
SINGLE_HOST = ROOT / "inventories/single_host/hosts.yml"

_VAULT = re.compile(r"\{\{ vault_\w+ \}\}")

ROLES = ("gunicorn_app", "nginx_proxy", "certbot")


def template(value: t.Any) -> t.Any:
    """Stand for Ansible's templating: a folder of the controller, and what comes from a vault."""
    if isinstance(value, dict):
        return {key: template(item) for key, item in value.items()}
    if isinstance(value, list):
        return [template(item) for item in value]
    if not isinstance(value, str):
        return value
    return _VAULT.sub("YS1zZWNyZXQtb2YtdGhlLXZhdWx0", value.replace("{{ playbook_dir }}", str(ROOT / "playbooks")))


def groups_of(inventory: dict[str, t.Any]) -> dict[str, list[str]]:
    """Return each group's hosts, groups below ``all`` included."""
    every = {**inventory, **(inventory.get("all", {}).get("children") or {})}
    return {name: list(group.get("hosts") or {}) for name, group in every.items() if name != "all"}


def own_of(inventory: dict[str, t.Any], host: str) -> dict[str, t.Any]:
    """Return what a host has by its groups and by itself."""
    every = {**inventory, **(inventory.get("all", {}).get("children") or {})}
    found = dict(inventory["all"]["vars"])
    for group in every.values():
        if host in (group.get("hosts") or {}):
            found |= {**(group.get("vars") or {}), **(group["hosts"][host] or {})}
    return found


def variables_of(inventory: dict[str, t.Any], host: str) -> dict[str, t.Any]:
    facts = {"processor_nproc": 2, "memtotal_mb": 2048}
    groups = groups_of(inventory)
    hosts = {name for names in groups.values() for name in names}
    others = {name: template(own_of(inventory, name)) for name in hosts}
    known = {"inventory_hostname": host, "groups": groups, "hostvars": others, "ansible_facts": facts}
    return {**known, **own_of(inventory, host)}


INVENTORIES = sorted(ROOT.glob("inventories/*/hosts.yml"))


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: path.parent.name)
def test_inventory_is_accepted(path: Path) -> None:
    inventory = yaml.safe_load(path.read_text(encoding="utf-8"))
    groups = groups_of(inventory)
    assert groups["apps"]
    assert groups["proxies"]
    for role in ROLES:
        for name in groups["apps" if role == "gunicorn_app" else "proxies"]:
            assert normalise(role, Host(variables_of(inventory, name), template))
    for name in groups["proxies"] if "floating_address_addresses" in inventory["all"]["vars"] else []:
        assert normalise("floating_address", Host(variables_of(inventory, name), template))["peers"]


def test_single_host_serves_the_application_over_https() -> None:
    inventory = yaml.safe_load(SINGLE_HOST.read_text(encoding="utf-8"))
    [name] = groups_of(inventory)["proxies"]
    host = Host(variables_of(inventory, name), template)
    applications, proxy, certificates = (normalise(role, host) for role in ROLES)
    [application] = applications["applications"]
    [site] = proxy["sites"]
    [block] = site["upstreams"]
    assert [server["address"] for server in block["servers"]] == [f"unix:{application['socket']}"]
    assert site["tls"]["source"] == "certbot"
    [certificate] = certificates["certificates"]
    assert (certificate["name"], certificate["domains"]) == (site["name"], site["domains"])
    assert application["health"]["host"] == site["domains"][0]
    smoke = {"path": "/health/ready", "domain": site["domains"][0], "https": True, "timeout": 4, "port": None}
    smoke["socket"] = None
    assert application["smoke"] == smoke
    # Nobody comes from another host.
    assert application["hop"] is None


def test_single_host_has_twelve_lines_at_most() -> None:
    text = SINGLE_HOST.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 12
    assert max(map(len, text.splitlines())) <= 120


def test_readme_shows_this_inventory() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```ya?ml\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert SINGLE_HOST.read_text(encoding="utf-8") in blocks
