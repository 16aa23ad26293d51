# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role certbot says to a CA beside the certificates themselves: server, account, DNS plugin."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.dns_credentials import check_credentials
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import integer, unfit

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"

# A hyphen in front would make certbot read it as an option.
_EMAIL = re.compile(r"(?!-)[A-Za-z0-9.!#%&'*+/=?^_{|}~-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
_URL = re.compile(r"https://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/-]*)?")
_EAB_KID = re.compile(r"(?!-)[A-Za-z0-9._~:/+=-]{1,256}")
_EAB_KEY = re.compile(r"[A-Za-z0-9_-]{16,512}={0,2}")
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"[1-9][0-9]{0,2}(\.[0-9]{1,4}){1,2}")
_CREDENTIAL = re.compile(r"[a-z][a-z0-9_]*")

#: What the plugin needs before it can change anything, by its own names; the others have one key or another.
_NEEDED = {"rfc2136": ("dns_rfc2136_server", "dns_rfc2136_name", "dns_rfc2136_secret")}
#: These can have their credentials from the machine they run on.
_WITHOUT_CREDENTIALS = ("google", "route53")
#: Whose credentials' names are not certbot's.
_NAMES_OF_THEIR_OWN = ("google", "route53")


def server_of(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return ``server``, from which certificates are ordered, and ``rehearsal``, where that is tried first, or None.

    :raises Refused: naming ``certbot_…``
    """
    server, staging = _url("certbot_server", values["certbot_server"]), values["certbot_staging_server"]
    if staging is None and server == LETS_ENCRYPT:
        staging = LETS_ENCRYPT_STAGING
    if staging is not None and _url("certbot_staging_server", staging) == server:
        raise Refused("certbot_staging_server", staging, "another server than certbot_server")
    if values["certbot_staging"]:
        if staging is None:
            raise Refused("certbot_staging", True, "true together with certbot_staging_server")
        return {"server": staging, "staging": True, "rehearsal": None}
    return {"server": server, "staging": False, "rehearsal": staging if values["certbot_rehearse"] else None}


def account_of(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return ``email`` and ``eab``, a dictionary of ``kid`` and ``hmac_key``, each or None."""
    email, kid, key = (values["certbot_" + name] for name in ("email", "eab_kid", "eab_hmac_key"))
    if email is not None and not _EMAIL.fullmatch(email):
        raise Refused("certbot_email", email, "an e-mail address")
    if kid is not None and not _EAB_KID.fullmatch(kid):
        raise Refused("certbot_eab_kid", kid, "the key identifier that the CA gave you")
    if key is not None and not _EAB_KEY.fullmatch(key):
        raise Refused("certbot_eab_hmac_key", HIDDEN, "the key that the CA gave you, in base64url")
    if (kid is None) != (key is None):
        given, absent = ("kid", "hmac_key") if key is None else ("hmac_key", "kid")
        raise Refused("certbot_eab_" + absent, None, "a value together with certbot_eab_" + given)
    return {"email": email, "eab": None if kid is None else {"kid": kid, "hmac_key": key}}


def dns_of(values: t.Mapping[str, t.Any], is_used: bool) -> dict[str, t.Any] | None:
    """Return ``plugin``, ``credentials`` and ``propagation_seconds``; None where no certificate uses DNS-01."""
    plugin, credentials = values["certbot_dns_plugin"], values["certbot_dns_credentials"] or {}
    seconds = values["certbot_dns_propagation_seconds"]
    if seconds is not None:
        integer("certbot_dns_propagation_seconds", seconds, 0, 7200)
    if not is_used:
        return None
    if plugin is None:
        raise Refused(
            "certbot_dns_plugin", None, "the name of certbot's plugin for the zone; the challenge dns needs it"
        )
    for name, value in credentials.items():
        _check_credential(plugin, name, value)
    absent = [name for name in _NEEDED.get(plugin, ()) if name not in credentials]
    if absent or not (credentials or plugin in _WITHOUT_CREDENTIALS):
        needed = " and ".join(absent) or f"what the plugin {plugin} needs, by certbot's names"
        raise Refused("certbot_dns_credentials", HIDDEN, f"a dictionary with {needed}")
    check_credentials(plugin, credentials)
    if plugin == "route53" and seconds is not None:
        raise Refused("certbot_dns_propagation_seconds", seconds, "no value: route53 waits for the zone by itself")
    return {"plugin": plugin, "credentials": dict(credentials), "propagation_seconds": seconds}


def profile(path: str, value: str | None) -> str | None:
    if value is not None and not _PROFILE.fullmatch(value):
        raise Refused(path, value, "the name of one of the CA's profiles, such as shortlived")
    return value


def profiles_of(values: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the profiles that are asked for, each under the variable that does.

    :raises Refused: where ``certbot_version`` is one that knows none
    """
    profile("certbot_profile", values["certbot_profile"])
    asked = {"certbot_profile": values["certbot_profile"]}
    for index, given in enumerate(values["certbot_certificates"] or []):
        if given["state"] == "present":
            asked[f"certbot_certificates[{index}].profile"] = given["profile"]
    found = {path: value for path, value in asked.items() if value is not None}
    version = version_of(values)
    if version is not None and int(version.partition(".")[0]) < 4:
        for path, value in found.items():
            raise Refused(path, value, f"no value with certbot_version {version}; profiles came with 4.0")
    return found


def version_of(values: t.Mapping[str, t.Any]) -> str | None:
    version: str | None = values["certbot_version"]
    if version is not None and not _VERSION.fullmatch(version):
        raise Refused("certbot_version", version, "a released version, such as 5.8.0 (quote it)")
    return version


def alarm_of(values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return ``command`` and ``webhook``, each or None."""
    webhook = values["certbot_alarm_webhook"]
    if webhook is not None and not re.fullmatch(r"https?://[!-~]+", webhook):
        raise Refused("certbot_alarm_webhook", HIDDEN, "an http:// or https:// URL")
    return {"command": shell_command(values, "certbot_alarm_command"), "webhook": webhook}


def shell_command(values: t.Mapping[str, t.Any], name: str) -> str | None:
    command: str | None = values[name]
    if command is not None and (not command.strip() or unfit(command)):
        raise Refused(name, command, "a shell command")
    return command


def _url(name: str, value: str) -> str:
    if not _URL.fullmatch(value):
        raise Refused(name, value, "the https:// URL of an ACME directory")
    return value


def _check_credential(plugin: str, name: t.Any, value: t.Any) -> None:
    path = f"certbot_dns_credentials.{name}" if isinstance(name, str) else "certbot_dns_credentials"
    if not isinstance(name, str) or not _CREDENTIAL.fullmatch(name):
        raise Refused("certbot_dns_credentials", HIDDEN, "certbot's names as keys, such as dns_rfc2136_server")
    if plugin not in _NAMES_OF_THEIR_OWN and not name.startswith(f"dns_{plugin}_"):
        raise Refused(path, HIDDEN, f"a key that begins with dns_{plugin}_, as the plugin's documentation has it")
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise Refused(path, HIDDEN, "a string or a number")
    if plugin != "google" and (unfit(str(value)) or re.search(r"[\r\n]", str(value))):
        raise Refused(path, HIDDEN, "a value of one line")
