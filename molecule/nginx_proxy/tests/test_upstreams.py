"""Which server gets a request, over which connection, and what happens when one of them is away."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import pytest
from machine import Machine, wait_for
from origin import header, mark, on_each, seen

NAME = "upstreams.example.test"
SITE = f"https://{NAME}"


def asked(machine: Machine, path: str, count: int, source: str = "127.0.0.1", lanes: int = 1) -> dict[str, Any]:
    """Ask that many times for the path; how many got which status."""
    job = {"name": NAME, "path": path, "count": count, "lanes": lanes, "source": source}
    (found,) = machine.python("pace.py", json.dumps([job]))
    return dict(found["statuses"])


def served(machine: Machine, marked: str) -> Counter[str]:
    """How many requests with the mark each origin got."""
    return Counter(one["origin"] for port in (9000, 9001) for one in seen(machine, marked, port))


def spread(machine: Machine, path: str, count: int, **how: Any) -> Counter[str]:
    """How requests for a path are spread over the origins."""
    marked = mark()
    together = "&" if "?" in path else "?"
    assert asked(machine, f"{path}{together}{marked}", count, **how) == {"200": count}
    return served(machine, marked)


class TestMethods:
    """nginx has two workers or more, which share the upstream's state in its zone."""

    def test_in_turn(self, machine: Machine) -> None:
        assert spread(machine, "/turns/", 20) == {"first": 10, "second": 10}

    def test_by_weight(self, machine: Machine) -> None:
        assert spread(machine, "/weights/", 20) == {"first": 15, "second": 5}

    def test_where_fewest_are_under_way(self, machine: Machine) -> None:
        # Ten at once, half a second each.
        assert spread(machine, "/least/?delay=500", 10, lanes=10) == {"first": 5, "second": 5}

    def test_by_address(self, machine: Machine) -> None:
        # nginx takes the first three numbers of an address.
        assert list(spread(machine, "/address/", 6, source="127.0.1.1").values()) == [6]

    @pytest.mark.parametrize("path", ["/hash/", "/consistent/"])
    def test_by_a_key(self, machine: Machine, path: str) -> None:
        marked = mark()
        users = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"]
        job = {"name": NAME, "count": 3, "lanes": 1}
        plan = [{**job, "path": f"{path}?user={user}&{marked}"} for user in users]
        assert [found["statuses"] for found in machine.python("pace.py", json.dumps(plan))] == [{"200": 3}] * len(users)
        chosen = {port: Counter(one["target"] for one in seen(machine, marked, port)) for port in (9000, 9001)}
        # Each user is one origin's, and each origin has users.
        assert all(chosen.values())
        assert set(chosen[9000].values()) == set(chosen[9001].values()) == {3}

    @pytest.mark.parametrize("path", ["/random/", "/two/"])
    def test_by_chance(self, machine: Machine, path: str) -> None:
        # Of 60 less than 10 go to one of two once in 20 million times.
        found = spread(machine, path, 60)
        assert min(found["first"], found["second"]) >= 10

    def test_a_server_that_is_down_gets_nothing(self, machine: Machine) -> None:
        assert spread(machine, "/down/", 10) == {"first": 10}

    def test_a_reserve_gets_nothing_while_it_is_not_needed(self, machine: Machine) -> None:
        assert spread(machine, "/reserve/", 10) == {"second": 10}


class TestConnections:
    def test_they_are_used_again(self, machine: Machine) -> None:
        marked = mark()
        # Forty clients, each with a connection of its own.
        assert asked(machine, f"/{marked}", 40, lanes=40) == {"200": 40}
        asked(machine, f"/{marked}", 40)
        used = Counter(request["connection"] for request in seen(machine, marked))
        assert max(used.values()) > 10, used

    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    def test_after_each_method(self, machine: Machine, method: str) -> None:
        marked = mark()
        for _ in range(12):
            machine.ask(f"{SITE}/{marked}", "--request", method, "--data", "x")
        workers = int(machine.run("pgrep --count --full 'nginx: worker process$'"))
        assert len({request["connection"] for request in seen(machine, marked)}) <= max(workers, 2) + 2

    def test_over_http_1_1_without_a_word_about_closing(self, machine: Machine) -> None:
        marked = mark()
        machine.ask(f"{SITE}/{marked}")
        (request,) = seen(machine, marked)
        assert request["version"] == "HTTP/1.1"
        assert header(request, "connection") is None

    def test_over_a_unix_socket(self, machine: Machine) -> None:
        answer = machine.ask(f"{SITE}/socket/").json()
        assert (answer["origin"], answer["socket"]) == ("second", "unix")


class TestPaths:
    def test_a_location_may_have_its_own_servers(self, machine: Machine) -> None:
        assert machine.ask(f"{SITE}/").json()["origin"] == "first"
        assert machine.ask(f"{SITE}/reserve/").json()["origin"] == "second"

    @pytest.mark.parametrize(
        ("path", "passed"),
        [
            ("/stripped/", "/"),
            ("/stripped/users", "/users"),
            ("/stripped/users/7?a=b%2Fc", "/users/7?a=b%2Fc"),
            ("/stripped/stripped/", "/stripped/"),
            ("/stripped/a%20b", "/a%20b"),
            ("/kept/stripped/", "/kept/stripped/"),
        ],
    )
    def test_a_prefix_is_taken_off(self, machine: Machine, path: str, passed: str) -> None:
        assert machine.ask(SITE + path).json()["target"] == passed

    def test_the_path_without_its_slash_leads_to_the_one_with_it(self, machine: Machine) -> None:
        # nginx does that by itself for a location of this form.
        answer = machine.ask(f"{SITE}/stripped?a=b")
        assert (answer.status, answer.header("location")) == (301, "/stripped/?a=b")

    def test_an_exact_path_is_only_that_one(self, machine: Machine) -> None:
        assert machine.ask(f"{SITE}/stripped/exact").json()["target"] == "/stripped/exact"
        assert machine.ask(f"{SITE}/stripped/exact/x").json()["target"] == "/exact/x"


class TestGroup:
    def test_the_hosts_of_a_group_are_the_servers(self, machine: Machine, machines: list[Machine]) -> None:
        configuration = machine.run("nginx -T 2>/dev/null")
        for each in machines:
            assert f"server {each.name}:9002" in configuration

    def test_they_are_asked(self, machines: list[Machine]) -> None:
        # On all addresses, which the origins are not, and a name of its own for each host.
        start = "systemd-run --quiet --unit origin-group /usr/bin/python3 /run/origin-group.py %s 9002 /run/group"
        try:
            for machine in machines:
                machine.run("sed 's/127.0.0.1/0.0.0.0/' /usr/local/lib/asgi-tests/origin.py >/run/origin-group.py")
                machine.run(start, machine.name)
            for machine in machines:
                # Asked before it is up nginx would leave it out for 10 s.
                machine.run("curl --silent --fail --retry 20 --retry-delay 1 --retry-connrefused 127.0.0.1:9002/up")
            wait_for("both are asked", lambda: all(self.both(machine, machines) for machine in machines), 25)
        finally:
            for machine in machines:
                machine.both("systemctl stop origin-group")

    def both(self, machine: Machine, machines: list[Machine]) -> bool:
        answers = [machine.ask(f"{SITE}/group/") for _ in range(4)]
        return {answer.json()["origin"] for answer in answers if answer.status == 200} == {one.name for one in machines}


class TestFailures:
    @pytest.fixture(scope="class")
    @classmethod
    def told(cls, machines: list[Machine]) -> dict[str, dict[str, Any]]:
        def follow(machine: Machine) -> dict[str, Any]:
            found: dict[str, Any] = {}
            machine.run("systemctl stop origin@second")
            try:
                found["while it is away"] = asked(machine, f"/heals/?{mark()}", 40, lanes=4)
                found["reserve"] = machine.ask(f"{SITE}/reserve/").json()["origin"]
                posted = [machine.ask(f"{SITE}/heals/", "--data", "x").status for _ in range(6)]
                found["posts"] = posted
            finally:
                machine.run("systemctl start origin@second")
            wait_for("it is up", lambda: machine.succeeds("curl --silent --fail -o /dev/null http://127.0.0.1:9001/"))
            time.sleep(2.5)
            marked = mark()
            found["afterwards"] = asked(machine, f"/heals/?{marked}", 40, lanes=4)
            found["spread"] = served(machine, marked)
            return found

        return on_each(machines, follow)

    def test_no_client_sees_that_one_is_away(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        assert told[machine.name]["while it is away"] == {"200": 40}

    def test_nor_with_a_request_that_never_left(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        # Nobody took the connection: there was nothing to do twice.
        assert told[machine.name]["posts"] == [200] * 6

    def test_it_is_asked_again_when_it_is_back(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        assert told[machine.name]["afterwards"] == {"200": 40}
        assert told[machine.name]["spread"]["second"] >= 15

    def test_the_reserve_stands_in(self, machine: Machine, told: dict[str, dict[str, Any]]) -> None:
        assert told[machine.name]["reserve"] == "first"

    @pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
    @pytest.mark.parametrize("place", ["/once/", "/"])
    def test_what_may_have_had_an_effect_is_sent_once(self, machine: Machine, method: str, place: str) -> None:
        marked = mark()
        answer = machine.ask(f"{SITE}{place}{marked}?close=before", "--request", method, "--data", "x")
        assert answer.status == 502
        assert served(machine, marked).total() == 1

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_what_may_be_repeated_is_tried_twice(self, machine: Machine, method: str) -> None:
        marked = mark()
        answer = machine.ask(f"{SITE}/once/{marked}?close=before", "--request", method)
        assert answer.status == 502
        assert served(machine, marked) == {"first": 1, "second": 1}

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_an_answer_that_has_begun_is_not_begun_again(self, machine: Machine, method: str) -> None:
        marked = mark()
        answer = machine.ask(f"{SITE}/once/{marked}?close=middle", "--request", method)
        assert answer.status == 200
        assert answer.code != 0, "half an answer was passed for a whole one"
        assert served(machine, marked).total() == 1

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_an_answer_is_an_answer(self, machine: Machine, status: int) -> None:
        marked = mark()
        assert machine.ask(f"{SITE}/once/{marked}?status={status}&body=own").body == "own"
        assert served(machine, marked).total() == 1
