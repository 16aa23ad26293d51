# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may ask for what: addresses, users, methods, client certificates."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.networks import networks
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import field

_METHOD = re.compile(r"[A-Z]{3,20}")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
#: What Debian's libcrypt verifies, without the forms that are broken by a dictionary in minutes.
_HASH = re.compile(r"\$(?:apr1|5|6|y|2[aby])\$[A-Za-z0-9./$=]{8,200}")
#: nginx writes it between double quotes, and so does the header.
_REALM = re.compile(r"[ !#%-\[\]-~]{1,80}")

Rules = t.Mapping[str, t.Any]


def access(rules: Rules, path: str, users_file: str, names: tuple[str, str], strict: bool) -> dict[str, t.Any]:
    """Return what decides about a client: ``address``, ``networks``, ``default``, ``realm``, ``users_file``, ``users``.

    Addresses are looked up in a ``geo`` block, where the most specific network decides, and not by ``allow`` and
    ``deny``: those come after every ``return`` of a location, which would then answer anybody.

    :param rules: ``allow``, ``deny``, ``basic_auth`` and ``satisfy``; None where nothing was said
    :param users_file: the password file of these rules, relative to the generation
    :param names: what the variables for the address and for the password are called
    :param strict: whether ``satisfy`` is of the same place as the rest, and not of the site of a location without them
    """
    allow = networks(f"{path}.allow", rules["allow"] or [], "then nobody is kept out")
    deny = networks(f"{path}.deny", rules["deny"] or [], "then nobody is let in")
    for index, network in enumerate(deny):
        if network in allow:
            raise Refused(f"{path}.deny[{index}]", network, "a network that allow does not have")
    auth = rules["basic_auth"] or {"users": {}, "realm": "Restricted"}
    users = _users(auth["users"], f"{path}.basic_auth.users")
    # nginx takes the realm "off" for none at all, and lets everybody in.
    if not _REALM.fullmatch(auth["realm"]) or auth["realm"] == "off":
        accepted = "printable ASCII without double quotes, $ and backslashes, and not off"
        raise Refused(f"{path}.basic_auth.realm", auth["realm"], accepted)
    both = bool(users and (allow or deny))
    if rules["satisfy"] == "any" and strict and not both:
        raise Refused(f"{path}.satisfy", "any", "any where there are both addresses and users to choose from")
    either = rules["satisfy"] == "any" and both
    address, password = names
    return {
        "address": f"$address__{address}" if allow or deny else None,
        "networks": [(network, "allowed") for network in allow] + [(network, "denied") for network in deny],
        "default": "denied" if allow else "allowed",
        # Where either will do, who comes from the right address is not asked for a password.
        "either": f"$realm__{password}" if either else None,
        "realm": auth["realm"],
        "users_file": users_file if users else None,
        "users": "".join(f"{name}:{secret}\n" for name, secret in users.items()),
    }


def _users(users: t.Mapping[str, t.Any], path: str) -> dict[str, str]:
    for number, (name, secret) in enumerate(users.items(), start=1):
        if not isinstance(name, str) or not _USER.fullmatch(name):
            # Not shown: it may be a password in the wrong place.
            accepted = f"user names of letters, digits and . _ @ + -, 64 at most; that of entry {number} is another"
            raise Refused(path, HIDDEN, accepted)
        if not isinstance(secret, str) or not _HASH.fullmatch(secret):
            raise Refused(field(path, name), HIDDEN, "the hash of a password, as `openssl passwd -6` prints it")
    return dict(users)


def methods(values: t.Sequence[t.Any] | None, path: str) -> list[str] | None:
    """Return the methods that are passed on, None for all."""
    if values is None:
        return None
    if not values:
        raise Refused(path, [], "at least one method, or no list at all")
    found: list[str] = []
    for index, value in enumerate(values):
        if not _METHOD.fullmatch(value) or value in ("CONNECT", "TRACE"):
            raise Refused(f"{path}[{index}]", value, "a method in capitals, such as GET (not CONNECT, not TRACE)")
        if value in values[:index]:
            raise Refused(f"{path}[{index}]", value, "each method once")
        found += [name for name in ((value, "HEAD") if value == "GET" else (value,)) if name not in found]
    return found
