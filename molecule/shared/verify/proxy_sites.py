"""The sites of the scenario nginx_proxy, and variations of them as variables for a run."""

from __future__ import annotations

from typing import Any

import yaml
from playbook import ROOT

FOLDER = ROOT / "molecule/nginx_proxy/inventory/group_vars/proxies"


#: The lists that are concatenated, each in a file of its name.
LISTS = (
    *("smallest", "everything", "access"),
    *("limits", "cache", "static", "streams", "smuggling", "errors", "redirects", "upstreams"),
)


def listed(name: str) -> list[dict[str, Any]]:
    """One list of the inventory."""
    text = (FOLDER / f"sites_{name}.yml").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = yaml.safe_load(text)[f"sites_{name}"]
    return found


def sites() -> list[dict[str, Any]]:
    """The sites of the inventory, in its order."""
    return [site for name in LISTS for site in listed(name)]


def with_site(name: str, **changes: Any) -> dict[str, Any]:
    """The inventory's sites, the site `name` with other keys."""
    assert name in [site["name"] for site in sites()]
    return {"nginx_proxy_sites": [{**site, **changes} if site["name"] == name else site for site in sites()]}


def with_more(*more: dict[str, Any]) -> dict[str, Any]:
    """The inventory's sites, and further ones."""
    return {"nginx_proxy_sites": [*sites(), *more]}


def without(*names: str) -> dict[str, Any]:
    """The inventory's sites but these."""
    return {"nginx_proxy_sites": [site for site in sites() if site["name"] not in names]}


def only(*names: str) -> dict[str, Any]:
    """These sites of the inventory and no others."""
    return {"nginx_proxy_sites": [site for site in sites() if site["name"] in names]}
