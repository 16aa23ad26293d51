# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong in certbot's last run, in the CA's own words.

certbot's message hides them (Debian 12 prints "can't set attribute"), its log has every answer of the CA.

Runs inside modules and, copied beside them, inside the program asgi-deploy-certificates: only the standard
library, and nothing of Ansible.
"""

from __future__ import annotations

import calendar
import email.utils
import json
import re
import time
import typing as t
import urllib.parse

LOG = "/var/log/letsencrypt/letsencrypt.log"

#: What certbot says when its lock is held.
BUSY = "Another instance of Certbot is already running"

_RUN = "certbot version:"
_ANSWER = re.compile(
    r"Received response:\s*HTTP (\d{3})\n(.*?)\n\n(.*?)(?=^\d{4}-\d\d-\d\d \d\d:|\Z)", re.DOTALL | re.M
)
_REQUEST = re.compile(r"Sending \w+ request to (\S+)")
_FAILED = re.compile(r"^\s*Domain: (\S+)\n\s*Type: .*\n\s*Detail: (.*)$", re.MULTILINE)
_EXCEPTION = re.compile(r"(?:requests|urllib3)\.exceptions\.\w+: .*")
_REASON = re.compile(r"\[Errno -?\d+\] [^'\")]+|certificate verify failed: [^(\"]+|timed out|Read timed out")
_UNTIL = re.compile(r"retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?: UTC|Z)")
#: certbot's own phrases, which say nothing of the matter.
_PHRASES = ("Saving debug log", "Ask for help or search", "An unexpected error occurred", "- - -", "Some challenges")

_RATE_LIMIT_SECONDS = 3600


class Words(t.NamedTuple):
    """``kind`` is refused, unreachable, rate_limited, account_unknown, busy or other.

    ``names``: host name to what the CA said of it; ``retry_at``: epoch, where the CA wants to be left alone until then;
    ``code``: the CA's own name for the problem; ``forgotten_by``: host and port of each CA that did not know the
    account, for a run of the timer asks those of all lineages.
    """

    kind: str
    text: str
    names: t.Mapping[str, str] = {}
    retry_at: t.Optional[float] = None
    code: str = ""
    forgotten_by: t.Tuple[str, ...] = ()

    def account_unknown_at(self, server: str) -> bool:
        """Return whether it was this ``server`` that did not know the account, and not another lineage's."""
        return _place(server) in self.forgotten_by


def words_of_run(
    log: str, output: str, domains: t.Sequence[str] = (), now: t.Optional[float] = None, beginning: int = 0
) -> Words:
    """Return what the last run of certbot failed with.

    :param log: the text of certbot's log; earlier runs in it do not count
    :param output: what certbot printed, where it is known
    :param domains: the names that were asked for: one that the CA's words quote is taken for the refused one
    :param beginning: length of the log before the run, for one that failed before it wrote any
    """
    if BUSY in output or (not output and BUSY in log[-2000:]):
        return Words("busy", "another certbot is running on this host")
    start = log.rfind(_RUN)
    run = log[start:] if start >= beginning else ""
    names: t.Dict[str, str] = {name: _line(said) for name, said in _FAILED.findall(output)}
    last: t.Optional[t.Tuple[int, str, t.Mapping[str, t.Any]]] = None
    forgotten: t.List[str] = []
    asked, end = "", 0
    for match in _ANSWER.finditer(run):
        status, headers, text = match.groups()
        asked, end = next(reversed(_REQUEST.findall(run, end, match.start())), asked), match.end()
        body = _json(text)
        names.update(_failed_authorization(body))
        problem = body.get("error") if body.get("status") == "invalid" and "challenges" not in body else body
        if isinstance(problem, dict) and _code(problem) not in ("", "badNonce"):
            last = (int(status), headers, problem)
            if _code(problem) == "accountDoesNotExist" and asked:
                forgotten.append(_place(asked))
            names.update(_subproblems(problem))
    words = _words(last, names, domains, now) or _unreachable(run, output) or _other(run, output)
    return words._replace(forgotten_by=tuple(dict.fromkeys(forgotten)))


def _words(
    last: t.Optional[t.Tuple[int, str, t.Mapping[str, t.Any]]],
    names: t.Mapping[str, str],
    domains: t.Sequence[str],
    now: t.Optional[float],
) -> t.Optional[Words]:
    """:param last: status, headers and problem of the last answer that told of one"""
    if last and _code(last[2]) == "rateLimited":
        return _rate_limited(last[1], last[2], time.time() if now is None else now)
    if last and _code(last[2]) == "accountDoesNotExist":
        text = "the CA does not know the account: " + _detail(last[2])
        return Words("account_unknown", text, code="accountDoesNotExist")
    if last and last[0] >= 500:
        return Words("unreachable", "the CA could not answer: " + _detail(last[2]), code=_code(last[2]))
    if names:
        said = "; ".join("{0}: {1}".format(name, names[name]) for name in sorted(names))
        return Words("refused", "the CA refused: " + said, names, code=_code(last[2]) if last else "unauthorized")
    if last:
        detail = _detail(last[2])
        quoted = {name: detail for name in domains if re.search(_bounded(name), detail, re.IGNORECASE)}
        return Words("refused", "the CA refused: " + detail, quoted, code=_code(last[2]))
    return None


def _unreachable(run: str, output: str) -> t.Optional[Words]:
    # What urllib3 says of a connection ends with the reason, after the address of a Python object.
    found = _EXCEPTION.findall(run)
    if found:
        reasons = _REASON.findall(found[-1])
        said = reasons[-1].strip() if reasons else "see " + LOG
        return Words("unreachable", "the CA could not be reached: " + said)
    plain = re.findall(r"ValueError: (Requesting \S+: .*)", output)
    return Words("unreachable", "the CA could not be reached: " + plain[-1]) if plain else None


def _other(run: str, output: str) -> Words:
    text = output
    if not text.strip():
        text = "\n".join(re.findall(r":ERROR:[\w.]+:(.*)", run))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith(_PHRASES)]
    return Words("other", "certbot: " + (_line(" ".join(lines))[-1000:] or "it failed without a word, see " + LOG))


def _rate_limited(headers: str, problem: t.Mapping[str, t.Any], now: float) -> Words:
    detail = _detail(problem)
    until = _UNTIL.search(detail)
    after = re.search(r"^Retry-After: *(.+?) *$", headers, re.MULTILINE | re.IGNORECASE)
    at = now + _RATE_LIMIT_SECONDS
    if until:
        at = calendar.timegm(time.strptime(" ".join(until.groups()), "%Y-%m-%d %H:%M:%S"))
    elif after:
        at = _time_of(after[1], now) or at
    return Words("rate_limited", "the CA refused for now: " + detail, {}, max(at, now), "rateLimited")


def _time_of(value: str, now: float) -> t.Optional[float]:
    if value.isdigit():
        return now + int(value)
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError):
        return None


def _place(url: str) -> str:
    """Return host and port of an address as certbot's log has it, with what ends the sentence."""
    try:
        parts = urllib.parse.urlsplit(url.rstrip(":."))
        return "{0}:{1}".format(parts.hostname, parts.port or 443)
    except ValueError:
        return ""


def _json(text: str) -> t.Dict[str, t.Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _code(problem: t.Mapping[str, t.Any]) -> str:
    kind = problem.get("type")
    return kind.rpartition(":")[2] if isinstance(kind, str) and ":acme:error:" in kind else ""


def _detail(problem: t.Mapping[str, t.Any]) -> str:
    parts = [str(problem.get("detail") or _code(problem))]
    others = problem.get("subproblems")
    for other in others if isinstance(others, list) else []:
        if isinstance(other, dict) and not _name(other):
            parts.append(str(other.get("detail", "")))
    return _line("; ".join(filter(None, parts)))[:1000]


def _line(text: str) -> str:
    """Return a text of the CA's for a terminal and a log: one line, and nothing that moves the cursor."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()


def _name(item: t.Mapping[str, t.Any]) -> str:
    identifier = item.get("identifier")
    value = identifier.get("value") if isinstance(identifier, dict) else None
    return ("*." if item.get("wildcard") is True else "") + value if isinstance(value, str) else ""


def _failed_authorization(body: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    name, challenges = _name(body), body.get("challenges")
    if not name or body.get("status") != "invalid" or not isinstance(challenges, list):
        return {}
    errors = [item["error"] for item in challenges if isinstance(item, dict) and isinstance(item.get("error"), dict)]
    return {name: "; ".join(_detail(error) for error in errors) or "the authorization is invalid"}


def _subproblems(problem: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    found = problem.get("subproblems")
    items = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    return {_name(item): _detail(item) for item in items if _name(item)}


def _bounded(name: str) -> str:
    """Return a pattern for a host name that is no part of a longer one; the end of a sentence is none."""
    return r"(?<![\w.*-]){0}(?![\w-]|\.\w)".format(re.escape(name))
