"""Redirects go where the inventory says, whatever the client sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from machine import Machine
from origin import mark, on_each, seen

NAME = "redirects.example.test"
SITE = f"https://{NAME}"


class TestNames:
    @pytest.mark.parametrize(("name", "status"), [("www.old.example.test", 308), ("old.example.test", 302)])
    @pytest.mark.parametrize("path", ["/", "/a/b?c=d&e=%2F", "/%0d%0aSet-Cookie:%20a=b", "//evil.example/"])
    def test_a_name_is_redirected_whole(self, machine: Machine, name: str, status: int, path: str) -> None:
        answer = machine.ask(f"https://{name}{path}", "--insecure", "--path-as-is")
        assert answer.status == status
        assert answer.header("location") == f"{SITE}{path}"
        assert "set-cookie" not in answer.headers

    def test_a_name_comes_over_https_first(self, machine: Machine) -> None:
        # So that browsers learn there to come by HTTPS to this name too.
        answer = machine.ask("http://old.example.test/a?b=c")
        assert (answer.status, answer.header("location")) == (308, "https://old.example.test/a?b=c")

    def test_http_goes_to_https_of_the_same_name(self, machine: Machine) -> None:
        answer = machine.ask(f"http://{NAME}/a?b=c")
        assert (answer.status, answer.header("location")) == (308, f"{SITE}/a?b=c")

    def test_http_of_a_wildcard_goes_to_https_of_the_same_name(self, machine: Machine) -> None:
        name = f"any.{NAME}"
        answer = machine.ask(f"http://{name}/a", "--connect-to", "::127.0.0.1:")
        assert (answer.status, answer.header("location")) == (308, f"https://{name}/a")

    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.parametrize("prefix", ["evil.example#", "evil.example?", "a@", "a b"])
    def test_below_a_wildcard_only_names_are_names(self, machine: Machine, scheme: str, prefix: str) -> None:
        marked = mark()
        url, host = f"{scheme}://any.{NAME}/{marked}", f"Host: {prefix}.{NAME}"
        answer = machine.ask(url, "--connect-to", "::127.0.0.1:", "--insecure", "--header", host)
        assert answer.status in (0, 400), "an answer to a name that is none"
        assert seen(machine, marked) == []

    def test_without_tls_it_stays_so(self, machine: Machine) -> None:
        answer = machine.ask("http://www.plain.example.test/a?b=c")
        assert (answer.status, answer.header("location")) == (308, "http://plain.example.test/a?b=c")

    @pytest.mark.parametrize("line", ["X-Forwarded-Host: evil.example", "Forwarded: host=evil.example"])
    def test_no_header_changes_the_place(self, machine: Machine, line: str) -> None:
        answer = machine.ask("https://old.example.test/", "--insecure", "--header", line)
        assert answer.header("location") == f"{SITE}/"


class TestPaths:
    # To a path and not a URL: whatever name and port the client came by, it stays there.
    @pytest.mark.parametrize(
        ("path", "status", "place"),
        [
            ("/exact", 308, "/new"),
            ("/exact?a=1&b=%2F", 308, "/new?a=1&b=%2F"),
            ("/tree/", 308, "/new/"),
            ("/tree/a/b?c=d", 308, "/new/a/b?c=d"),
            ("/tree/a%20b%2Fc", 308, "/new/a%20b%2Fc"),
            ("/away?a=1", 301, "https://elsewhere.example.test/there?from=here"),
            ("/out/a/b?c=d", 302, "https://elsewhere.example.test/base/a/b?c=d"),
            ("/see", 303, "/other"),
            ("/again?x", 307, "/kept?x"),
        ],
    )
    def test_a_path_is_redirected(self, machine: Machine, path: str, status: int, place: str) -> None:
        answer = machine.ask(SITE + path)
        assert (answer.status, answer.header("location")) == (status, place)

    @pytest.mark.parametrize("path", ["/exactly", "/exact/", "/tree", "/treehouse/", "/tree/kept/", "/outside"])
    def test_its_neighbours_are_not(self, machine: Machine, path: str) -> None:
        answer = machine.ask(SITE + path)
        assert (answer.status, answer.json()["target"]) == (200, path)

    def test_a_client_that_follows_arrives_with_its_body(self, machine: Machine) -> None:
        answer = machine.ask(SITE + "/tree/a?b=c", "--location", "--data", "kept")
        request = answer.json()
        assert (request["method"], request["target"], request["body"]) == ("POST", "/new/a?b=c", "kept")

    def test_without_tls_too(self, machine: Machine) -> None:
        answer = machine.ask("http://plain.example.test/exact")
        assert answer.header("location") == "/new"


HOSTILE = [
    *("/evil.example", "//evil.example", "\\\\evil.example", "/\\evil.example", "%2fevil.example", "%5cevil.example"),
    *("%0d%0aSet-Cookie:%20a=b", "%0d%0a%0d%0a<script>", "%00", "https://evil.example/", "@evil.example"),
    *("../../evil", ".evil.example", "a b", "a\tb"),
]
FORGED = ["evil.example", f"{NAME}.evil.example", f"evil.example@{NAME}"]
SPELLINGS = [f"{NAME}:444", NAME.upper(), f"{NAME}."]


class TestHostileTargets:
    @pytest.fixture(scope="class")
    @classmethod
    def heads(cls, machines: list[Machine]) -> dict[str, dict[tuple[int, str, str], str]]:
        """By host: the head of the answer to each target, by port, path and Host."""
        wanted = [(443, f"{start}{rest}", NAME) for start in ("/tree/", "/out/") for rest in HOSTILE]
        places = [(port, path) for port in (80, 443) for path in ("/", "/exact", "/tree/a")]
        wanted += [(port, path, host) for port, path in places for host in FORGED + SPELLINGS]
        plan = []
        for port, path, host in wanted:
            text = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            plan.append({"name": NAME, "port": port, "parts": [[0, text]]})

        def send(machine: Machine) -> dict[tuple[int, str, str], str]:
            answers = []
            for start in range(0, len(plan), 30):
                answers += machine.python("exchange.py", json.dumps(plan[start : start + 30]))
            heads = [answer["answer"].partition("\r\n\r\n")[0] + "\r\n" for answer in answers]
            return dict(zip(wanted, heads, strict=True))

        return on_each(machines, send)

    @pytest.mark.parametrize("start", ["/tree/", "/out/"])
    @pytest.mark.parametrize("rest", HOSTILE)
    def test_nobody_is_sent_elsewhere(self, machine: Machine, heads: dict[str, Any], start: str, rest: str) -> None:
        lines = heads[machine.name][443, f"{start}{rest}", NAME].split("\r\n")
        assert not [line for line in lines if line.lower().startswith("set-cookie")]
        places = [line.partition(": ")[2] for line in lines if line.lower().startswith("location")]
        if lines[0].split(" ")[1] == "400":
            assert places == []
            return
        # What left the folder by .. is the application's business, and a hidden file is none.
        base = "/new/" if start == "/tree/" else "https://elsewhere.example.test/base/"
        assert len(places) == (0 if rest.startswith(".") else 1)
        for place in places:
            assert place.startswith(base)
            # A browser takes both slashes for the beginning of another host.
            assert place.removeprefix(base)[:1] not in ("/", "\\")

    @pytest.mark.parametrize("host", FORGED)
    @pytest.mark.parametrize("port", [80, 443])
    def test_a_forged_host_is_no_place_to_go(
        self, machine: Machine, heads: dict[str, Any], host: str, port: int
    ) -> None:
        for path in ("/", "/exact", "/tree/a"):
            assert "evil" not in heads[machine.name][port, path, host]

    @pytest.mark.parametrize("host", SPELLINGS)
    def test_another_spelling_of_the_host_goes_to_the_right_one(
        self, machine: Machine, heads: dict[str, Any], host: str
    ) -> None:
        assert f"\r\nLocation: {SITE}/exact\r\n" in heads[machine.name][80, "/exact", host]
        assert "\r\nLocation: /new\r\n" in heads[machine.name][443, "/exact", host]
