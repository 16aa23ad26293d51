# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot on a host: what its lineages hold, and how to ask for a change."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import problems_of, read_certificate

HOME = "/etc/letsencrypt"
LOG = "/var/log/letsencrypt/letsencrypt.log"

Run = t.Callable[..., t.Tuple[int, str, str]]


class Lineage:
    """A certificate of certbot: :param wanted: its ``name``, ``domains`` and ``key_type``"""

    def __init__(self, wanted: t.Mapping[str, t.Any]) -> None:
        self.name: str = wanted["name"]
        self.domains: t.List[str] = wanted["domains"]
        self.key_type: str = wanted["key_type"]
        self.folder = os.path.join(HOME, "live", self.name)

    def setting(self, name: str) -> t.Optional[str]:
        """Return a value of the renewal file."""
        text = read_text(os.path.join(HOME, "renewal", self.name + ".conf")) or ""
        match = re.search(r"^{0} *= *(\S.*?) *$".format(re.escape(name)), text, re.MULTILINE)
        return match[1] if match else None

    def reasons(self, server: str) -> t.List[str]:
        """Return why a certificate has to be ordered; an empty list where none has."""
        certificate = self.folder + "/fullchain.pem"
        if not os.path.exists(certificate):
            return ["there is none"]
        names = read_certificate(certificate).names
        reasons = []
        if names != frozenset(self.domains):
            reasons.append("it is for {0}".format(", ".join(sorted(names))))
        if self.setting("server") != server:
            reasons.append("it is from {0}".format(self.setting("server")))
        if self.setting("key_type") != self.key_type:
            reasons.append("its key is {0}".format(self.setting("key_type")))
        if not reasons:
            reasons += problems_of(certificate, self.folder + "/privkey.pem", self.domains)
        return reasons

    def order(self, run: Run, params: t.Mapping[str, t.Any]) -> t.Optional[str]:
        """Let certbot order the certificate. Returns what went wrong, or None."""
        command = [
            params["certbot"],
            "certonly",
            "--non-interactive",
            "--agree-tos",
            "--cert-name",
            self.name,
            "--server",
            params["server"],
            "--key-type",
            self.key_type,
            "--webroot",
            "--webroot-path",
            params["webroot"],
        ]
        command += ["--email", params["email"]] if params["email"] else ["--register-unsafely-without-email"]
        for domain in self.domains:
            command += ["--domain", domain]
        if self.setting("server") not in (None, params["server"]):
            # certbot keeps a valid certificate of another server otherwise.
            command.append("--force-renewal")
        environment = {"REQUESTS_CA_BUNDLE": params["ca_bundle"]} if params["ca_bundle"] else {}
        code, output, errors = run(command, environ_update=environment)
        return None if code == 0 else _words(output + errors)


def _words(output: str) -> str:
    """Return the CA's own words: certbot's error message hides them on Debian 12, its log does not."""
    log = read_text(LOG) or ""
    last_run = log[log.rfind("certbot version:") :]
    details = [_unquoted(detail) for detail in re.findall(r'"detail": "((?:[^"\\]|\\.)*)"', last_run)]
    details += re.findall(r"^\s*Detail: (.*)$", output, re.MULTILINE)
    if details:
        return "the CA refused: " + "; ".join(dict.fromkeys(details))
    # What urllib3 says of a connection ends with the reason, after the address of a Python object.
    unreachable = re.findall(r"(?:requests|urllib3)\.exceptions\.\w+: .*", last_run)
    if unreachable:
        reasons = re.findall(r"\[Errno -?\d+\] [^'\")]+|certificate verify failed: [^(\"]+|timed out", unreachable[-1])
        return "the CA could not be reached: " + (reasons[-1].strip() if reasons else "see " + LOG)
    return output.strip()[-1000:] or "certbot failed without a word"


def _unquoted(text: str) -> str:
    try:
        return str(json.loads('"' + text + '"'))
    except ValueError:
        # certbot's log may have escaped it once more; better so than not at all.
        return text


def challenge_problem(webroot: str, domain: str, port: int = 80) -> t.Optional[str]:
    """Return why the CA would not get an answer to its challenge for ``domain`` from this host, or None.

    Asked before an order is placed: the CA counts failures.
    """
    folder = os.path.join(webroot, ".well-known", "acme-challenge")
    token = "asgi-deploy-" + secrets.token_hex(8)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    path = os.path.join(folder, token)
    with open(path, "w", encoding="ascii") as stream:
        stream.write(token)
    try:
        try:
            status, body = _fetch(http.client.HTTPConnection("127.0.0.1", port, timeout=5), token, domain)
        except (OSError, http.client.HTTPException) as error:
            try:
                # An nginx behind a load balancer that speaks the PROXY protocol hangs up on all others.
                status, body = _fetch(_Balanced("127.0.0.1", port, timeout=5), token, domain)
            except (OSError, http.client.HTTPException):
                return "port {0} of this host does not answer for {1}: {2}".format(port, domain, error)
    finally:
        os.unlink(path)
    if status == 200 and body == token:
        return None
    return "port {0} of this host answers {1} to a challenge for {2}: no site serves it from {3}".format(
        port, status, domain, webroot
    )


class _Balanced(http.client.HTTPConnection):
    """A connection as a load balancer makes it."""

    def connect(self) -> None:
        super().connect()
        line = "PROXY TCP4 127.0.0.1 127.0.0.1 {0} {1}\r\n".format(self.sock.getsockname()[1], self.port)
        self.sock.sendall(line.encode("ascii"))


def _fetch(connection: http.client.HTTPConnection, token: str, domain: str) -> t.Tuple[int, str]:
    try:
        connection.request("GET", "/.well-known/acme-challenge/" + token, headers={"Host": domain})
        answer = connection.getresponse()
        return answer.status, answer.read(200).decode("ascii", "replace")
    finally:
        connection.close()
