"""Limits of requests, connections, bodies and slow clients, measured."""

from __future__ import annotations

import json
from typing import Any

import pytest
from machine import Machine
from origin import on_each
from playbook import Playbook
from proxy_sites import listed

NAME = "limits.example.test"
#: To a limit of 10 a second: 41 pass, the first at once.
FOUR_SECONDS = {"pace": 150, "seconds": 4}


def behind(address: str) -> dict[str, Any]:
    """A client that a trusted proxy tells of: the containers' loopback has no IPv6."""
    return {"source": "127.0.0.2", "headers": {"X-Forwarded-For": address}}


#: What is measured, and how: group after group, and in a group side by side.
GROUPS: list[dict[str, dict[str, Any]]] = [
    {
        "plain": {"path": "/plain/", **FOUR_SECONDS},
        "other": {"path": "/other/", **FOUR_SECONDS},
        "burst": {"path": "/burst/", **FOUR_SECONDS},
    },
    {
        "shared": {"path": "/shared/", **FOUR_SECONDS},
        "also shared": {"path": "/also-shared/", **FOUR_SECONDS},
        "not counted": {"path": "/counted/", "pace": 40, "seconds": 2},
    },
    {
        "one address": {"path": "/plain/", "source": "127.0.0.31", "count": 30},
        "another address": {"path": "/plain/", "source": "127.0.0.32", "count": 30},
        "exempt": {"path": "/exempt/", "source": "127.0.0.21", "count": 50},
        "beside the exempt": {"path": "/exempt/", "source": "127.0.0.24", "count": 50},
        "exempt network": {"path": "/exempt/", **behind("2001:db8:0:3::1"), "count": 50},
        "minute": {"path": "/minute/", "count": 10},
        "static": {"path": "/static/file", "count": 100},
        "free": {"path": "/free/", "count": 100},
    },
    {"delayed": {"path": "/delayed/", "count": 40, "lanes": 40}},
    {
        # One network of which nginx writes the addresses in two ways, as its fourth group is 0.
        "one of a network": {"path": "/plain/", **behind("2001:db8:1:0::1"), "pace": 75, "seconds": 3},
        "another of it": {"path": "/plain/", **behind("2001:db8:1:0:5::1"), "pace": 75, "seconds": 3},
        "another network": {"path": "/plain/", **behind("2001:db8:1:1::1"), "pace": 75, "seconds": 3},
        "yet another of that": {"path": "/plain/", **behind("2001:db8:1:1:5:6:7:8"), "pace": 75, "seconds": 3},
        "site, one address": {"path": "/site/", "source": "127.0.0.31", "pace": 75, "seconds": 3},
        "site, another address": {"path": "/site/", "source": "127.0.0.32", "pace": 75, "seconds": 3},
    },
]


def total(*measured: dict[str, Any]) -> int:
    """How many passed. Every other one was refused, and none failed otherwise."""
    for one in measured:
        assert set(one["statuses"]) <= {"200", "429"}, one["statuses"]
    return sum(int(one["statuses"].get("200", 0)) for one in measured)


def exact(rate: int, *measured: dict[str, Any], burst: int = 0) -> Any:
    """How many of these requests an ideal limiter lets pass, to 10 per cent.

    It is given the times at which they were sent: where the machine has other work the pace is uneven.
    """
    excess, last, passed = 0.0, None, 0
    for at in sorted(at for one in measured for at in one["sent_at"]):
        now = 0.0 if last is None else max(0.0, excess - rate * (at - last) + 1)
        if now <= burst:
            excess, last, passed = now, at, passed + 1
    # Or hardly any was refused, and there is nothing to see.
    assert passed < sum(one["sent"] for one in measured) / 2
    return pytest.approx(passed, rel=0.1)


def statuses(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["answer"].split(" ")[1] if answer["answer"] else "" for answer in answers]


class TestRates:
    @pytest.fixture(scope="class")
    @classmethod
    def measured(cls, machines: list[Machine]) -> dict[str, dict[str, Any]]:
        def measure(machine: Machine) -> dict[str, Any]:
            machine.run("mkdir -p /srv/limits && echo content >/srv/limits/file")
            found: dict[str, Any] = {}
            for group in GROUPS:
                plan = [{"name": NAME, **job} for job in group.values()]
                found.update(zip(group, machine.python("pace.py", json.dumps(plan)), strict=True))
            return found

        return on_each(machines, measure)

    def test_as_many_pass_as_the_rate_says(self, machine: Machine, measured: dict[str, Any]) -> None:
        plain = measured[machine.name]["plain"]
        assert total(plain) == exact(10, plain)

    def test_each_location_counts_for_itself(self, machine: Machine, measured: dict[str, Any]) -> None:
        # Both were asked at the same time by one client.
        other = measured[machine.name]["other"]
        assert total(other) == exact(10, other)

    def test_a_burst_passes_besides(self, machine: Machine, measured: dict[str, Any]) -> None:
        burst = measured[machine.name]["burst"]
        assert total(burst) == exact(10, burst, burst=20)
        assert max(burst["took"]) < 0.5, "a burst without delay does not wait"

    def test_what_is_above_the_delay_waits_for_its_turn(self, machine: Machine, measured: dict[str, Any]) -> None:
        delayed = measured[machine.name]["delayed"]
        # Of 40 at once one is in time, 20 are the burst; 5 of those go on at once, the others one each 100 ms.
        assert total(delayed) == pytest.approx(21, abs=2)
        assert sum(took < 0.1 for took in delayed["took"]) <= 8
        assert max(delayed["took"]) == pytest.approx(1.5, abs=0.3)

    def test_the_sites_limit_holds_for_its_locations_together(self, machine: Machine, measured: dict[str, Any]) -> None:
        both = [measured[machine.name][key] for key in ("shared", "also shared")]
        assert total(*both) == exact(10, *both)

    def test_each_address_is_a_client(self, machine: Machine, measured: dict[str, Any]) -> None:
        one, another = (measured[machine.name][key] for key in ("one address", "another address"))
        # 30 as fast as they go take well under a second.
        assert 1 <= total(one) <= 1 + 10 * one["seconds"] * 1.1
        assert 1 <= total(another) <= 1 + 10 * another["seconds"] * 1.1
        assert one["statuses"]["429"] > 10
        assert another["statuses"]["429"] > 10

    def test_of_ipv6_each_network_is_a_client(self, machine: Machine, measured: dict[str, Any]) -> None:
        for keys in (("one of a network", "another of it"), ("another network", "yet another of that")):
            both = [measured[machine.name][key] for key in keys]
            assert total(*both) == exact(10, *both)

    def test_a_sites_key_counts_all_clients(self, machine: Machine, measured: dict[str, Any]) -> None:
        both = [measured[machine.name][f"site, {which} address"] for which in ("one", "another")]
        assert total(*both) == exact(10, *both)

    @pytest.mark.parametrize("which", ["exempt", "exempt network"])
    def test_exempt_networks_are_not_counted(self, machine: Machine, measured: dict[str, Any], which: str) -> None:
        assert measured[machine.name][which]["statuses"] == {"200": 50}

    def test_the_address_beside_an_exempt_network_is_counted(self, machine: Machine, measured: dict[str, Any]) -> None:
        assert measured[machine.name]["beside the exempt"]["statuses"]["429"] > 20

    @pytest.mark.parametrize(("which", "seconds"), [("plain", "1"), ("minute", "2")])
    def test_a_refusal_says_when_to_come_again(
        self, machine: Machine, measured: dict[str, Any], which: str, seconds: str
    ) -> None:
        found = measured[machine.name][which]
        assert found["retry_after"] == {seconds: found["statuses"]["429"]}

    def test_a_dry_run_refuses_nobody(self, machine: Machine, measured: dict[str, Any]) -> None:
        assert measured[machine.name]["not counted"]["statuses"] == {"200": 80}

    @pytest.mark.parametrize("which", ["static", "free"])
    def test_static_files_and_an_empty_list_have_no_limit(
        self, machine: Machine, measured: dict[str, Any], which: str
    ) -> None:
        assert measured[machine.name][which]["statuses"] == {"200": 100}


class TestKeys:
    """Who is counted, where it is not the address."""

    def test_a_certificate(self, machine: Machine) -> None:
        machine.run("cat /etc/asgi-tests/alice.pem /etc/asgi-tests/alice.key >/root/alice.both")
        known = {"name": NAME, "path": "/certificate/", "certificate": "/root/alice.both", "count": 20}
        first, second = machine.python(
            "pace.py", json.dumps([{**known, "source": "127.0.0.41"}, {**known, "source": "127.0.0.42"}])
        )
        passed = total(first, second)
        # The two addresses are one client.
        assert 1 <= passed <= 1 + 10 * max(first["seconds"], second["seconds"]) * 1.2
        assert passed < 20

    def test_a_header_of_a_trusted_proxy(self, machine: Machine) -> None:
        tenant = {"name": NAME, "path": "/header/", "source": "127.0.0.2", "count": 30}
        one, another = machine.python(
            "pace.py", json.dumps([{**tenant, "headers": {"X-Tenant": name}} for name in ("a", "b")])
        )
        for found in (one, another):
            assert 1 <= total(found) <= 1 + 10 * found["seconds"] * 1.2
            assert found["statuses"]["429"] > 10

    def test_a_header_of_a_stranger_is_no_key(self, machine: Machine) -> None:
        # Or a client would have a new limit for each value it thinks of.
        stranger = {"name": NAME, "path": "/header/", "source": "127.0.0.43", "count": 5, "lanes": 1}
        plan = [{**stranger, "headers": {"X-Tenant": f"{number}"}} for number in range(6)]
        found = machine.python("pace.py", json.dumps(plan))
        assert total(*found) <= 1 + 10 * max(one["seconds"] for one in found) * 1.2 + 1
        assert sum(one["statuses"].get("429", 0) for one in found) > 15


class TestConnections:
    def test_no_more_than_that_many_at_a_time(self, machine: Machine) -> None:
        slow = {"name": NAME, "path": "/connections/?delay=1000", "count": 5, "lanes": 5}
        (found,) = machine.python("pace.py", json.dumps([slow]))
        assert found["statuses"] == {"200": 2, "429": 3}
        assert found["retry_after"] == {"1": 3}

    def test_each_stream_of_http_2_counts(self, machine: Machine) -> None:
        request = {":method": "GET", ":scheme": "https", ":authority": NAME, ":path": "/connections/?delay=1000"}
        plan = [{"name": NAME, "requests": [{"headers": list(request.items())}] * 5}]
        (found,) = machine.python("frames.py", json.dumps(plan))
        assert sorted(stream["status"] for stream in found["streams"].values()) == [200, 200, 429, 429, 429]

    def test_a_dry_run_refuses_nobody(self, machine: Machine) -> None:
        slow = {"name": NAME, "path": "/counted/?delay=300", "count": 4, "lanes": 4}
        (found,) = machine.python("pace.py", json.dumps([slow]))
        assert found["statuses"] == {"200": 4}


class TestBodies:
    @pytest.mark.parametrize(("size", "status"), [(65536, 200), (65537, 413)])
    @pytest.mark.parametrize("way", ["length", "chunked"])
    def test_the_border_is_exact(self, machine: Machine, size: int, status: int, way: str) -> None:
        machine.run(f"head -c {size} /dev/zero >/tmp/body")
        chunked = ["--header", "Transfer-Encoding: chunked"] if way == "chunked" else []
        answer = machine.ask(f"https://{NAME}/free/", "--http1.1", *chunked, "--data-binary", "@/tmp/body")
        assert answer.status == status
        if status == 200:
            assert answer.json()["body_size"] == size

    def test_the_announcement_is_enough_to_refuse(self, machine: Machine) -> None:
        text = f"POST /free/ HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 65537\r\n\r\n"
        (found,) = machine.python("exchange.py", json.dumps([{"name": NAME, "parts": [[0, text]], "wait": 1}]))
        assert found["answer"].startswith("HTTP/1.1 413 ")
        assert found["first"] < 1

    def test_unlimited_is_unlimited(self, machine: Machine) -> None:
        machine.run("head -c 30000000 /dev/zero >/tmp/body")
        answer = machine.ask(f"https://{NAME}/large/", "--data-binary", "@/tmp/body")
        machine.run("rm /tmp/body")
        assert answer.json()["body_size"] == 30_000_000


class TestSlowClients:
    """Four seconds, says the inventory."""

    @pytest.fixture(scope="class")
    @classmethod
    def heard(cls, machines: list[Machine]) -> dict[str, list[dict[str, Any]]]:
        head = f"POST /free/ HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 1000\r\n"
        plan = [
            # A header line each second, for ever.
            {"name": NAME, "parts": [[0, head], *([1, f"X-{n}: 1\r\n"] for n in range(9))], "wait": 1},
            # A body that stops.
            {"name": NAME, "parts": [[0, head + "\r\n" + "x" * 10]], "wait": 9},
            # A body that comes slowly, but comes.
            {"name": NAME, "parts": [[0, head + "\r\n"], *([1, "x" * 125] for _ in range(8))], "wait": 3},
            # Nothing, not even a request.
            {"name": NAME, "parts": [], "wait": 9},
        ]
        return on_each(machines, lambda machine: machine.python("exchange.py", json.dumps(plan)))

    def test_a_header_has_its_time_in_all(self, machine: Machine, heard: dict[str, Any]) -> None:
        assert heard[machine.name][0]["closed"] == pytest.approx(4, abs=1)

    def test_a_body_may_not_stop(self, machine: Machine, heard: dict[str, Any]) -> None:
        assert heard[machine.name][1]["closed"] == pytest.approx(4, abs=1)
        assert statuses(heard[machine.name])[1] in ("", "408")

    def test_a_slow_body_arrives(self, machine: Machine, heard: dict[str, Any]) -> None:
        answer = heard[machine.name][2]
        assert answer["answer"].startswith("HTTP/1.1 200 ")
        assert answer["first"] > 7.5

    def test_silence_ends_the_connection(self, machine: Machine, heard: dict[str, Any]) -> None:
        assert heard[machine.name][3]["closed"] == pytest.approx(4, abs=1)


class TestChanged:
    """nginx accepts another key for a zone that exists, and goes on with the one it had."""

    @pytest.fixture(scope="class")
    @classmethod
    def measured(cls, machines: list[Machine], play: Playbook) -> dict[str, Any]:
        changed = listed("limits")
        for location in changed[0]["locations"]:
            if location["path"] == "/plain/":
                location["limits"] = [{"rate": "10r/s", "key": "site"}]
            elif location["path"] == "/other/":
                location["limits"] = [{"rate": "20r/s"}]
            elif location["path"] == "/burst/":
                location["limits"] = [{"rate": "10r/s", "burst": 40}]
        plan = [
            {"name": NAME, "path": "/plain/", "source": "127.0.0.51", "pace": 100, "seconds": 3},
            {"name": NAME, "path": "/plain/", "source": "127.0.0.52", "pace": 100, "seconds": 3},
            {"name": NAME, "path": "/other/", "pace": 200, "seconds": 3},
            {"name": NAME, "path": "/burst/", "pace": 150, "seconds": 3},
        ]
        play(extra={"sites_limits": changed}, code=0)
        found = {machine.name: machine.python("pace.py", json.dumps(plan)) for machine in machines}
        play(code=0)
        return found

    def test_another_key(self, machine: Machine, measured: dict[str, Any]) -> None:
        both = measured[machine.name][:2]
        assert total(*both) == exact(10, *both)

    def test_another_rate(self, machine: Machine, measured: dict[str, Any]) -> None:
        other = measured[machine.name][2]
        assert total(other) == exact(20, other)

    def test_another_burst(self, machine: Machine, measured: dict[str, Any]) -> None:
        burst = measured[machine.name][3]
        assert total(burst) == exact(10, burst, burst=40)
