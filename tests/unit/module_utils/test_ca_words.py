# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of certbot failed with, out of its log and its output."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import words_of_run

NOW = 1_800_000_000.0
NAMES = ["a.example.com", "b.example.com", "c.example.com"]

REFUSED_CONNECTION = (
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='localhost', port=14000): Max retries exceeded with "
    "url: /dir (Caused by NewConnectionError('<urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish "
    "a new connection: [Errno 111] Connection refused'))"
)
UNTRUSTED = (
    "requests.exceptions.SSLError: HTTPSConnectionPool(host='localhost', port=14000): Max retries exceeded with url: "
    "/dir (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
    "unable to get local issuer certificate (_ssl.c:992)')))"
)
BOILERPLATE = (
    "Saving debug log to /var/log/letsencrypt/letsencrypt.log\nAn unexpected error occurred:\n{0}\nAsk for help or "
    "search for solutions at https://community.letsencrypt.org. See the logfile or re-run Certbot with -v.\n"
)


def answer(body: t.Any, status: int = 400, headers: str = "Content-Type: application/problem+json") -> str:
    return f"2026-11-21 02:49:21,834:DEBUG:acme.client:Received response:\nHTTP {status}\n{headers}\n\n{_text(body)}\n"


def _text(body: t.Any) -> str:
    return body if isinstance(body, str) else json.dumps(body, indent=3)


def log(*answers: str) -> str:
    """A log as certbot has it: an earlier run with a failure of its own stands before the last one."""
    run = "2026-11-20 {0}:00:00,000:DEBUG:certbot._internal.main:certbot version: 2.1.0\n"
    old = answer(problem("rejectedIdentifier", "of an earlier run"))
    return run.format(10) + old + run.format(11) + "".join(answers) + "2026-11-20 11:00:01,000:DEBUG:certbot:end\n"


def problem(code: str, detail: str, **more: t.Any) -> dict[str, t.Any]:
    return {"type": "urn:ietf:params:acme:error:" + code, "detail": detail, **more}


def sub(name: str, detail: str) -> dict[str, t.Any]:
    return problem("rejectedIdentifier", detail, identifier={"type": "dns", "value": name})


def authorization(name: str, detail: str, **more: t.Any) -> dict[str, t.Any]:
    error = problem("unauthorized", detail)
    challenges = [{"type": "http-01", "status": "invalid", "error": error}]
    return {"status": "invalid", "identifier": {"type": "dns", "value": name}, "challenges": challenges, **more}


@pytest.mark.parametrize(
    ("answers", "text", "names"),
    [
        ([problem("rejectedIdentifier", 'forbidden by policy: "b.example.com"')],
         'forbidden by policy: "b.example.com"', {"b.example.com"}),
        ([problem("rejectedIdentifier", "one of them", subproblems=[sub("b.example.com", "not this")])],
         "b.example.com: not this", {"b.example.com"}),
        ([authorization("a.example.com", "404"), authorization("b.example.com", "no\n\taddress")],
         "a.example.com: 404; b.example.com: no address", {"a.example.com", "b.example.com"}),
        ([authorization("example.com", "no record", wildcard=True)], "*.example.com: no record", {"*.example.com"}),
        # A challenge is polled: what came last counts, and a pending one is none.
        ([{**authorization("a.example.com", "x"), "status": "pending"}, authorization("a.example.com", "404")],
         "a.example.com: 404", {"a.example.com"}),
        ([{"status": "invalid", "error": problem("badCSR", "key is on a list")}], "key is on a list", set()),
        # certbot asks again with the fresh nonce.
        ([problem("badNonce", "anti-replay"), problem("unauthorized", "no binding")], "no binding", set()),
        ([problem("malformed", "see b.example.com.evil.org and xb.example.com")],
         "see b.example.com.evil.org and xb.example.com", set()),
        ([problem("malformed", "not for a.example.com.")], "not for a.example.com.", {"a.example.com"}),
    ],
)  # fmt: skip
def test_refused(answers: list[t.Any], text: str, names: set[str]) -> None:
    words = words_of_run(log(*map(answer, answers)), BOILERPLATE.format("AttributeError: can't set attribute"), NAMES)
    assert (words.kind, words.text, set(words.names)) == ("refused", "the CA refused: " + text, names)


def test_names_without_a_log() -> None:
    output = "  Domain: a.example.com\n  Type:   unauthorized\n  Detail: 1.2.3.4: no answer\n"
    words = words_of_run("", output)
    assert (words.kind, words.names) == ("refused", {"a.example.com": "1.2.3.4: no answer"})


@pytest.mark.parametrize(
    ("detail", "headers", "seconds"),
    [
        ("too many, retry after 2027-01-15 09:00:00 UTC: see https://x", "", 3600),
        ("too many", "Retry-After: 120", 120),
        ("too many", "retry-after: Fri, 15 Jan 2027 08:10:00 GMT", 600),
        ("too many", "Retry-After: soon", 3600),
        ("too many", "", 3600),
        # A clock that is ahead of the CA's: not before now.
        ("retry after 2020-01-01 00:00:00 UTC", "", 0),
    ],
)
def test_rate_limited(detail: str, headers: str, seconds: int) -> None:
    written = log(answer(problem("rateLimited", detail), 429, "Server: x\n" + headers))
    words = words_of_run(written, "", NAMES, now=NOW)
    assert (words.kind, words.text) == ("rate_limited", "the CA refused for now: " + detail)
    assert words.retry_at == NOW + seconds


def test_the_account_is_unknown() -> None:
    words = words_of_run(log(answer(problem("accountDoesNotExist", "Account 1 not found."))), "")
    assert (words.kind, words.text) == ("account_unknown", "the CA does not know the account: Account 1 not found.")


def request(url: str, method: str = "POST") -> str:
    end = f"{url}:\n{{}}" if method == "POST" else f"{url}."
    return f"2026-11-21 02:49:21,800:DEBUG:acme.client:Sending {method} request to {end}\n"


def test_which_cas_do_not_know_it() -> None:
    """A run of the timer asks the CAs of all lineages; what one of them has forgotten the others may still have."""
    unknown = answer(problem("accountDoesNotExist", "Account 1 not found."))
    one, two, three = "https://one.example.com:14000", "https://two.example.com", "https://three.example.com"
    written = log(
        request(one + "/dir", "GET"), answer("{}", 200), request(one + "/order"), unknown,
        request(two + "/dir", "GET"), answer("{}", 200), request(two + "/order"), unknown,
        request(three + "/dir", "GET"), answer("{}", 200), request(three + "/order"), answer(problem("malformed", "x")),
    )  # fmt: skip
    words = words_of_run(written, "")
    assert words.kind == "refused"
    known = {server: words.account_unknown_at(server + "/dir") for server in (one, two, three)}
    assert known == {one: True, two: True, three: False}
    assert not words.account_unknown_at("https://one.example.com/dir")
    # A log that does not say whom it was about is no reason to give an account up.
    assert not words_of_run(log(unknown), "").account_unknown_at(one)


@pytest.mark.parametrize(
    ("written", "output", "text"),
    [
        ("requests.exceptions.ConnectionError: [Errno 1] first\n" + REFUSED_CONNECTION + "\n", "",
         "the CA could not be reached: [Errno 111] Connection refused"),
        (UNTRUSTED + "\n", "",
         "the CA could not be reached: certificate verify failed: unable to get local issuer certificate"),
        ("", "ValueError: Requesting localhost/dir: Connection refused\n",
         "the CA could not be reached: Requesting localhost/dir: Connection refused"),
        (answer(problem("serverInternal", "we are down"), 500), "", "the CA could not answer: we are down"),
    ],
)  # fmt: skip
def test_unreachable(written: str, output: str, text: str) -> None:
    words = words_of_run(log(written), output)
    assert (words.kind, words.text) == ("unreachable", text)


def test_another_certbot() -> None:
    output = "Another instance of Certbot is already running.\n"
    assert words_of_run(log(answer(problem("malformed", "x"))), output).kind == "busy"


@pytest.mark.parametrize(
    ("written", "output", "text"),
    [
        (log(), BOILERPLATE.format("Server requires external account binding."),
         "certbot: Server requires external account binding."),
        (log("2026-11-20 11:00:00,000:ERROR:certbot._internal.log:Unable to open config file\n"), "",
         "certbot: Unable to open config file"),
        (log(), "x" * 2000 + " the end\n", "certbot: " + "x" * 992 + " the end"),
        ("", "", "certbot: it failed without a word, see /var/log/letsencrypt/letsencrypt.log"),
        (log(answer("<html>a proxy</html>", 502)), BOILERPLATE.format("a proxy"), "certbot: a proxy"),
        (log(answer([1, 2])), "what", "certbot: what"),
    ],
)  # fmt: skip
def test_others(written: str, output: str, text: str) -> None:
    words = words_of_run(written, output)
    assert (words.kind, words.text) == ("other", text)


def test_a_run_that_wrote_no_log_is_not_taken_for_the_one_before() -> None:
    written = log(answer(problem("rejectedIdentifier", "no")))
    assert words_of_run(written, "").kind == "refused"
    assert words_of_run(written, "/srv does not exist", beginning=len(written)).text == "certbot: /srv does not exist"


def test_what_moves_a_cursor_is_left_out() -> None:
    words = words_of_run(log(answer(problem("malformed", "\x1b[2J red\r\nnext"))), "")
    assert words.text == "the CA refused: [2J red next"
    assert words_of_run("", "a\x1b]0;b\x07\x9bc\n").text == "certbot: a ]0;b c"
    assert words_of_run("", "Domain: a\nType: b\nDetail: c\x1bd\n").names == {"a": "c d"}
