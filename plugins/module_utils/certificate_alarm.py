# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell somebody that something is wrong with the certificates: by a command, by a webhook; and that it is well again.

The same complaints are told once a day, others at once. The webhook's address is a secret, in what it answers too.

Runs inside the program asgi-deploy-certificates, copied beside it: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import socket
import time
import typing as t
import urllib.error
import urllib.request

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked, words_of
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_state import Json, Store
from ansible_collections.asgi.deploy.plugins.module_utils.processes import run_as

#: The name of the file with what was told.
_TOLD = "alarm"

#: Seconds after which the same complaints are told again.
_AGAIN = 86400

#: Seconds before each further try.
_PAUSES = (2.0, 10.0)

_COMMAND_SECONDS = 60
_WEBHOOK_SECONDS = 10

#: What differs from one try to the next in words that mean the same: times, processes, tokens.
_VOLATILE = re.compile(r"\d{4}[-/]\d\d[-/]\d\d|\d\d:\d\d(?::\d\d(?:\.\d+)?)?|\d+#\d+|process \d+|\b(?=\w*\d)\w{20,}\b")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere becomes a GET, and nobody would get to know."""

    def redirect_request(self, *_arguments: t.Any, **_options: t.Any) -> None:
        return None


class Alarm:
    """:param targets: the ``command`` and the ``webhook`` of the configuration, each may be None"""

    def __init__(
        self, targets: t.Mapping[str, t.Optional[str]], store: Store, pauses: t.Sequence[float] = _PAUSES
    ) -> None:
        self._targets = {kind: target for kind, target in targets.items() if target}
        self._store = store
        self._pauses = pauses
        self._host = socket.gethostname()

    def raise_(self, unit: str, problems: t.Sequence[str], now: t.Optional[float] = None) -> t.List[str]:
        """Tell of ``problems`` whoever has not been told of them today. Returns what went wrong."""
        at = time.time() if now is None else now
        key = sorted({_VOLATILE.sub("0", problem) for problem in problems})
        text = "{0}: {1} with certificates ({2}):\n{3}".format(
            self._host,
            "something is wrong" if len(problems) == 1 else "{0} things are wrong".format(len(problems)),
            unit,
            "\n".join("- " + problem for problem in problems),
        )
        failures = []
        with locked(".certificates-alarm", "Another alarm", 300, unit):
            told = self._told()
            for kind, target in self._targets.items():
                before = told.get(kind)
                if before and before.get("key") == key and 0 <= at - before.get("at", 0) < _AGAIN:
                    continue
                problem = self._tell(kind, target, unit, problems, text)
                if problem:
                    failures.append(problem)
                else:
                    told[kind] = {"at": at, "key": key, "to": _identity(target)}
                    failures += self._remember(told)
        return failures

    def clear(self, unit: str) -> t.List[str]:
        """Tell those who were told of problems that all is well again. Returns what went wrong."""
        if not self._store.read(_TOLD):
            return []
        text = "{0}: all is well again with the certificates".format(self._host)
        failures = []
        with locked(".certificates-alarm", "Another alarm", 300, unit):
            told = self._told()
            for kind in list(told):
                problem = self._tell(kind, self._targets[kind] or "", unit, [], text)
                if problem:
                    failures.append(problem)
                else:
                    del told[kind]
            failures += self._remember(told)
        return failures

    def _told(self) -> Json:
        """Return what the targets of today were told."""
        known = self._store.read(_TOLD)
        return {
            kind: known[kind]
            for kind, target in self._targets.items()
            if isinstance(known.get(kind), dict) and known[kind].get("to") == _identity(target or "")
        }

    def _remember(self, told: Json) -> t.List[str]:
        try:
            self._store.write(_TOLD, told)
        except OSError as error:
            return ["the alarm was told, which could not be written down: " + words_of(error)]
        return []

    def _tell(self, kind: str, target: str, unit: str, problems: t.Sequence[str], text: str) -> t.Optional[str]:
        problem = None
        for pause in (0.0, *self._pauses):
            time.sleep(pause)
            if kind == "webhook":
                problem = _post(target, {"text": text, "host": self._host, "unit": unit, "problems": list(problems)})
            else:
                problem = _run(target, unit, list(problems) or [text], "raised" if problems else "cleared")
            if problem is None:
                return None
        return "certbot_alarm_{0}: {1}".format(kind, problem)


def _identity(target: str) -> str:
    return hashlib.sha256(target.encode()).hexdigest()


def _run(command: str, unit: str, lines: t.Sequence[str], what: str) -> t.Optional[str]:
    environment = {**os.environ, "ASGI_DEPLOY_UNIT": unit, "ASGI_DEPLOY_ALARM": what}
    done = run_as(
        ["/bin/sh", "-c", command],
        environment=environment,
        seconds=_COMMAND_SECONDS,
        umask=0o022,
        standard_input="".join(line + "\n" for line in lines),
    )
    return done.problem("the command", _COMMAND_SECONDS)


def _post(url: str, content: Json) -> t.Optional[str]:
    """Send ``content``, by the environment's proxy if there is one. Returns what went wrong, without the address."""
    body = json.dumps(content).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "asgi-deploy-certificates"}
    try:
        request = urllib.request.Request(url, body, headers, method="POST")
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_WEBHOOK_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return "it answered with the status {0}".format(error.code)
    except urllib.error.URLError as error:
        reason = error.reason
        return _without(url, words_of(reason) if isinstance(reason, BaseException) else str(reason))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _without(url, words_of(error) or "no answer")


def _without(url: str, text: str) -> str:
    # Not by urllib: it may be the address that it could not read.
    rest = url.partition("://")[2]
    password = rest.partition("@")[0].partition(":")[2] if "@" in rest else ""
    for secret in (url, rest, rest.partition("/")[2], rest.partition("?")[2], password):
        text = text.replace(secret, "***") if secret else text
    return text
