"""Requests that nginx and an application could read differently: the application gets what was meant, or nothing.

Each attack carries the target SMUGGLED where only a wrong reading takes it for a request. What counts is what the
origin has seen. MARK stands for a word that no other request has.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from machine import Machine
from origin import header, on_each, seen

NAME = "smuggling.example.test"
SITE = f"https://{NAME}"
HIDDEN = f"GET /SMUGGLED-MARK HTTP/1.1\r\nHost: {NAME}\r\n\r\n"
POST = f"POST /MARK HTTP/1.1\r\nHost: {NAME}\r\n"

#: As Content-Length counts it all of this is a body; chunked it ends at once, and another request follows.
AFTER_CHUNKS = "0\r\n\r\n" + HIDDEN
#: As chunks it is all body; a Content-Length of 4 ends before the hidden request.
IN_A_CHUNK = f"{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n"

ATTACKS = {
    "cl.te": f"{POST}Content-Length: {len(AFTER_CHUNKS)}\r\nTransfer-Encoding: chunked\r\n\r\n{AFTER_CHUNKS}",
    "te.cl": f"{POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{IN_A_CHUNK}",
    **{
        f"te: {line!r}": f"{POST}Content-Length: {len(AFTER_CHUNKS)}\r\n{line}\r\n\r\n{AFTER_CHUNKS}"
        for line in (
            "Transfer-Encoding : chunked",
            "Transfer-Encoding:\tchunked",
            "Transfer-Encoding:\x0bchunked",
            "Transfer-Encoding: xchunked",
            'Transfer-Encoding: "chunked"',
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: identity, chunked",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
            "Transfer-Encoding:\r\n chunked",
            "X: x\r\n Transfer-Encoding: chunked",
            "X: x\nTransfer-Encoding: chunked",
            "X: x\rTransfer-Encoding: chunked",
            "Transfer_Encoding: chunked",
            "transfer-encoding: CHUNKED",
            "\x00Transfer-Encoding: chunked",
            "Transfer-Encoding\x00: chunked",
        )
    },
    **{
        f"te alone: {line!r}": f"{POST}{line}\r\n\r\n{IN_A_CHUNK}"
        for line in ("Transfer-Encoding: chunked, chunked", "Transfer-Encoding: x", "Transfer_Encoding: chunked")
    },
    **{
        f"cl: {line!r}": f"{POST}{line}\r\n\r\n{HIDDEN}"
        for line in (
            f"Content-Length: {len(HIDDEN)}\r\nContent-Length: 0",
            f"Content-Length: 0\r\nContent-Length: {len(HIDDEN)}",
            f"Content-Length: 0, {len(HIDDEN)}",
            "Content-Length: -1",
            "Content-Length: +0",
            f"Content-Length: 0x{len(HIDDEN):x}",
            "Content-Length: 18446744073709551616",
            f"Content-Length: {len(HIDDEN)}\r\nContent_Length: 0",
            f"Content-Length: {len(HIDDEN)}\r\nContent-Length : 0",
            f"Content-Length:\r\n {len(HIDDEN)}",
        )
    },
    "chunk too large to count": f"{POST}Transfer-Encoding: chunked\r\n\r\n1{'0' * 16}\r\n{HIDDEN}",
    "negative chunk": f"{POST}Transfer-Encoding: chunked\r\n\r\n-1\r\n{HIDDEN}",
    "chunk in C's notation": f"{POST}Transfer-Encoding: chunked\r\n\r\n0x{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n",
    "extension": f"{POST}Transfer-Encoding: chunked\r\n\r\n{len(HIDDEN):x};a=b\r\n{HIDDEN}\r\n0;c\r\n\r\n",
    "extension with a quoted line": f'{POST}Transfer-Encoding: chunked\r\n\r\n5;a="\r\n0\r\n\r\n{HIDDEN}',
    "body without an end": f"{POST}Transfer-Encoding: chunked\r\n\r\n5\r\nab",
}


#: As long as MARK, or the lengths in the attacks would be wrong; and nothing that is in any header.
WORDS = map("".join, itertools.product("JKQVWXYZ", repeat=4))
#: Every text that a test sends, by its word. All are sent at once: most of the time nothing comes back.
TEXTS: dict[str, dict[str, Any]] = {}


def sent(text: str, **more: Any) -> str:
    """Have a text sent; the word that took the place of MARK in it."""
    word = next(WORDS)
    TEXTS[word] = {"name": NAME, "parts": [[0, text.replace("MARK", word)]], "wait": 1.5, **more}
    return word


def get(*lines: str, target: str = "/MARK") -> str:
    """Have a request with these header lines sent."""
    return sent("\r\n".join([f"GET {target} HTTP/1.1", f"Host: {NAME}", *lines, "Connection: close", "", ""]))


def each(*targets: str) -> list[Any]:
    """The parameters for a request to each of these targets, by which a case is called."""
    return [pytest.param(get(target=target), id=target) for target in targets]


class Told(NamedTuple):
    answer: str
    requests: list[dict[str, Any]]

    @property
    def status(self) -> str:
        """Empty where there was no answer."""
        return self.answer.split(" ")[1] if self.answer else ""

    @property
    def request(self) -> dict[str, Any]:
        (request,) = self.requests
        return request


def by_word(machine: Machine, answers: Mapping[str, Any]) -> dict[str, Told]:
    requests = seen(machine, "")
    return {
        word: Told(answer, [one for one in requests if word in one["target"] or word in json.dumps(one["headers"])])
        for word, answer in answers.items()
    }


@pytest.fixture(scope="module")
def everything(machines: list[Machine]) -> dict[str, dict[str, Told]]:
    def send(machine: Machine) -> dict[str, Told]:
        # The words are the same in each run of the tests.
        machine.ask("http://127.0.0.1:9000/_origin/reset")
        answers: dict[str, str] = {}
        for start in range(0, len(TEXTS), 30):
            words = list(TEXTS)[start : start + 30]
            told = machine.python("exchange.py", json.dumps([TEXTS[word] for word in words]))
            answers.update((word, one["answer"]) for word, one in zip(words, told, strict=True))
        return by_word(machine, answers)

    return on_each(machines, send)


@pytest.fixture
def told(everything: dict[str, dict[str, Told]], machine: Machine) -> dict[str, Told]:
    """What came back for each text, and what the origin has seen of it."""
    return everything[machine.name]


def listed(*texts: str, **more: Any) -> list[Any]:
    """One parameter for each text, which is its name in the report."""
    return [pytest.param(sent(text, **more), id=repr(text)) for text in texts]


class TestAttacks:
    @pytest.mark.parametrize(
        ("word", "target"),
        [
            pytest.param(sent(text.replace("POST /MARK", f"POST {place}MARK")), place, id=f"{attack} {place}")
            for place in ("/", "/direct/")
            for attack, text in ATTACKS.items()
        ],
    )
    def test_no_second_request_gets_through(self, told: dict[str, Told], word: str, target: str) -> None:
        assert [request["target"] for request in told[word].requests] in ([], [target + word])
        for request in told[word].requests:
            # One length, and no second opinion about it.
            assert header(request, "transfer-encoding") in (None, "chunked")
            assert None in (header(request, "transfer-encoding"), header(request, "content-length"))

    @pytest.mark.parametrize("word", listed(ATTACKS["cl.te"], ATTACKS["te.cl"], ATTACKS["cl: 'Content-Length: -1'"]))
    def test_what_has_two_meanings_is_refused(self, told: dict[str, Told], word: str) -> None:
        assert told[word] == Told(told[word].answer, [])
        assert told[word].status == "400"


BODY = "GET /SMUGGLED-MARK HTTP/1.1\r\n\r\n"
FOUR = (
    f"POST /MARK-1 HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
    f"GET /MARK-2 HTTP/1.1\r\nHost: {NAME}\r\n\r\n"
    f"POST /MARK-3 HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n"
    f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"
    f"GET /MARK-4 HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"
)
TRAILER = (
    f"{POST}Transfer-Encoding: chunked\r\nTrailer: X-Forwarded-For\r\nConnection: close\r\n\r\n"
    "1\r\nx\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nX-One: 1\r\n\r\n"
)


class TestPipelines:
    @pytest.mark.parametrize("word", listed(FOUR))
    def test_each_request_arrives_once_and_in_order(self, told: dict[str, Told], word: str) -> None:
        requests = told[word].requests
        assert [request["target"] for request in requests] == [f"/{word}-{number}" for number in (1, 2, 3, 4)]
        assert [request["body_size"] for request in requests] == [len(BODY), 0, len(BODY), 0]
        assert told[word].answer.count("HTTP/1.1 200 ") == 4

    @pytest.mark.parametrize("word", listed(f"GET /MARK HTTP/1.1\nHost: {NAME}\nX-One: 1\n\n"))
    def test_lines_may_end_without_a_carriage_return(self, told: dict[str, Told], word: str) -> None:
        # nginx reads them so; the application gets them as they should be.
        assert header(told[word].request, "x-one") == "1"

    @pytest.mark.parametrize(
        "word",
        [get(f"X-One: 1{between}X-Two: 2") for between in ("\r\n ", "\r\n\t", "\r", "\x00", "\x0b")],
    )
    def test_no_header_hides_in_another(self, told: dict[str, Told], word: str) -> None:
        assert len(told[word].requests) <= 1
        for request in told[word].requests:
            assert header(request, "x-two") is None
            assert not {letter for _, value in request["headers"] for letter in value} & set("\0\r\n")

    @pytest.mark.parametrize("word", listed(TRAILER, TRAILER.replace("POST /", "POST /direct/")))
    def test_a_trailer_is_no_header(self, told: dict[str, Told], word: str) -> None:
        assert header(told[word].request, "x-forwarded-for") == "127.0.0.1"
        assert header(told[word].request, "x-one") is None

    @pytest.mark.parametrize(
        "word",
        listed(
            f"GET /MARK\r\n{HIDDEN}",
            f"GET /MARK HTTP/0.9\r\n\r\n{HIDDEN}",
            f"GET /MARK HTTP/2.0\r\n\r\n{HIDDEN}",
            f"GET /MARK HTTP/1.10\r\n\r\n{HIDDEN}",
        ),
    )
    def test_other_versions_bring_nothing_along(self, told: dict[str, Told], word: str) -> None:
        assert "SMUGGLED" not in "".join(request["target"] for request in told[word].requests)

    @pytest.mark.parametrize(
        "word",
        [
            get(target=target)
            for target in (
                *("/MARK HTTP/1.1\r\nX: y", "/MARK x", "/MARK\tx", "/MARK\x0bx"),
                *("MARK", "http:/MARK", "/#/MARK"),
            )
        ],
    )
    def test_odd_targets_are_refused_or_one_request(self, told: dict[str, Told], word: str) -> None:
        assert len(told[word].requests) <= 1
        for request in told[word].requests:
            assert not set(" \t\x0b") & set(request["target"])
            assert header(request, "host") == NAME


#: An empty SETTINGS frame after the preface of HTTP/2.
PRIOR_KNOWLEDGE = sent("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", port=80)


class TestUpgrades:
    @pytest.mark.parametrize(
        "word",
        [
            get(f"Upgrade: {upgrade}", f"Connection: {connection}", "HTTP2-Settings: AAMAAABkAAQAAP__")
            for upgrade, connection in (
                ("h2c", "Upgrade, HTTP2-Settings"),
                ("h2c", "Upgrade"),
                ("websocket, h2c", "Upgrade"),
                ("h2c, websocket", "Upgrade"),
                ("websocketx", "Upgrade"),
                ("TLS/1.0", "Upgrade"),
                ("HTTP/2.0", "Upgrade"),
            )
        ],
    )
    def test_only_websockets_are_upgraded(self, told: dict[str, Told], word: str) -> None:
        assert told[word].status == "200"
        assert header(told[word].request, "upgrade") is None
        assert header(told[word].request, "connection") is None

    @pytest.mark.parametrize("word", [get("Upgrade: websocket", "Upgrade: h2c", "Sec-WebSocket-Key: a2V5")])
    def test_of_two_upgrades_h2c_is_none(self, told: dict[str, Told], word: str) -> None:
        # Debian 12's nginx takes the first, Debian 13's both together, which is no WebSocket.
        assert header(told[word].request, "upgrade") in (None, "websocket")

    def test_http_2_without_tls_is_not_spoken(self, told: dict[str, Told]) -> None:
        assert not told[PRIOR_KNOWLEDGE].answer.startswith("\0\0")


class TestClaims:
    """Headers by which a client says who it is, where it comes from, or what it asked for."""

    @pytest.mark.parametrize(
        ("word", "name", "expected"),
        [
            pytest.param(get(line), line.split(":")[0].lower(), expected, id=line)
            for line, expected in (
                ("X-Forwarded-For: 6.6.6.6", "127.0.0.1"),
                ("x-forwarded-for: 6.6.6.6", "127.0.0.1"),
                ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7", "127.0.0.1"),
                ("X-Real-IP: 6.6.6.6", "127.0.0.1"),
                ("X-Forwarded-Proto: http", "https"),
                ("X-Forwarded-Host: evil.example", NAME),
                ("X-Forwarded-Port: 1", "443"),
                ("Forwarded: for=6.6.6.6;host=evil.example", None),
                ("X-Forwarded-Prefix: /evil", None),
                ("X-Forwarded-Server: evil.example", None),
                ("X-Forwarded-Ssl: off", None),
                ("X-Forwarded-Scheme: http", None),
                ("X-Forwarded-User: admin", None),
                ("X-Scheme: http", None),
                ("X-Script-Name: /evil", None),
                ("Front-End-Https: off", None),
                ("X-Original-URL: /inside/", None),
                ("X-Rewrite-URL: /inside/", None),
                ("X-Client-IP: 6.6.6.6", None),
                ("X-Cluster-Client-IP: 6.6.6.6", None),
                ("True-Client-IP: 6.6.6.6", None),
                ("CF-Connecting-IP: 6.6.6.6", None),
                ("X-Client-Subject: CN=admin", None),
                ("X-Client-Fingerprint: 00", None),
                ("Proxy: http://evil.example/", None),
            )
        ],
    )
    def test_none_of_them_is_believed(self, told: dict[str, Told], word: str, name: str, expected: str | None) -> None:
        assert header(told[word].request, name) == expected

    @pytest.mark.parametrize("word", [get("X-Client-Verify: SUCCESS")])
    def test_nobody_is_verified(self, told: dict[str, Told], word: str) -> None:
        assert header(told[word].request, "x-client-verify") in (None, "NONE")

    @pytest.mark.parametrize(
        "word",
        [
            get(f"{name}: evil")
            for name in ("X_Forwarded_For", "X_Real_IP", "X_Client_Verify", "X-Forwarded_For", "HTTP_HOST", "X.Real.IP")
        ],
    )
    def test_underscores_are_no_hyphens(self, told: dict[str, Told], word: str) -> None:
        # WSGI and CGI make one name of X-Real-IP and X_Real_IP.
        assert [name for name, value in told[word].request["headers"] if value == "evil" and "_" in name] == []

    @pytest.mark.parametrize("word", [get("Connection: X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, Host")])
    def test_connection_does_not_take_headers_out(self, told: dict[str, Told], word: str) -> None:
        # It names the headers that end at the next hop: one that an application trusts must not.
        request = told[word].request
        assert header(request, "connection") is None
        assert header(request, "x-forwarded-for") == header(request, "x-real-ip") == "127.0.0.1"
        assert header(request, "x-forwarded-proto") == "https"

    @pytest.mark.parametrize("word", [get("X-Request-ID: chosen")])
    def test_the_id_of_a_request_is_ours(self, told: dict[str, Told], word: str) -> None:
        ours = header(told[word].request, "x-request-id")
        assert ours
        assert ours != "chosen"
        assert f"\r\nX-Request-ID: {ours}\r\n" in told[word].answer


def host(first: str, *hosts: str, port: int = 443) -> Any:
    name = NAME if port == 443 else "clear.example.test"
    text = "\r\n".join([first, *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]).replace(NAME, name)
    return pytest.param(sent(text, port=port), id=repr(text.replace("\r\nConnection: close\r\n\r\n", "")))


NAMELESS = sent("GET /MARK HTTP/1.0\r\n\r\n", port=80)


class TestHosts:
    @pytest.mark.parametrize(
        "word",
        [
            host(first, *hosts, port=port)
            for port in (443, 80)
            for first, *hosts in (
                ("GET /MARK HTTP/1.1", NAME, "evil.example"),
                ("GET /MARK HTTP/1.1", NAME, NAME),
                ("GET /MARK HTTP/1.1",),
                ("GET /MARK HTTP/1.1", f"evil.example/{NAME}"),
                ("GET /MARK HTTP/1.1", f"{NAME}/evil"),
                ("GET /MARK HTTP/1.1", f"{NAME} evil.example"),
                ("GET /MARK HTTP/1.1", f"{NAME}\x00"),
                ("GET /MARK HTTP/1.1", f"{NAME}?"),
                ("GET /MARK HTTP/1.1", "evil.example"),
                ("GET /MARK HTTP/1.1", f"{NAME}.evil.example"),
                ("GET /MARK HTTP/1.1", f"evil.example@{NAME}"),
                ("GET /MARK HTTP/1.1", "127.0.0.1"),
                ("GET /MARK HTTP/1.1", ""),
                ("GET https://evil.example/MARK HTTP/1.1", NAME),
                (f"GET https://{NAME}@evil.example/MARK HTTP/1.1", NAME),
            )
        ],
    )
    def test_strangers_get_nothing(self, told: dict[str, Told], word: str) -> None:
        assert told[word].status in ("", "400", "421")
        assert told[word].requests == []

    @pytest.mark.parametrize(
        "word",
        [
            host("GET /MARK HTTP/1.1", f"{NAME}:443"),
            host("GET /MARK HTTP/1.1", f"{NAME}:1"),
            host("GET /MARK HTTP/1.1", NAME.upper()),
            host("GET /MARK HTTP/1.1", f"{NAME}."),
            host(f"GET https://{NAME}/MARK HTTP/1.1", "evil.example"),
            host(f"GET https://{NAME}:1/MARK HTTP/1.1", "evil.example"),
            host("GET /MARK HTTP/1.0", NAME),
        ],
    )
    def test_the_application_is_told_the_sites_name(self, told: dict[str, Told], word: str) -> None:
        request = told[word].request
        assert request["target"] == f"/{word}"
        assert header(request, "host") == NAME
        assert header(request, "x-forwarded-host") == NAME

    @pytest.mark.parametrize(("word", "status"), [(sent("GET /MARK HTTP/1.0\r\n\r\n"), "421"), (NAMELESS, "")])
    def test_without_any_name_nobody_is_asked(self, told: dict[str, Told], word: str, status: str) -> None:
        # The name of the handshake is none of the request.
        assert told[word].status == status
        assert told[word].requests == []


class TestPaths:
    @pytest.mark.parametrize(
        "word",
        each(
            "/inside/MARK",
            "//inside/MARK",
            "/./inside/MARK",
            "/x/../inside/MARK",
            "/%69nside/MARK",
            "/inside%2fMARK",
            "/inside%2FMARK",
            "/x%2f..%2finside/MARK",
            "/%2e%2e/inside/MARK",
            "/stripped/../inside/MARK",
            f"https://{NAME}/inside/MARK",
            "/inside/MARK?/../",
        ),
    )
    def test_a_rule_holds_for_each_spelling_of_its_path(self, told: dict[str, Told], word: str) -> None:
        assert told[word].status in ("400", "403")
        assert told[word].requests == []

    @pytest.mark.parametrize(
        ("word", "passed"),
        [
            pytest.param(get(target=target), target, id=target)
            for target in (
                "/MARK%0d%0aX-Evil:%201",
                "/MARK%20x?a=%0d%0a",
                "/MARK//x",
                "/MARK/x..y/x../z",
                "/MARK/./x",
                "/MARK?%2f../%2f",
                "/MARK?/../x",
            )
        ],
    )
    def test_the_application_sees_the_path_as_it_was_sent(self, told: dict[str, Told], word: str, passed: str) -> None:
        assert told[word].request["target"] == passed.replace("MARK", word)

    @pytest.mark.parametrize(
        "word",
        each(
            "/inside/../MARK",
            "/MARK/x/..",
            "/inside/%2e%2e/MARK",
            "/inside/.%2E/MARK",
            "/inside%2f..%2fMARK",
            "/inside/..%2FMARK",
            "/inside/../MARK?a=b",
            "/inside/..?MARK",
            "/inside/..#MARK",
            f"https://{NAME}/inside/../MARK",
            "/MARK/x/../y",
        ),
    )
    def test_nobody_leaves_a_rule_by_dots_that_only_nginx_resolves(self, told: dict[str, Told], word: str) -> None:
        assert told[word].status == "400"
        assert told[word].requests == []

    @pytest.mark.parametrize("word", [get(target="/MARK%00"), get(target="/MARK%"), get(target="/MARK%0")])
    def test_what_is_no_path_is_refused(self, told: dict[str, Told], word: str) -> None:
        assert told[word].status == "400"
        assert told[word].requests == []

    @pytest.mark.parametrize(
        "word",
        [
            get(target="/stripped/MARK%0d%0aX-Evil:%201"),
            get(target="/stripped/MARK%20HTTP/1.1%0d%0a%0d%0aGET%20/SMUGGLED-MARK"),
        ],
    )
    def test_a_stripped_path_ends_no_line(self, told: dict[str, Told], word: str) -> None:
        target = told[word].request["target"]
        assert target.startswith(f"/{word}%")
        assert " " not in target
        assert header(told[word].request, "x-evil") is None


GET2 = {":method": "GET", ":scheme": "https", ":authority": NAME, ":path": "/MARK"}


def pairs(**changes: str | None) -> list[tuple[str, str]]:
    """The header list of a request, with other pseudo headers; None leaves one out."""
    wanted = {**GET2, **{f":{name}": value for name, value in changes.items()}}
    return [(name, value) for name, value in wanted.items() if value is not None]


HTTP2 = {
    "nothing odd": pairs(),
    "no path": pairs(path=None),
    "no method": pairs(method=None),
    "no scheme": pairs(scheme=None),
    "empty path": pairs(path=""),
    "relative path": pairs(path="MARK"),
    "two paths": [*pairs(), (":path", "/SMUGGLED-MARK")],
    "two methods": [*pairs(), (":method", "POST")],
    "two authorities": [*pairs(), (":authority", "evil.example")],
    "unknown pseudo header": [*pairs(), (":evil", "1")],
    "pseudo header after another": [("x-one", "1"), *pairs()],
    "path with a line": pairs(path="/MARK HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET /SMUGGLED-MARK"),
    "path with a space": pairs(path="/MARK HTTP/1.1 x"),
    "method with a line": pairs(method=f"GET /SMUGGLED-MARK HTTP/1.1\r\nHost: {NAME}\r\n\r\nGET"),
    "method with a space": pairs(method="GET /SMUGGLED-MARK HTTP/1.1 GET"),
    "authority with a line": pairs(authority=f"{NAME}\r\nX-Evil: 1"),
    "authority with a path": pairs(authority=f"{NAME}/SMUGGLED-MARK"),
    "authority with a user": pairs(authority=f"evil.example@{NAME}"),
    "another authority": pairs(authority="evil.example"),
    "no authority": pairs(authority=None),
    "scheme with a path": pairs(scheme="https://evil.example/?"),
    "another host": [*pairs(), ("host", "evil.example")],
    "value with a line": [*pairs(), ("x-one", "1\r\nX-Evil: 1")],
    "value with a line feed": [*pairs(), ("x-one", "1\nX-Evil: 1")],
    "value with NUL": [*pairs(), ("x-one", "1\0X-Evil: 1")],
    "name with a line": [*pairs(), ("x-one: 1\r\nx-evil", "1")],
    "name with a colon": [*pairs(), ("x-evil: 1", "1")],
    "name in capitals": [*pairs(), ("X-Evil", "1")],
    "name with a space": [*pairs(), ("x-evil ", "1")],
    "empty name": [*pairs(), ("", "1")],
    "transfer-encoding": [*pairs(method="POST"), ("transfer-encoding", "chunked")],
    "short content-length": [*pairs(method="POST"), ("content-length", "0")],
    "long content-length": [*pairs(method="POST"), ("content-length", "1000")],
    "two content-lengths": [*pairs(method="POST"), ("content-length", "0"), ("content-length", str(len(AFTER_CHUNKS)))],
    "connection": [*pairs(), ("connection", "upgrade"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")],
    "underscore": [*pairs(), ("x_evil", "1"), ("x_forwarded_for", "6.6.6.6")],
}


class TestHttp2:
    @pytest.fixture(scope="class")
    @classmethod
    def frames(cls, machines: list[Machine], everything: object) -> dict[str, dict[str, Any]]:
        """By host and attack: what nginx said, and the requests that the origin has seen."""
        words = {attack: next(WORDS) for attack in HTTP2}
        plan = []
        for attack, headers in HTTP2.items():
            request: dict[str, Any] = {"headers": headers}
            if (":method", "POST") in headers and attack != "two methods":
                request["data"] = AFTER_CHUNKS
            text = json.dumps({"name": NAME, "requests": [request]})
            plan.append(json.loads(text.replace("MARK", words[attack])))

        def send(machine: Machine) -> dict[str, Any]:
            answers = machine.python("frames.py", json.dumps(plan))
            told = by_word(machine, dict(zip(words.values(), answers, strict=True)))
            return {attack: told[word] for attack, word in words.items()}

        return on_each(machines, send)

    @pytest.mark.parametrize("attack", HTTP2)
    def test_the_application_sees_one_clean_request_or_none(
        self, machine: Machine, frames: dict[str, Any], attack: str
    ) -> None:
        requests = frames[machine.name][attack].requests
        assert len(requests) <= 1
        for request in requests:
            assert "SMUGGLED" not in request["target"]
            assert " " not in request["target"]
            assert header(request, "host") == NAME
            assert header(request, "x-evil") is None
            assert header(request, "x_evil") is None
            assert header(request, "connection") is None
            assert header(request, "upgrade") is None
            assert header(request, "x-forwarded-for") == "127.0.0.1"
            assert None in (header(request, "transfer-encoding"), header(request, "content-length"))

    @pytest.mark.parametrize(
        "attack",
        [attack for attack in HTTP2 if attack.startswith(("path with", "method with", "value with", "authority with"))],
    )
    def test_what_would_end_a_line_is_refused(self, machine: Machine, frames: dict[str, Any], attack: str) -> None:
        answer, requests = frames[machine.name][attack]
        assert requests == []
        statuses = {stream["status"] for stream in answer["streams"].values()}
        assert statuses <= {None, 400, 405, 421}

    def test_a_plain_request_passes(self, machine: Machine, frames: dict[str, Any]) -> None:
        # Or the tests above would prove nothing.
        answer, requests = frames[machine.name]["nothing odd"]
        assert answer["streams"]["1"]["status"] == 200
        assert len(requests) == 1
