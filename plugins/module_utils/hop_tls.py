# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""stunnel in front of an application: its files, and whether it serves what they hold."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import served_fingerprint

_FOLDER = "etc/asgi-deploy/hops"
#: The first tells that there is TLS at a port.
_ENDINGS = (".conf", ".ca.pem", ".pem")

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

#: The name asked for has no part in which certificate is served.
_ANY_NAME = "localhost"

Run = t.Callable[..., t.Tuple[int, str, str]]


class HopTls:
    """Mutual TLS at the ports of a host.

    :param run: executes a command, returns its exit code, output and errors
    """

    def __init__(self, run: Run, base: str = "/") -> None:
        self._run = run
        self._folder = os.path.join(base, _FOLDER)

    def files(self, name: str, port: int) -> t.List[str]:
        return [os.path.join(self._folder, "{0}-{1}{2}".format(name, port, ending)) for ending in _ENDINGS]

    def is_at(self, name: str, port: int) -> bool:
        return os.path.exists(self.files(name, port)[0])

    def files_of(self, name: str) -> t.List[str]:
        """Return the files of an application that are there, of whatever port, also half-written ones."""
        found = [os.path.join(self._folder, file) for file in _names_in(self._folder)]
        file = re.escape(name) + r"-[0-9]+(?:\.conf|\.ca\.pem|\.pem)"
        ours = re.compile(r"{0}|\.{0}\.[a-z0-9_]{{8}}".format(file))
        return sorted(path for path in found if ours.fullmatch(os.path.basename(path)))

    def remove(self, name: str, port: int) -> None:
        # The first at the end: as long as it is there, the rest is known.
        for path in reversed(self.files(name, port)):
            if os.path.exists(path):
                os.unlink(path)

    def serves(self, name: str, port: int, service: str) -> bool:
        """Return whether the port is served with what the files hold, also after a run that was killed in between."""
        pair = read_text(self.files(name, port)[2]) or ""
        found = _CERTIFICATE.search(pair)
        if found is None:
            return False
        wanted = hashlib.sha256(ssl.PEM_cert_to_DER_cert(found.group())).hexdigest()
        return served_fingerprint(_ANY_NAME, port) == wanted and not self._is_behind(name, port, service)

    def _is_behind(self, name: str, port: int, service: str) -> bool:
        """Return whether a file is younger than the last start or reload: of a changed CA nobody else tells."""
        told = self._run(["systemctl", "show", "--timestamp=unix", "--property=StateChangeTimestamp", service])[1]
        match = re.search(r"StateChangeTimestamp=@([0-9]+)", told)
        written = [int(os.stat(path).st_mtime) for path in self.files(name, port)]
        # A time that is still to come tells nothing: the host's clock was set back. No reload would ever be after it.
        known = [seconds for seconds in written if seconds <= time.time()]
        return match is not None and max(known, default=0) > int(match.group(1))


def _names_in(folder: str) -> t.List[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []
