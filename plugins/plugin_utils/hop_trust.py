# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the two ends of a hop with mutual TLS will accept each other, by their certificates: asked on the controller.

What is found here would otherwise be found by the first request, as 502.
"""

from __future__ import annotations

import contextlib
import datetime
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.renewal import soon_over
from ansible_collections.asgi.deploy.plugins.plugin_utils.hop_tls import Identity
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused

# ansible-core needs it and brings it. ansible-test, which imports every file, does without.
with contextlib.suppress(ImportError):
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID

#: More than anybody's chain has.
_LONGEST = 8

#: Clocks differ: one that was made this moment on another machine is valid.
_CLOCKS = datetime.timedelta(minutes=5)

_WORDS = {"server": "serverAuth", "client": "clientAuth"}


def refuse_pair(path: str, own: Identity, usage: str, name: str | None = None) -> None:
    """Refuse a certificate that cannot be shown to the other end, whoever that is.

    :param usage: ``server`` or ``client``
    :param name: what a server's has to be for
    """
    leaf = _certificates(f"{path}.certificate", own.certificate)[0]
    _certificates(f"{path}.ca", own.ca)
    shown = leaf.subject.rfc4514_string()
    if _public(leaf) != _public(_key(f"{path}.key", own.key)):
        raise Refused(f"{path}.key", HIDDEN, f"the key of the certificate ({shown})")
    if leaf.not_valid_after_utc <= _now():
        when = _moment(leaf.not_valid_after_utc)
        raise Refused(f"{path}.certificate", shown, f"one that is valid; this one expired on {when}")
    if _is_early(leaf):
        when = _moment(leaf.not_valid_before_utc)
        raise Refused(f"{path}.certificate", shown, f"one that is valid; this one is valid from {when} on")
    names = _names(leaf)
    if name is not None and not _covers(names, name):
        has = ", ".join(sorted(names)) or "no name"
        raise Refused(
            f"{path}.certificate", shown, f"one for the name {name} (subjectAltName DNS:{name}); it has {has}"
        )
    if not _is_for(leaf, usage):
        raise Refused(f"{path}.certificate", shown, f"one whose extendedKeyUsage has {_WORDS[usage]}, or that has none")


def refuse_stranger(path: str, certificate: str, ca_path: str, ca: str) -> None:
    """Refuse a certificate that the other end would not accept.

    :param path: where ``certificate`` stands; :param ca_path: where ``ca`` does, of the other end
    """
    leaf, *others = _certificates(path, certificate)
    authorities = _certificates(ca_path, ca)
    current = leaf
    for _step in range(_LONGEST):
        issuer = next((other for other in [*authorities, *others] if _has_signed(other, current, leaf)), None)
        if issuer is None:
            break
        if issuer in authorities and issuer.subject == issuer.issuer:
            return
        current = issuer
    shown = leaf.subject.rfc4514_string()
    known = " or ".join(sorted(authority.subject.rfc4514_string() for authority in authorities))
    raise Refused(path, shown, f"one that is signed by what {ca_path} has, {known}, and valid")


def soon_refused(path: str, own: Identity) -> list[str]:
    """Return a warning for each certificate of an end that is valid for a short time only.

    :param path: the variable, whose certificates :func:`refuse_pair` has not refused
    """
    found = []
    for key, text in (("certificate", own.certificate), ("ca", own.ca)):
        for one in _certificates(f"{path}.{key}", text):
            name = f"{path}.{key}: {one.subject.rfc4514_string()}"
            times = (one.not_valid_before_utc, one.not_valid_after_utc, _now())
            found.append(soon_over(name, *(when.timestamp() for when in times)))
    return [warning for warning in found if warning]


def _certificates(path: str, text: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise Refused(path, HIDDEN, "certificates in PEM form; these cannot be read") from None


def _key(path: str, text: str) -> t.Any:
    try:
        return serialization.load_pem_private_key(text.encode(), None)
    except TypeError:
        raise Refused(path, HIDDEN, "a key without a password: nobody is there to enter it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Refused(path, HIDDEN, "a private key in PEM form; this one cannot be read") from None


def _public(holder: t.Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return t.cast("bytes", holder.public_key().public_bytes(serialization.Encoding.DER, form))


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {name.lower() for name in found.value.get_values_for_type(x509.DNSName)}


def _covers(names: set[str], wanted: str) -> bool:
    return wanted in names or f"*.{wanted.partition('.')[2]}" in names


def _is_for(certificate: x509.Certificate, usage: str) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return True
    wanted = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}[usage]
    return wanted in found.value or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in found.value


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate, leaf: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer or issuer.not_valid_after_utc <= _now() or _is_early(issuer):
        return False
    # A certificate that is its own authority is one without being a CA.
    if issuer != leaf and not _is_authority(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _is_early(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_before_utc > _now() + _CLOCKS


def _moment(when: datetime.datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
