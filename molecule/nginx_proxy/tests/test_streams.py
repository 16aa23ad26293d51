"""Answers and requests that take their time: streams, events, WebSockets, uploads, slow readers."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from machine import Machine, wait_for
from origin import header, mark, on_each, seen

NAME = "streams.example.test"
SITE = f"https://{NAME}"


def lines(machine: Machine, path: str, **more: Any) -> dict[str, Any]:
    read: dict[str, Any] = machine.python("lines.py", json.dumps({"name": NAME, "path": path, **more}))
    return read


def talk(machine: Machine, path: str, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = machine.python("talk.py", json.dumps({"name": NAME, "path": path, **more}))
    return told


def workers(machine: Machine) -> set[str]:
    return set(machine.run("pgrep --full 'nginx: worker process$'").split())


class TestReloads:
    """Three of them, while a stream of 20 s, events and a WebSocket are under way."""

    @pytest.fixture(scope="class")
    @classmethod
    def told(cls, machines: list[Machine]) -> dict[str, dict[str, Any]]:
        def follow(machine: Machine) -> dict[str, Any]:
            first = workers(machine)
            with ThreadPoolExecutor(3) as pool:
                under_way = {
                    "stream": pool.submit(lines, machine, "/?lines=21&every=1000"),
                    "events": pool.submit(lines, machine, "/events/?events=7&every=3000"),
                    "socket": pool.submit(talk, machine, "/socket/", messages=8, pause=2.5),
                }
                for _ in range(3):
                    time.sleep(4)
                    machine.run("systemctl reload nginx")
                    time.sleep(1)
                    assert machine.ask(SITE + "/").status == 200
                after = workers(machine)
                found: dict[str, Any] = {key: future.result() for key, future in under_way.items()}
            wait_for("the old workers are gone", lambda: not first & workers(machine), 10)
            return {**found, "workers": [sorted(first), sorted(after)]}

        return on_each(machines, follow)

    def test_the_stream_is_whole(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        stream = told[machine.name]["stream"]
        assert stream["error"] is None
        assert [json.loads(line)["line"] for _, line in stream["lines"]] == list(range(21))
        assert stream["seconds"] > 19

    def test_each_line_came_when_it_was_sent(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        arrivals = [at for at, _ in told[machine.name]["stream"]["lines"]]
        assert max(later - earlier for earlier, later in pairwise(arrivals)) < 2

    def test_the_events_are_whole(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        events = told[machine.name]["events"]
        assert events["error"] is None
        assert [line for _, line in events["lines"] if line.startswith("id:")] == [f"id: {n}" for n in range(7)]

    def test_the_websocket_goes_on(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        socket = told[machine.name]["socket"]
        assert (socket["status"], socket["ended"], len(socket["echoes"])) == (101, None, 8)

    def test_the_new_workers_are_others(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        # Or nothing would have been reloaded.
        before, after = told[machine.name]["workers"]
        assert before
        assert set(after) - set(before)


class TestTimes:
    """Two seconds between two reads, but an hour where WebSockets or events are expected."""

    @pytest.fixture(scope="class")
    @classmethod
    def told(cls, machines: list[Machine]) -> dict[str, dict[str, Any]]:
        def follow(machine: Machine) -> dict[str, Any]:
            jobs = {
                "slow": lambda: machine.ask(SITE + "/?delay=3500"),
                "stops": lambda: machine.ask(SITE + "/?lines=2&every=3500"),
                "events": lambda: lines(machine, "/events/?events=2&every=3500"),
                "socket": lambda: talk(machine, "/socket/", messages=2, pause=3.5),
                "unsaid": lambda: talk(machine, "/", messages=2, pause=3.5),
            }
            with ThreadPoolExecutor(len(jobs)) as pool:
                under_way = {key: pool.submit(job) for key, job in jobs.items()}
                return {key: future.result() for key, future in under_way.items()}

        return on_each(machines, follow)

    def test_a_slow_answer_is_a_504(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        assert told[machine.name]["slow"].status == 504

    def test_an_answer_that_stops_is_cut(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        cut = told[machine.name]["stops"]
        assert (cut.status, cut.body.count("\n")) == (200, 1)
        # curl knows that it was not the end.
        assert cut.code != 0

    def test_events_may_be_far_apart(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        events = told[machine.name]["events"]
        assert events["error"] is None
        assert len([line for _, line in events["lines"] if line.startswith("data:")]) == 2

    def test_a_websocket_may_be_silent(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        assert len(told[machine.name]["socket"]["echoes"]) == 2

    def test_a_websocket_that_nobody_stated_has_the_sites_time(
        self, machine: Machine, told: dict[str, dict[str, Any]]
    ) -> None:
        assert len(told[machine.name]["unsaid"]["echoes"]) == 1


class TestEvents:
    @pytest.mark.parametrize("accepts", ["identity", "gzip", "br"])
    def test_each_arrives_at_once_and_as_it_is(self, machine: Machine, accepts: str) -> None:
        read = lines(machine, "/events/?events=4&every=400", headers={"Accept-Encoding": accepts})
        assert "content-encoding" not in read["headers"]
        assert read["headers"]["content-type"] == "text/event-stream"
        data = [(at, json.loads(line[5:])["sent"]) for at, line in read["lines"] if line.startswith("data:")]
        assert len(data) == 4
        delays = [at - data[0][0] - (sent - data[0][1]) for at, sent in data]
        assert max(delays) < 0.3, "an event waited for the next one"

    def test_an_answer_asks_for_it_itself(self, machine: Machine) -> None:
        # X-Accel-Buffering is the application's word, and not the client's business.
        read = lines(machine, "/?lines=3&every=400&header=X-Accel-Buffering:no")
        assert "x-accel-buffering" not in read["headers"]
        arrivals = [at for at, _ in read["lines"]]
        assert arrivals[2] - arrivals[0] > 0.6


class TestWebSockets:
    @pytest.mark.parametrize("path", ["/", "/socket/", "/events/"])
    def test_they_are_passed_on(self, machine: Machine, path: str) -> None:
        told = talk(machine, path, messages=3)
        assert (told["status"], len(told["echoes"])) == (101, 3)
        assert header(told["told"], "upgrade") == "websocket"
        assert header(told["told"], "connection") == "upgrade"

    def test_but_not_where_they_are_not_wanted(self, machine: Machine) -> None:
        marked = mark()
        told = talk(machine, f"/never/{marked}")
        assert told["status"] == 200
        (request,) = seen(machine, marked)
        assert header(request, "upgrade") is None
        assert header(request, "connection") is None

    @pytest.mark.parametrize("name", ["WebSocket", "WEBSOCKET"])
    def test_the_word_may_be_in_any_case(self, machine: Machine, name: str) -> None:
        assert talk(machine, "/", headers={"Upgrade": name})["status"] == 101


class TestUploads:
    """Half a body, a pause, the other half."""

    @pytest.fixture(scope="class")
    @classmethod
    def uploads(cls, machines: list[Machine]) -> dict[str, dict[str, dict[str, Any]]]:
        def upload(machine: Machine) -> dict[str, dict[str, Any]]:
            marks = {path: mark() for path in ("/direct/", "/")}
            plan = []
            for path, marked in marks.items():
                head = f"POST {path}{marked} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 20000\r\nConnection: close\r\n"
                plan.append({"name": NAME, "parts": [[0, f"{head}\r\n{'x' * 10000}"], [1.5, "x" * 10000]]})
            answers = machine.python("exchange.py", json.dumps(plan))
            found = {}
            for (path, marked), answer in zip(marks.items(), answers, strict=True):
                assert answer["answer"].startswith("HTTP/1.1 200 ")
                (found[path],) = seen(machine, marked)
            return found

        return on_each(machines, upload)

    def test_direct_the_first_half_does_not_wait(self, machine: Machine, uploads: dict[str, Any]) -> None:
        request = uploads[machine.name]["/direct/"]
        assert request["body_size"] == 20000
        assert request["body_at"] - request["first_byte_at"] > 1

    def test_otherwise_the_application_gets_it_whole(self, machine: Machine, uploads: dict[str, Any]) -> None:
        request = uploads[machine.name]["/"]
        assert request["body_size"] == 20000
        assert request["body_at"] - request["at"] < 0.5

    @pytest.mark.parametrize("path", ["/direct/", "/"])
    def test_a_large_one_arrives_whole(self, machine: Machine, path: str) -> None:
        machine.run("head -c 30000000 /dev/urandom >/tmp/upload")
        answer = machine.ask(SITE + path, "--data-binary", "@/tmp/upload")
        digest = machine.run("sha256sum </tmp/upload && rm /tmp/upload").split()[0]
        assert answer.json()["body_sha256"] == digest


class TestSlowReaders:
    """Forty megabytes, more than the kernel ever holds, of which the client takes nothing for a while."""

    def held(self, machine: Machine, path: str) -> float:
        """For how many seconds the origin had to wait with its answer."""
        marked = mark()
        text = f"GET {path}{marked}?size=40000000 HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"
        plan = {"name": NAME, "parts": [[0, text]], "window": 16384, "idle": 2, "wait": 10}
        (answer,) = machine.python("exchange.py", json.dumps([plan]))
        assert answer["size"] > 40_000_000
        (request,) = seen(machine, marked)
        return float(request["write_seconds"])

    def test_nginx_takes_what_they_do_not(self, machine: Machine) -> None:
        assert self.held(machine, "/") < 1

    def test_unless_told_otherwise(self, machine: Machine) -> None:
        assert self.held(machine, "/passed/") > 1
