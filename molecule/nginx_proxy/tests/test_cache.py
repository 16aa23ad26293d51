"""A cache that is shared by nobody who must not share it. X-Cache says what was done."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from machine import Answer, Machine, wait_for
from origin import header, mark, on_each, seen

CACHE = "https://cache.example.test"
#: What the application says so that its answer may be kept.
KEEP = "header=Cache-Control:max-age=60"
ORIGIN = 9001


def path(place: str = "/", *query: str) -> tuple[str, str]:
    """A path that no other test asks for, and its mark."""
    marked = mark()
    return f"{place}{marked}{'?' if query else ''}{'&'.join(query)}", marked


def twice(machine: Machine, url: str, *options: str) -> list[str]:
    """What the cache says of two requests."""
    return [machine.ask(url, *options).header("x-cache") for _ in range(2)]


class TestWhatIsKept:
    def test_the_second_answer_comes_from_the_cache(self, machine: Machine) -> None:
        target, marked = path("/", KEEP)
        first, second = (machine.ask(CACHE + target) for _ in range(2))
        assert [first.header("x-cache"), second.header("x-cache")] == ["MISS", "HIT"]
        assert first.body == second.body
        assert len(seen(machine, marked, ORIGIN)) == 1

    def test_security_headers_are_on_both(self, machine: Machine) -> None:
        target, _ = path("/", KEEP)
        for _ in range(2):
            answer = machine.ask(CACHE + target)
            assert answer.header("x-content-type-options") == "nosniff"
            assert answer.header("strict-transport-security") == "max-age=63072000"

    def test_each_answer_has_an_id_of_its_own(self, machine: Machine) -> None:
        target, _ = path("/", KEEP)
        assert len({machine.ask(CACHE + target).header("x-request-id") for _ in range(3)}) == 3

    def test_the_applications_own_do_not_pass(self, machine: Machine) -> None:
        """Kept, they would be those of another request; each comes once."""
        for place, expected in (("/", ["MISS", "HIT"]), ("/off/", [])):
            target, _ = path(place, KEEP, "header=X-Request-ID:own", "header=X-Cache:own")
            answers = [machine.ask(CACHE + target) for _ in range(2)]
            assert [value for answer in answers for value in answer.headers.get("x-cache", [])] == expected
            ids = {answer.header("x-request-id") for answer in answers}
            assert len(ids - {"own"}) == 2

    def test_without_a_word_of_the_application_nothing_is_kept(self, machine: Machine) -> None:
        assert twice(machine, CACHE + path()[0]) == ["MISS", "MISS"]

    def test_valid_is_for_answers_that_say_nothing(self, machine: Machine) -> None:
        assert twice(machine, CACHE + path("/minute/")[0]) == ["MISS", "HIT"]

    def test_what_nginx_has_not_seen_decides_nothing(self, machine: Machine) -> None:
        """A body that is passed on as it comes may change the answer."""
        target, marked = path("/direct/", KEEP)
        for _ in range(2):
            answer = machine.ask(CACHE + target, "--request", "GET", "--data", "body")
            assert (answer.status, answer.headers.get("x-cache")) == (200, None)
        assert len(seen(machine, marked, ORIGIN)) == 2

    @pytest.mark.parametrize("said", ["no-store", "no-cache", "private", "max-age=0", "private, max-age=60"])
    def test_valid_does_not_overrule_the_application(self, machine: Machine, said: str) -> None:
        target, _ = path("/minute/", f"header=Cache-Control:{quote(said)}")
        assert "HIT" not in twice(machine, CACHE + target)

    def test_the_applications_time_is_shorter_than_valid(self, machine: Machine) -> None:
        target, marked = path("/minute/", "header=Cache-Control:max-age=1")
        assert twice(machine, CACHE + target) == ["MISS", "HIT"]
        time.sleep(2.1)
        machine.ask(CACHE + target)
        wait_for("the answer is renewed", lambda: len(seen(machine, marked, ORIGIN)) == 2, 5)

    @pytest.mark.parametrize("status", [302, 404, 500, 503])
    def test_valid_is_not_for_errors(self, machine: Machine, status: int) -> None:
        target, _ = path("/minute/", f"status={status}")
        assert "HIT" not in twice(machine, CACHE + target)

    def test_a_location_can_be_left_out(self, machine: Machine) -> None:
        target, marked = path("/off/", KEEP)
        answers = [machine.ask(CACHE + target) for _ in range(2)]
        assert [answer.headers.get("x-cache") for answer in answers] == [None, None]
        assert len(seen(machine, marked, ORIGIN)) == 2

    def test_a_location_alone_can_have_it(self, machine: Machine) -> None:
        host = "https://uncached.example.test"
        assert twice(machine, host + path("/kept/")[0]) == ["MISS", "HIT"]
        assert "x-cache" not in machine.ask(host + path("/", KEEP)[0]).headers

    def test_events_are_never_kept(self, machine: Machine) -> None:
        target, marked = path("/events/", KEEP)
        for _ in range(2):
            machine.ask(CACHE + target)
        assert len(seen(machine, marked, ORIGIN)) == 2

    def test_a_reload_keeps_the_cache(self, machine: Machine) -> None:
        target, _ = path("/", KEEP)
        machine.ask(CACHE + target)
        machine.run("systemctl reload nginx")
        assert machine.ask(CACHE + target).header("x-cache") == "HIT"


class TestWhatIsSomebodys:
    """Answers that one client may see and no other."""

    @pytest.mark.parametrize(
        "credentials", ["Authorization: Bearer alice", "Cookie: session=alice"], ids=["authorization", "cookie"]
    )
    @pytest.mark.parametrize("place", ["/", "/minute/"])
    def test_one_users_answer_is_no_others(self, machine: Machine, credentials: str, place: str) -> None:
        target, marked = path(place, *([KEEP] if place == "/" else []))
        name = credentials.split(":")[0].lower()
        asked = ["alice", "alice", "bob", None, "alice", None]
        told = []
        for user in asked:
            options = ["--header", credentials.replace("alice", user)] if user else []
            answer = machine.ask(CACHE + target, *options)
            told.append((header(answer.json(), name) or "", answer.header("x-cache")))
        for user, (value, _) in zip(asked, told, strict=True):
            assert value == (credentials.partition(": ")[2].replace("alice", user) if user else "")
        assert [cached for _, cached in told] == ["BYPASS", "BYPASS", "BYPASS", "MISS", "BYPASS", "HIT"]
        assert len(seen(machine, marked, ORIGIN)) == 5

    @pytest.mark.parametrize("place", ["/", "/minute/"])
    def test_an_answer_that_sets_a_cookie_is_given_once(self, machine: Machine, place: str) -> None:
        target, _ = path(place, KEEP, "header=Set-Cookie:session%3Dalice")
        answers = [machine.ask(CACHE + target) for _ in range(2)]
        assert [answer.header("x-cache") for answer in answers] == ["MISS", "MISS"]
        assert answers[0].header("set-cookie") == "session=alice"

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    def test_only_get_and_head_are_kept(self, machine: Machine, method: str) -> None:
        target, marked = path("/minute/")
        for _ in range(2):
            answer = machine.ask(CACHE + target, "--request", method, "--data", "x")
            assert answer.json()["method"] == method
        assert machine.ask(CACHE + target).json()["method"] == "GET"
        assert [request["method"] for request in seen(machine, marked, ORIGIN)] == [method, method, "GET"]

    def test_vary_keeps_apart_what_varies(self, machine: Machine) -> None:
        target, _ = path("/", KEEP, "header=Vary:Accept-Language")
        for language in ("de", "fr", "de"):
            answer = machine.ask(CACHE + target, "--header", f"Accept-Language: {language}")
            assert header(answer.json(), "accept-language") == language

    def test_vary_on_everything_is_never_kept(self, machine: Machine) -> None:
        target, _ = path("/", KEEP, "header=Vary:*")
        assert "HIT" not in twice(machine, CACHE + target)

    def test_a_range_that_comes_first_is_not_the_whole_answer(self, machine: Machine) -> None:
        target, _ = path("/", KEEP, "body=0123456789", "header=Accept-Ranges:bytes")
        part = machine.ask(CACHE + target, "--header", "Range: bytes=2-4")
        assert (part.status, part.body) in [(206, "234"), (200, "0123456789")]
        whole = machine.ask(CACHE + target)
        assert (whole.status, whole.body, whole.header("x-cache")) == (200, "0123456789", "HIT")
        part = machine.ask(CACHE + target, "--header", "Range: bytes=2-4")
        assert (part.status, part.body) == (206, "234")

    def test_a_head_that_comes_first_is_not_an_empty_answer(self, machine: Machine) -> None:
        target, _ = path("/", KEEP, "body=whole")
        assert machine.ask(CACHE + target, "--head").status == 200
        assert machine.ask(CACHE + target).body == "whole"


class TestPoison:
    """What a client sends to spoil the answer for the next one."""

    @pytest.mark.parametrize(
        "line",
        [
            "X-Forwarded-Host: evil.example",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Port: 1",
            "X-Forwarded-Prefix: /evil",
            "X-Forwarded-Server: evil.example",
            "X-Original-URL: /evil",
            "X-Rewrite-URL: /evil",
            "X-Host: evil.example",
            "Forwarded: host=evil.example",
            "X-HTTP-Host-Override: evil.example",
            "X-Original-Host: evil.example",
            "X-HTTP-Method-Override: DELETE",
            "X-HTTP-Method: DELETE",
            "X-Method-Override: DELETE",
        ],
    )
    def test_no_header_reaches_what_the_next_client_gets(self, machine: Machine, line: str) -> None:
        target, _ = path("/", KEEP)
        machine.ask(CACHE + target, "--header", line)
        name, _, value = line.partition(": ")
        assert header(machine.ask(CACHE + target).json(), name.lower()) != value

    @pytest.mark.parametrize("way", ["length", "chunked", "http2"])
    def test_no_body_reaches_what_the_next_client_gets(self, machine: Machine, way: str) -> None:
        # A body is no part of what an answer is kept by, and some frameworks read it whatever the method.
        target, marked = path("/", KEEP)
        if way == "http2":
            # Without a content-length, as only HTTP/2 can.
            headers = {":method": "GET", ":scheme": "https", ":authority": "cache.example.test", ":path": target}
            request = {"headers": list(headers.items()), "data": "role=evil"}
            machine.python("frames.py", json.dumps([{"name": "cache.example.test", "requests": [request]}]))
        else:
            chunked = ["--header", "Transfer-Encoding: chunked"] if way == "chunked" else []
            machine.ask(CACHE + target, "--http1.1", "--request", "GET", "--data", "role=evil", *chunked)
        assert len(seen(machine, marked, ORIGIN)) == 1
        assert machine.ask(CACHE + target).json()["body"] == ""

    def test_each_name_has_its_own_answers(self, machine: Machine) -> None:
        target, _ = path("/minute/")
        hosts = ["cache.example.test", "other-cache.example.test"]
        for host in hosts:
            assert machine.ask(f"https://{host}{target}").header("x-cache") == "MISS"
        for host in hosts:
            answer = machine.ask(f"https://{host}{target}")
            assert (answer.header("x-cache"), header(answer.json(), "host")) == ("HIT", host)

    def test_sites_do_not_share(self, machine: Machine) -> None:
        target, _ = path("/minute/")
        assert machine.ask(CACHE + target).header("x-cache") == "MISS"
        answer = machine.ask("https://neighbour.example.test" + target)
        assert (answer.header("x-cache"), header(answer.json(), "host")) == ("MISS", "neighbour.example.test")

    @pytest.mark.parametrize("host", ["CACHE.example.test", "cache.example.test:443", "cache.example.test:8443"])
    def test_a_name_in_another_spelling_is_the_same(self, machine: Machine, host: str) -> None:
        target, _ = path("/minute/")
        machine.ask(CACHE + target, "--header", f"Host: {host}")
        kept = machine.ask(CACHE + target)
        assert header(kept.json(), "host") == "cache.example.test"
        assert header(kept.json(), "x-forwarded-host") == "cache.example.test"

    def test_the_query_is_part_of_what_was_asked_for(self, machine: Machine) -> None:
        target, _ = path("/minute/")
        for query in ("?a=1", "?a=2"):
            assert machine.ask(CACHE + target + query).json()["target"] == target + query

    def test_another_path_that_means_the_same_is_not_the_same(self, machine: Machine) -> None:
        # The application sees the path as it was sent, and may answer otherwise.
        target, _ = path("/minute/")
        machine.ask(CACHE + target.replace("/minute/", "/minute/./"), "--path-as-is")
        assert machine.ask(CACHE + target).json()["target"] == target


class TestManyAtOnce:
    def test_of_ten_one_asks_the_application(self, machine: Machine) -> None:
        target, marked = path("/", KEEP, "delay=700")
        job = {"name": "cache.example.test", "path": target, "count": 10, "lanes": 10}
        (found,) = machine.python("pace.py", json.dumps([job]))
        assert found["statuses"] == {"200": 10}
        assert len(seen(machine, marked, ORIGIN)) == 1

    def test_a_websocket_does_not_wait_for_the_cache(self, machine: Machine) -> None:
        plan = {"name": "cache.example.test", "path": path("/minute/")[0], "messages": 3}
        for _ in range(2):
            told = machine.python("talk.py", json.dumps(plan))
            assert (told["status"], len(told["echoes"])) == (101, 3)


class TestOldAnswers:
    """The old answer is better than none, or than waiting."""

    SECOND = "header=Cache-Control:max-age=1"

    @pytest.fixture(scope="class")
    @classmethod
    def told(cls, machines: list[Machine]) -> dict[str, dict[str, list[Answer]]]:
        paths = {
            "slow": path("/", cls.SECOND, "delay=1500")[0],
            "fails": path("/", cls.SECOND, "status=200,503")[0],
            "is gone": path("/", cls.SECOND)[0],
        }
        fresh = path("/", cls.SECOND)[0]

        def follow(machine: Machine) -> dict[str, list[Answer]]:
            answers = {key: [machine.ask(CACHE + target)] for key, target in paths.items()}
            time.sleep(2.1)
            began = time.monotonic()
            answers["slow"].append(machine.ask(CACHE + paths["slow"]))
            assert time.monotonic() - began < 1, "an old answer was there, and nginx waited for a new one"
            time.sleep(2)
            answers["slow"].append(machine.ask(CACHE + paths["slow"]))
            for _ in range(2):
                answers["fails"].append(machine.ask(CACHE + paths["fails"]))
            machine.run("systemctl stop origin@second")
            try:
                answers["is gone"].append(machine.ask(CACHE + paths["is gone"]))
                answers["never kept"] = [machine.ask(CACHE + fresh)]
            finally:
                machine.run("systemctl start origin@second")
                # The only server of an upstream is never taken out of it.
                wait_for("the origin answers", lambda: machine.succeeds("curl --silent --fail 127.0.0.1:9001/up"), 5)
            return answers

        return on_each(machines, follow)

    def test_while_it_is_renewed(self, machine: Machine, told: dict[str, dict[str, list[Answer]]]) -> None:
        first, old, new = told[machine.name]["slow"]
        assert old.header("x-cache") in ("STALE", "UPDATING")
        assert old.body == first.body
        assert new.body != first.body

    def test_when_the_application_fails(self, machine: Machine, told: dict[str, dict[str, list[Answer]]]) -> None:
        first, *others = told[machine.name]["fails"]
        assert [answer.status for answer in others] == [200, 200]
        assert {answer.body for answer in others} == {first.body}

    def test_when_the_application_is_gone(self, machine: Machine, told: dict[str, dict[str, list[Answer]]]) -> None:
        first, old = told[machine.name]["is gone"]
        assert (old.status, old.header("x-cache"), old.body) == (200, "STALE", first.body)

    def test_what_was_never_kept_is_an_error(self, machine: Machine, told: dict[str, dict[str, list[Answer]]]) -> None:
        assert [answer.status for answer in told[machine.name]["never kept"]] == [502]
