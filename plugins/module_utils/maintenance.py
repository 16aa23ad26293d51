# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files by which nginx shows a site's maintenance page, and the question whether it does."""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import socket
import ssl
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, read_text, sync_folder, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_folders import due_folders, make_folders
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import Refusal

#: What stands in a file of ours. nginx looks only whether it is there.
NOTE = "Made by asgi.deploy.maintenance: the site shows its maintenance page as long as this file is here.\n"

#: Each worker of nginx remembers for a second whether the file is there (open_file_cache_valid).
_REMEMBERED = 1.1

#: Seconds in which the answer has to be the wanted one, and in which nginx itself answers a request.
_PATIENCE = 10
_TIMEOUT = 5

_ENABLED = re.compile(r"^set \$maintenance (on|off);$", re.MULTILINE)
_PAUSE = re.compile(r"^\s*set \$maintenance_pause (\d+);$", re.MULTILINE)
_PAGE = re.compile(r"^error_page (?:\d+ )*503 (?:\d+ )*\S*/([^/\s]+);$", re.MULTILINE)
_NAME = re.compile(r"^    server_name (\S+?)[; ]", re.MULTILINE)
_GUEST = re.compile(r"^\s+([0-9a-fA-F.:/]+) 1;$", re.MULTILINE)

#: By the site's name, the text of its file; None for no file.
Texts = t.Mapping[str, t.Optional[str]]


class Site(t.NamedTuple):
    """A site as the configuration has it that nginx serves.

    ``enabled``: away by the configuration itself. ``pause`` and ``size`` tell its page from an application's own 503.
    ``guests``: networks that see the site as always. ``closed``: answers nobody without a client certificate.
    """

    name: str
    domain: str
    https: bool
    proxy_protocol: bool
    enabled: bool
    pause: str
    size: int
    guests: t.List[str]
    closed: bool

    def source(self) -> t.Optional[str]:
        """Return an address of this host that is shown the page, None where each of them is a guest's."""
        networks = [ipaddress.ip_network(guest) for guest in self.guests]
        first = ipaddress.IPv4Address("127.0.0.1")
        candidates = [*(first + number for number in range(250)), ipaddress.IPv4Address("127.254.254.254")]
        found = (one for one in candidates if not any(one in network for network in networks))
        return next((str(one) for one in found), None)

    def unproven(self) -> t.Optional[str]:
        """Return why nobody on this host can ask for the page, or None."""
        if self.closed:
            return "it answers nobody without a client certificate (tls.client_ca)"
        return "maintenance.allow has all of 127.0.0.0/8" if self.source() is None else None


class Answer(t.NamedTuple):
    """``away``: whether it is the maintenance page; None where nginx did not answer."""

    away: t.Optional[bool]
    said: str


def live_site(current: str, name: str) -> t.Optional[Site]:
    """Return the site ``name`` of the configuration in the folder ``current``, or None."""
    folder = os.path.join(current, "sites", name)
    server, guards = (read_text(os.path.join(folder, file)) or "" for file in ("site.conf", "guards.conf"))
    enabled, pause, page, domain = (
        pattern.search(text)
        for pattern, text in ((_ENABLED, guards), (_PAUSE, guards), (_PAGE, guards), (_NAME, server))
    )
    if not (enabled and pause and page and domain):
        return None
    return Site(
        name=name,
        domain=domain[1].replace("*", "asgi-deploy"),
        https="    ssl_certificate " in server,
        proxy_protocol=bool(re.search(r"^    listen .* proxy_protocol;$", server, re.MULTILINE)),
        enabled=enabled[1] == "on",
        pause=pause[1],
        size=len((read_text(os.path.join(folder, "pages", page[1])) or "").encode("utf-8")),
        guests=_GUEST.findall(read_text(os.path.join(folder, "maintenance.conf")) or ""),
        closed="    ssl_verify_client on;" in server,
    )


def ask(site: Site) -> Answer:
    """Ask this host's nginx for the site once."""
    port = 443 if site.https else 80
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.sock = _connect(site, port)
        # No body: what an application answers otherwise is nobody's business here.
        connection.request("HEAD", "/", headers={"Host": site.domain, "User-Agent": "asgi.deploy"})
        try:
            answer = connection.getresponse()
        except socket.timeout:
            return Answer(False, "no answer within {0} s, which is the application's".format(_TIMEOUT))
        ours = (503, site.pause, str(site.size))
        given = (answer.status, answer.headers.get("Retry-After"), answer.headers.get("Content-Length"))
        return Answer(given == ours, "status {0}".format(answer.status))
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, str(error) or type(error).__name__)
    finally:
        connection.close()


def _connect(site: Site, port: int) -> socket.socket:
    source = site.source() or "127.0.0.1"
    connection = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT, source_address=(source, 0))
    if site.proxy_protocol:
        line = "PROXY TCP4 {0} 127.0.0.1 {1} {2}\r\n".format(source, connection.getsockname()[1], port)
        connection.sendall(line.encode("ascii"))
    if not site.https:
        return connection
    # Which page is shown is the question, not whose certificate it is.
    context = ssl._create_unverified_context()
    return context.wrap_socket(connection, server_hostname=site.domain)


def confirm(site: Site, away: bool) -> t.Optional[str]:
    """Ask until the site is as it is wanted. Returns why it is not, or None."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        answer = ask(site)
        if answer.away is away:
            return None
        if time.monotonic() > deadline:
            wanted = "the maintenance page" if away else "anything but the maintenance page"
            return "{0}: nginx on this host does not answer {1} with {2} within {3} s; the last answer: {4}".format(
                site.name, site.domain, wanted, _PATIENCE, answer.said
            )
        time.sleep(0.1)


class Switches:
    """:param folder: where nginx looks for the files :param sites: those to switch"""

    def __init__(self, folder: str, sites: t.Sequence[Site]) -> None:
        self.folder = folder
        self.sites = sites
        self.before: Texts = {site.name: self._text(site.name) for site in sites}

    def targets(self, state: str) -> Texts:
        """Return what the files have to be. One that is there already stays as it is, with what somebody wrote."""
        return {name: (NOTE if text is None else text) if state == "on" else None for name, text in self.before.items()}

    def refuse(self, targets: Texts) -> None:
        """Refuse what cannot be switched.

        :raises Refusal: before anything has changed
        """
        parent = self.folder if os.path.isdir(self.folder) else os.path.dirname(self.folder)
        if self.due(targets) and not os.access(parent, os.W_OK):
            raise Refusal("{0} cannot be written to: its file system is read-only".format(parent))
        for site in self.sites:
            path = os.path.join(self.folder, site.name)
            if os.path.isdir(path):
                raise Refusal("{0} is a folder, and has no effect; accepted: a file, or nothing".format(path))
            if site.enabled and targets[site.name] is None:
                raise Refusal(
                    'state: "off" is refused; accepted: on, as long as the configuration that nginx serves has '
                    "maintenance.enabled: true for {0}; asgi.deploy.proxy_update puts the inventory's live".format(
                        site.name
                    )
                )
            answer = Answer(True, "") if site.unproven() else ask(site)
            if answer.away is None:
                raise Refusal(
                    "{0}: nginx on this host does not answer {1}, and nothing could be confirmed: {2}".format(
                        site.name, site.domain, answer.said
                    )
                )

    def due(self, targets: Texts) -> t.List[str]:
        return [name for name, text in targets.items() if text != self.before[name]]

    def opens_folder(self, targets: Texts) -> bool:
        """Return whether a file would be one that nginx's workers cannot see."""
        return any(text is not None for text in targets.values()) and bool(due_folders([self._spec()]))

    def switch(self, targets: Texts) -> None:
        """Make or remove the files, and see that nginx answers so.

        :raises Refusal: with the reason; the files are as they were
        """
        due = self.due(targets)
        try:
            if self.opens_folder(targets):
                make_folders([self._spec()])
                due = list(targets)
            self._write({name: targets[name] for name in due})
            if due:
                time.sleep(_REMEMBERED)
            for site in self.sites:
                problem = None if site.unproven() else confirm(site, site.enabled or targets[site.name] is not None)
                if problem:
                    raise Refusal(problem)
        except (Refusal, OSError):
            self._write({name: self.before[name] for name in due if self._text(name) != self.before[name]})
            raise

    def diff(self, targets: Texts) -> t.List[t.Dict[str, str]]:
        paths = {name: os.path.join(self.folder, name) for name in self.due(targets)}
        return diff_of(
            {path: self.before[name] for name, path in paths.items()},
            {path: targets[name] for name, path in paths.items()},
        )

    def _spec(self) -> t.Dict[str, str]:
        return {"path": self.folder, "owner": "root", "mode": "0755"}

    def _text(self, name: str) -> t.Optional[str]:
        path = os.path.join(self.folder, name)
        return read_text(path) if os.path.isfile(path) else None

    def _write(self, texts: Texts) -> None:
        for name, text in texts.items():
            path = os.path.join(self.folder, name)
            if text is not None:
                write_file(path, text)
            elif os.path.lexists(path):
                os.unlink(path)
                sync_folder(self.folder)
