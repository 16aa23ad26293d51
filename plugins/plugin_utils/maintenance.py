# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook maintenance was asked for: which sites, and whether they are to be away."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

Sites = t.Sequence[t.Mapping[str, t.Any]]

#: What YAML 1.1 makes of the bare words.
_WORDS = {True: "on", False: "off"}


def wanted_state(value: t.Any) -> str:
    """Return ``on`` or ``off``."""
    state = _WORDS[value] if isinstance(value, bool) else value
    if not isinstance(state, str) or state not in ("on", "off"):
        raise Refused("state", value, "on or off, as in -e state=on")
    return str(state)


def wanted_sites(sites: Sites, state: str, only: t.Any) -> list[str]:
    """Return the names of the sites to switch.

    :param sites: the host's, of their spec's shape
    :param only: a name, several with commas between them, or a list; None for all of the host
    :raises Refused: where one is not the host's, or the inventory itself has it away and ``state`` is off
    """
    known = [str(site["name"]) for site in sites]
    if not known:
        raise Refused("nginx_proxy_sites", [], "at least one site")
    names = known if only is None else _named(only)
    for name in names:
        if name not in known:
            raise Refused("site", name, f"a site of this host: {', '.join(known)}; several with commas between them")
    if state == "off":
        _refuse_enabled(sites, names)
    return names


def _named(only: t.Any) -> list[str]:
    values = only.split(",") if isinstance(only, str) else only
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise Refused("site", only, "the name of a site, or a list of names")
    return list(dict.fromkeys(value.strip() for value in values))


def _refuse_enabled(sites: Sites, names: t.Sequence[str]) -> None:
    """The file is not what keeps these away: without it they would go on answering 503."""
    for index, site in enumerate(sites):
        if site["name"] in names and site["maintenance"]["enabled"]:
            accepted = "false and a run of asgi.deploy.proxy_update for state=off, or other sites by -e site=NAME"
            raise Refused(f"nginx_proxy_sites[{index}].maintenance.enabled", True, accepted)
