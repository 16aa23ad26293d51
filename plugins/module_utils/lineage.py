# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lineage of certbot's: what it holds, and why a certificate has to be ordered for it."""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.certificate import (
    Certificate,
    problems_of,
    read_certificate,
)
from ansible_collections.asgi.deploy.plugins.module_utils.challenge_options import renewal_settings
from ansible_collections.asgi.deploy.plugins.module_utils.renewal import alarm_before
from ansible_collections.asgi.deploy.plugins.module_utils.renewal_file import RenewalFile

HOME = "/etc/letsencrypt"

#: What certbot's own list calls them.
_PROFILES = ("required_profile", "preferred_profile")
_CURVES = {"prime256v1": "secp256r1"}
#: What a renewal file says of the key, and certbot takes where it does not.
_KEY_DEFAULTS = {"key_type": "rsa", "elliptic_curve": "secp256r1", "rsa_key_size": "2048"}

Run = t.Callable[..., t.Tuple[int, str, str]]
Params = t.Mapping[str, t.Any]


class Lineage:
    """:param wanted: a certificate of the normaliser's"""

    def __init__(self, wanted: Params) -> None:
        self.wanted = wanted
        self.name: str = wanted["name"]
        self.domains: t.List[str] = wanted["domains"]
        self.folder = os.path.join(HOME, "live", self.name)
        self.certificate = os.path.join(self.folder, "fullchain.pem")
        self.key = os.path.join(self.folder, "privkey.pem")
        self.renewal = RenewalFile(os.path.join(HOME, "renewal", self.name + ".conf"))

    def exists(self) -> bool:
        # A link to nothing is none.
        return os.path.exists(self.certificate)

    def reasons(self, run: Run, server: str, now: t.Optional[float] = None) -> t.List[str]:
        """Return why a certificate has to be ordered; an empty list where none has.

        One that is due for renewal is the timer's business, unless its end is so near that the timer must have failed.
        """
        if not self.exists():
            return ["there is none"]
        try:
            read = read_certificate(self.certificate)
        except ValueError as error:
            return [str(error)]
        reasons = []
        if read.names != frozenset(self.domains):
            reasons.append("it is for {0}".format(", ".join(sorted(read.names)) or "no name"))
        if self.renewal.get("server") != server:
            reasons.append("it is from {0}".format(self.renewal.get("server") or "an unknown server"))
        reasons += self._other_key(run) + self._other_profile()
        return reasons or self._unfit(read, time.time() if now is None else now)

    def is_valid(self, now: t.Optional[float] = None) -> bool:
        """Return whether there is a pair that could be served, for whichever names."""
        return self.exists() and not problems_of(self.certificate, self.key, (), now)

    def edited(self, params: Params) -> RenewalFile:
        """Return the renewal file as the next renewal needs it: another way to prove the names needs no order."""
        wanted = RenewalFile(self.renewal.path)
        if not wanted.get("server"):
            return wanted
        self._set_key(wanted)
        # Of whoever had the certificate before: it may rule out the only challenge that the plugin can do.
        wanted.remove("pref_challs")
        for key, value in renewal_settings(self.wanted, params).items():
            if value is None:
                wanted.remove(key)
            elif (wanted.get(key) or "").rstrip(",") != value.rstrip(","):
                wanted.set(key, value)
        authenticator = wanted.get("authenticator") or ""
        prefix = authenticator.replace("-", "_") + "_"
        # Another plugin's credentials would be used by nobody, and be taken for used by people.
        for key in [key for key in wanted.params() if key.startswith("dns_") and not key.startswith(prefix)]:
            wanted.remove(key)
        if authenticator != "webroot":
            wanted.set_webroots({})
        elif wanted.webroots():
            # What is not in the map is renewed by webroot_path; certbot leaves out what the CA had not to be shown.
            wanted.set_webroots({name: str(params["webroot"]) for name in wanted.webroots()})
        return wanted

    def _set_key(self, renewal: RenewalFile) -> None:
        """Let the next key be as this one, which fits: what the file does not say has certbot's own default."""
        for key, default in _KEY_DEFAULTS.items():
            value = self.wanted[key]
            if value is not None and (renewal.get(key) or default).lower() != str(value):
                renewal.set(key, str(value))

    def has_other_key(self, run: Run) -> bool:
        return bool(self._other_key(run))

    def _other_key(self, run: Run) -> t.List[str]:
        # The certificate says which it is; the renewal file says only which one somebody once chose.
        found = key_of(run, self.certificate)
        return [] if found in (None, key_wanted(self.wanted)) else ["its key is {0}".format(found)]

    def _other_profile(self) -> t.List[str]:
        found = next(filter(None, (self.renewal.get(key) for key in _PROFILES)), None)
        if found == self.wanted["profile"]:
            return []
        return ["it is of the profile {0}".format(found) if found else "it is of the CA's default profile"]

    def _unfit(self, read: Certificate, now: float) -> t.List[str]:
        problems = problems_of(self.certificate, self.key, self.domains, now)
        if not problems and read.not_after - now < alarm_before(read.not_after - read.not_before):
            when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(read.not_after))
            problems = ["it expires on {0}, and no renewal came".format(when)]
        return problems


def key_wanted(wanted: Params) -> str:
    """Return the key's type with its curve or its size."""
    return (
        "ecdsa " + wanted["elliptic_curve"] if wanted["key_type"] == "ecdsa" else "rsa {rsa_key_size}".format(**wanted)
    )


def key_of(run: Run, certificate: str) -> t.Optional[str]:
    """Return the same of a certificate's key, or None where OpenSSL does not say."""
    code, text, _errors = run(["openssl", "x509", "-in", certificate, "-noout", "-text"])
    algorithm = re.search(r"Public Key Algorithm: (\S+)", text)
    if code or not algorithm:
        return None
    if "rsa" in algorithm[1].lower():
        size = re.search(r"Public-Key: \((\d+) bit\)", text)
        return "rsa " + size[1] if size else "rsa"
    curve = re.search(r"ASN1 OID: (\S+)", text)
    return "ecdsa " + _CURVES.get(curve[1], curve[1]) if curve else algorithm[1]


def replaced_by_staging(name: str, server: str) -> t.Optional[str]:
    """Return the server whose valid certificate one of the staging server's would replace, or None.

    :param server: the staging server that certificates are about to be ordered from
    """
    lineage = Lineage({"name": name, "domains": []})
    there = lineage.renewal.get("server")
    return there if there not in (None, server) and lineage.is_valid() else None
