# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the CA's challenges would be answered: tried before an order, because the CA counts failures."""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import socket
import threading
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import naming, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.challenge_http import (
    PORTS,
    TIMEOUT,
    Answer,
    Astray,
    Unanswered,
    ask,
    ask_behind_balancer,
    ask_following,
    reason_of,
)
from ansible_collections.asgi.deploy.plugins.module_utils.challenge_server import answering

FOLDER = "/.well-known/acme-challenge/"

#: Seconds for all names together. A hundred names that lead nowhere need half of it.
PATIENCE = 60
_THREADS = 32

_PREFIX = "asgi-deploy-"
#: Seconds after which a file of ours is of a run that was killed.
_LEFT_BEHIND = 600

_SILENT = (
    "does not answer on port {0}: {1} (if others reach it, and only this host cannot reach its own public address, "
    "set certbot_probe: local)"
)
_WRONG = "answers {0} to a challenge: it is another server, or what stands before this one keeps challenges from it"


class Token(t.NamedTuple):
    """What is asked for, and what has to come. The text is not the name: some servers echo that."""

    name: str
    text: str

    @property
    def path(self) -> str:
        return FOLDER + self.name


def problems_of(
    domains: t.Iterable[str],
    challenge: str,
    probe: str,
    webroot: str,
    dns: t.Optional[t.Mapping[str, t.Any]] = None,
) -> t.Dict[str, str]:
    """Return why the CA would not get its answer, a text for each name that it would fail for.

    :param challenge: ``webroot``, ``standalone`` or ``dns``
    :param probe: ``resolved``, ``local`` or ``none``, see ``certbot_probe``
    :param dns: the plugin, with ``name_server`` and ``name_server_port`` where the zone's server is known
    """
    if probe == "none":
        return {}
    if challenge == "dns":
        problem = _problem_of_name_server(dns or {})
        return dict.fromkeys(domains, problem) if problem else {}
    names = [name for name in dict.fromkeys(domains) if not name.startswith("*")]
    if not names:
        return {}
    token = Token(_PREFIX + secrets.token_hex(16), secrets.token_hex(16))
    try:
        if challenge == "standalone":
            with answering(PORTS["http"], token.path, token.text):
                return _problems(names, token, probe, "certbot itself answers challenges there")
        with _token_file(webroot, token):
            return _problems(names, token, probe, "no site serves it from " + webroot)
    except OSError as error:
        return dict.fromkeys(names, "challenges cannot be answered: " + words_of(error))


@contextlib.contextmanager
def _token_file(webroot: str, token: Token) -> t.Iterator[None]:
    folder = webroot + FOLDER
    os.makedirs(folder, mode=0o755, exist_ok=True)
    _remove_left_behind(folder)
    path = folder + token.name
    try:
        with naming(path), open(path, "w", encoding="ascii") as stream:
            # nginx's workers read it, whatever umask root has.
            os.fchmod(stream.fileno(), 0o644)
            stream.write(token.text)
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _remove_left_behind(folder: str) -> None:
    for entry in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):
            if entry.name.startswith(_PREFIX) and entry.stat().st_mtime < time.time() - _LEFT_BEHIND:
                os.unlink(entry.path)


def _problems(names: t.Sequence[str], token: Token, probe: str, otherwise: str) -> t.Dict[str, str]:
    """Ask for all names at once. :param otherwise: what the answer of another server means here"""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in names:
        waiting.put(name)
    found: t.Dict[str, t.Optional[str]] = {}

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                name = waiting.get_nowait()
                problem = _problem_here(name, token, otherwise)
                if not problem and probe == "resolved":
                    problem = _problem_from_outside(name, token)
                found[name] = problem

    # Daemons: a server that sends a byte now and then must not keep the run.
    threads = [threading.Thread(target=work, daemon=True) for _index in range(min(_THREADS, len(names)))]
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    late = "{0}: its challenge had no answer when the " + str(PATIENCE) + " seconds for all names were over"
    answered = dict(found)
    return {name: problem for name in names for problem in [answered.get(name, late.format(name))] if problem}


def _problem_here(name: str, token: Token, otherwise: str) -> t.Optional[str]:
    """Return what is wrong with this host's own answer, or None."""
    try:
        answer = ask(name, "127.0.0.1", token.path)
    except Unanswered as error:
        try:
            # An nginx behind a load balancer that speaks the PROXY protocol hangs up on all others.
            answer = ask_behind_balancer(name, token.path)
        except Unanswered:
            return "port {0} of this host does not answer for {1}: {2}".format(PORTS["http"], name, error)
    if _is_right(answer, token):
        return None
    return "port {0} of this host answers {1} to a challenge for {2}: {3}".format(
        PORTS["http"], answer.status, name, otherwise
    )


def _problem_from_outside(name: str, token: Token) -> t.Optional[str]:
    """Return what the CA would meet at the addresses of ``name``, or None."""
    try:
        found = socket.getaddrinfo(name, PORTS["http"], type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return "{0} has no address in DNS".format(name)
        return "{0} could not be looked up: {1}".format(name, error.strerror)
    addresses = list(dict.fromkeys((family, str(address[0])) for family, _type, _proto, _name, address in found))
    wrong: t.List[str] = []
    silent: t.List[t.Tuple[int, str]] = []
    for family, address in addresses:
        said = "{0}, an address of {1}, ".format(address, name)
        try:
            answer = ask_following(name, address, token.path)
        except Astray as error:
            wrong.append(said + str(error))
        except Unanswered as error:
            silent.append((family, said + _SILENT.format(PORTS["http"], error)))
        else:
            if not _is_right(answer, token):
                wrong.append(said + _WRONG.format(answer.words))
    # CAs take the IPv4 address where the IPv6 address is silent, not where it answers wrongly.
    is_answered = len(wrong) + len(silent) < len(addresses)
    wrong += [said for family, said in silent if not (is_answered and family == socket.AF_INET6)]
    return "; ".join(wrong) or None


def _problem_of_name_server(dns: t.Mapping[str, t.Any]) -> t.Optional[str]:
    address, port = dns.get("name_server"), dns.get("name_server_port")
    if not address:
        return None
    try:
        # Updates go over TCP. certbot would wait for a minute and a half, with an order that has been placed.
        socket.create_connection((address, port), timeout=TIMEOUT).close()
    except OSError as error:
        return "the name server {0} does not answer on port {1}: {2}".format(address, port, reason_of(error))
    return None


def _is_right(answer: Answer, token: Token) -> bool:
    # CAs forgive white space at the end.
    return answer.status == 200 and answer.body.rstrip() == token.text
