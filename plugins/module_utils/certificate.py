# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""X.509 pairs on a host: what a certificate says, whether nginx could serve it, and a self-signed one.

Runs inside modules and, copied beside them, inside the programs asgi-deploy-certificates and
asgi-deploy-nginx-rollback: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import typing as t

#: Seconds by which clocks may differ: a certificate that was made this moment on another machine is valid.
_CLOCKS = 300


class Certificate(t.NamedTuple):
    """What a PEM file's first certificate says. ``not_before`` and ``not_after`` in seconds since the epoch."""

    names: t.FrozenSet[str]
    not_after: float
    issuer: str
    fingerprint: str
    not_before: float


def read_certificate(path: str) -> Certificate:
    """Return the first certificate of the PEM file at ``path``.

    :raises ValueError: where there is none, naming the path
    """
    try:
        # What stands around the certificates, a subject for instance, may be in any encoding.
        with open(path, encoding="ascii", errors="replace") as stream:
            text = stream.read()
        begin = text.index("-----BEGIN CERTIFICATE-----")
        end = text.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")
        der = ssl.PEM_cert_to_DER_cert(text[begin:end])
        # The standard library decodes certificates only for a verified connection, or so. The
        # alternative is a dependency that a host need not have before its first run.
        decoded = ssl._ssl._test_decode_cert(path)  # type: ignore[attr-defined]
    except FileNotFoundError:
        raise ValueError(path + " does not exist") from None
    except (OSError, ValueError, ssl.SSLError) as error:
        raise ValueError(path + " holds no certificate in PEM form") from error
    names = frozenset(value.lower() for kind, value in decoded.get("subjectAltName", ()) if kind == "DNS")
    issuer = ", ".join(value for part in decoded["issuer"] for _key, value in part)
    begins, ends = (ssl.cert_time_to_seconds(decoded[key]) for key in ("notBefore", "notAfter"))
    return Certificate(names, ends, issuer, hashlib.sha256(der).hexdigest(), begins)


def covers(names: t.Iterable[str], wanted: str) -> bool:
    """Return whether a certificate for ``names`` is valid for the host name ``wanted``."""
    names = set(names)
    return wanted in names or "*." + wanted.partition(".")[2] in names


def problems_of(certificate: str, key: str, domains: t.Iterable[str], now: t.Optional[float] = None) -> t.List[str]:
    """Return why nginx could not serve ``domains`` with this pair; an empty list where it could."""
    if not os.path.exists(key):
        return [key + " does not exist"]
    try:
        read = read_certificate(certificate)
    except ValueError as error:
        return [str(error)]
    problems = []
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except OSError as error:
        problems.append(_mismatch(certificate, key, getattr(error, "reason", None) or ""))
    except ValueError:
        problems.append("{0} is encrypted, and nobody is there to tell nginx the password".format(key))
    if read.not_after <= (time.time() if now is None else now):
        problems.append("{0} expired on {1}".format(certificate, _moment(read.not_after)))
    missing = [domain for domain in domains if not covers(read.names, domain)]
    if missing:
        problems.append(
            "{0} does not cover {1}, only {2}".format(
                certificate, ", ".join(missing), ", ".join(sorted(read.names)) or "no name"
            )
        )
    return problems


def could_load(certificate: str, key: str) -> bool:
    """Return whether nginx starts with this pair; it does with one that has expired."""
    return not problems_of(certificate, key, (), now=0)


def not_valid_yet(certificate: str) -> t.List[str]:
    """Return why clients would refuse a certificate that begins later; an empty list for others.

    Apart from :func:`problems_of`, for it is about the user's own. Where one that certbot got seems to begin later, the
    host's clock is wrong: to order another one, or to serve the self-signed pair instead, would make it worse.
    """
    begins = read_certificate(certificate).not_before
    return ["{0} is valid from {1} on".format(certificate, _moment(begins))] if begins > time.time() + _CLOCKS else []


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _mismatch(certificate: str, key: str, reason: str) -> str:
    """Say what OpenSSL means by ``reason``; a key of another type counts as one without a certificate."""
    if reason.endswith("_MISMATCH") or reason == "NO_CERTIFICATE_ASSIGNED":
        return "{0} is not the key of {1}".format(key, certificate)
    if reason.endswith(("_TOO_SMALL", "_TOO_WEAK")):
        return "{0} is too weak for OpenSSL: {1}".format(certificate, reason.lower().replace("_", " "))
    return "{0} holds no private key in PEM form".format(key)


def _no_password() -> str:
    # Without this OpenSSL asks on the terminal, and the run hangs.
    raise ValueError("the key is encrypted")


def served_fingerprint(domain: str, port: int = 443, proxy_protocol: bool = False) -> t.Optional[str]:
    """Return the fingerprint of the certificate that this host serves for ``domain``, or None where it serves none.

    :param proxy_protocol: nginx expects the line of a load balancer first, and answers nobody who comes without it
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The question is which certificate it is, not whether this host trusts it.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=2)
        if proxy_protocol:
            source = connection.getsockname()[1]
            connection.sendall("PROXY TCP4 127.0.0.1 127.0.0.1 {0} {1}\r\n".format(source, port).encode("ascii"))
        with context.wrap_socket(connection, server_hostname=domain.replace("*", "asgi-deploy")) as secured:
            return hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()
    except OSError:
        return None


def create_self_signed(folder: str, domains: t.Sequence[str], days: int = 3650) -> None:
    """Put a self-signed pair for ``domains`` into ``folder``, as fullchain.pem and privkey.pem.

    Written aside and moved as a whole: a pair whose halves do not belong together stops nginx.

    :raises ValueError: with openssl's own words
    """
    parent = os.path.dirname(folder)
    aside = tempfile.mkdtemp(dir=parent, prefix=".pair-")
    try:
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            str(days),
            "-subj",
            "/CN=asgi.deploy bootstrap",
            "-addext",
            "subjectAltName=" + ",".join("DNS:" + domain for domain in domains),
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            os.path.join(aside, "privkey.pem"),
            "-out",
            os.path.join(aside, "fullchain.pem"),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise ValueError("openssl could not make a pair: " + done.stdout.decode(errors="replace").strip())
        os.chmod(os.path.join(aside, "privkey.pem"), 0o600)
        os.chmod(aside, 0o755)
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        os.rename(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
