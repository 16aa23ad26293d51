# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot's DNS plugins log in with: whether it can work, and the file that they read it from."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused

#: Part of certbot's own folder, so that its backup is complete: a renewal needs these files.
FOLDER = "/etc/letsencrypt/asgi-deploy"

_ALGORITHMS = ("HMAC-MD5", "HMAC-SHA1", "HMAC-SHA224", "HMAC-SHA256", "HMAC-SHA384", "HMAC-SHA512")

# ConfigObj, which reads the file for certbot, puts another value in for this, and knows no way around it.
_INTERPOLATED = re.compile(r"%\([^)]*\)s")

Dns = t.Mapping[str, t.Any]


def check_credentials(plugin: str, credentials: t.Mapping[str, t.Any]) -> None:
    """Refuse what the plugin would refuse, or misread, only when an order is placed.

    :param credentials: strings and numbers of one line
    :raises Refused: naming the key, never showing the value
    """
    if plugin in ("google", "route53"):
        return
    for name, value in credentials.items():
        if not str(value).strip() or not str(value).isprintable():
            raise _refused(name, "a value that is not empty, of printable characters")
        if _INTERPOLATED.search(str(value)) or _quoted(str(value)) is None:
            raise _refused(name, "a value that certbot's file can hold: no %(…)s, and not both kinds of triple quotes")
    if plugin == "rfc2136":
        _check_rfc2136(credentials)


def credentials_file(dns: Dns | None) -> tuple[str, str] | None:
    """Return the path and the text of the file for the plugin; None where it needs none.

    :param dns: ``dns`` of the role's structure
    """
    if dns is None or not dns["credentials"]:
        return None
    plugin, credentials = dns["plugin"], dns["credentials"]
    path = f"{FOLDER}/dns-{plugin}.ini"
    if plugin == "google":
        return f"{FOLDER}/dns-google.json", json.dumps(credentials, indent=2) + "\n"
    if plugin == "route53":
        # AWS's own form, whose values are never quoted.
        return path, "".join(["[default]\n", *(f"{name} = {value}\n" for name, value in credentials.items())])
    lines = (f"{name} = {_quoted(_spelled(name, str(value)))}\n" for name, value in credentials.items())
    return path, "".join(lines)


def for_module(dns: Dns | None) -> dict[str, t.Any] | None:
    """Return what the module may know of ``dns``: where the credentials are, and what of them is no secret."""
    if dns is None:
        return None
    file = credentials_file(dns)
    server = dns["credentials"].get("dns_rfc2136_server")
    return {
        "plugin": dns["plugin"],
        "name_server": server,
        "name_server_port": int(dns["credentials"].get("dns_rfc2136_port", 53)) if server else None,
        "credentials_file": file[0] if file else None,
        "propagation_seconds": dns["propagation_seconds"],
    }


def unit_environment(dns: Dns | None) -> dict[str, str]:
    """Return what certbot.service needs in its environment, so that a renewal finds the credentials."""
    file = credentials_file(dns)
    return {"AWS_CONFIG_FILE": file[0]} if dns and dns["plugin"] == "route53" and file else {}


def _refused(name: str, accepted: str) -> Refused:
    return Refused(f"certbot_dns_credentials.{name}", HIDDEN, accepted)


def _check_rfc2136(credentials: t.Mapping[str, t.Any]) -> None:
    given = {name.removeprefix("dns_rfc2136_"): str(value) for name, value in credentials.items()}
    try:
        ipaddress.ip_address(given["server"])
    except ValueError:
        raise _refused("dns_rfc2136_server", "the name server's IP address; certbot takes no name here") from None
    if given.get("algorithm", "HMAC-MD5").upper() not in _ALGORITHMS:
        raise _refused("dns_rfc2136_algorithm", "one of " + ", ".join(_ALGORITHMS))
    port = given.get("port", "53")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise _refused("dns_rfc2136_port", "a port from 1 to 65535")
    try:
        base64.b64decode(given["secret"], validate=True)
    except binascii.Error:
        raise _refused("dns_rfc2136_secret", "the key as the name server has it, in base64") from None


def _spelled(name: str, value: str) -> str:
    # certbot accepts another case, and then silently signs with HMAC-MD5.
    return value.upper() if name == "dns_rfc2136_algorithm" else value


def _quoted(value: str) -> str | None:
    """Return the value as ConfigObj reads it back; None where it has no way to say it."""
    for quote in ('"', "'", '"""', "'''"):
        # A quote at its end would join a triple one.
        if quote not in value and not value.endswith(quote[0]):
            return quote + value + quote
    return None
