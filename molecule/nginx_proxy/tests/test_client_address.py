"""Whose word is taken for a client's address: that of the load balancers in front, and nobody else's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from machine import Machine
from playbook import Playbook
from proxy_sites import only

SITE = "https://access.example.test/"
BALANCER, SECOND_BALANCER, STRANGER = "127.0.0.2", "127.0.0.3", "127.0.0.9"
CLIENT = "203.0.113.7"


def told(machine: Machine, source: str, *lines: str, url: str = SITE) -> dict[str, str]:
    """The headers that the application got; a name that came twice is a failure."""
    options = [part for line in lines for part in ("--header", line)]
    pairs = machine.ask(url, "--interface", source, *options).json()["headers"]
    headers = dict(pairs)
    assert len(headers) == len(pairs), pairs
    return headers


@pytest.mark.parametrize(
    ("source", "forwarded", "expected"),
    [
        (STRANGER, CLIENT, STRANGER),
        ("127.0.0.1", f"{CLIENT}, {BALANCER}", "127.0.0.1"),
        (BALANCER, CLIENT, CLIENT),
        (BALANCER, "2001:db8::7", "2001:db8::7"),
        # Through both of them.
        (BALANCER, f"{CLIENT}, {SECOND_BALANCER}", CLIENT),
        # The client wrote the first one itself: only what a balancer added counts.
        (BALANCER, f"198.51.100.66, {CLIENT}", CLIENT),
        (BALANCER, f"198.51.100.66, {CLIENT}, {SECOND_BALANCER}", CLIENT),
        (BALANCER, f"{BALANCER}, {CLIENT}", CLIENT),
        (BALANCER, "unknown", BALANCER),
        (BALANCER, "", BALANCER),
    ],
)
def test_the_address(machine: Machine, source: str, forwarded: str, expected: str) -> None:
    headers = told(machine, source, f"X-Forwarded-For: {forwarded}" if forwarded else "X-Other: x")
    assert (headers["x-forwarded-for"], headers["x-real-ip"]) == (expected, expected)


def test_other_headers_for_it_count_for_nothing(machine: Machine) -> None:
    lines = [f"{name}: {CLIENT}" for name in ("X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP")]
    headers = told(machine, BALANCER, *lines, f"Forwarded: for={CLIENT}")
    assert CLIENT not in headers.values()
    assert headers["x-forwarded-for"] == BALANCER


@pytest.mark.parametrize(
    ("source", "proto", "scheme", "port"),
    [
        (BALANCER, "https", "https", "443"),
        (BALANCER, "http", "http", "80"),
        (BALANCER, "gopher", "http", "80"),
        (BALANCER, "https, http", "http", "80"),
        (STRANGER, "https", "http", "80"),
    ],
)
def test_the_scheme(machine: Machine, source: str, proto: str, scheme: str, port: str) -> None:
    # TLS ends at the balancer, and this site is reached by plain HTTP.
    headers = told(machine, source, f"X-Forwarded-Proto: {proto}", url="http://unencrypted.example.test/")
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == (scheme, port)


def test_the_scheme_of_a_request_that_came_over_tls(machine: Machine) -> None:
    assert told(machine, STRANGER, "X-Forwarded-Proto: http")["x-forwarded-proto"] == "https"


def test_address_rules_are_about_the_client(machine: Machine) -> None:
    url = f"{SITE}inside/"
    allowed = ["--header", "X-Forwarded-For: 127.0.0.4"]
    assert machine.ask(url, "--interface", BALANCER, *allowed).status == 200
    assert machine.ask(url, "--interface", STRANGER, *allowed).status == 403


def test_the_log_has_the_client(machine: Machine) -> None:
    machine.ask(f"{SITE}address-in-the-log", "--interface", BALANCER, "--header", f"X-Forwarded-For: {CLIENT}")
    machine.run("sleep 1.2")
    line = json.loads(machine.run("grep -h address-in-the-log /var/log/nginx/access.log").splitlines()[-1])
    assert line["remote_addr"] == CLIENT


def test_limits_by_a_header_are_the_balancers(machine: Machine) -> None:
    """Two requests at once for each tenant."""
    url = "https://tenants.example.test/"

    def ask(source: str, tenant: str) -> int:
        return machine.ask(url, "--interface", source, "--header", f"X-Tenant: {tenant}").status

    tenants = [machine.run("cat /proc/sys/kernel/random/uuid").strip() for _index in range(2)]
    assert [ask(BALANCER, tenants[0]) for _index in range(3)] == [200, 200, 429]
    assert [ask(BALANCER, tenants[1]) for _index in range(2)] == [200, 200]
    # A stranger chooses another one each time, and is counted all the same.
    assert [ask("127.0.0.11", f"chosen-{index}") for index in range(3)] == [200, 200, 429]
    # Nor can a stranger use up what a tenant has.
    assert ask("127.0.0.12", tenants[1]) == 200


class TestProxyProtocol:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _run(cls, play: Playbook) -> object:
        extra = {
            **only("smallest", "bootstrap", "access", "unencrypted"),
            "nginx_proxy_client_address": {"trusted": [BALANCER], "proxy_protocol": True},
            "nginx_proxy_http3": False,
        }
        try:
            play(extra=extra, code=0)
            # The check of the served certificate has to speak it too: a second run finds it as it should be.
            play(extra=extra).assert_unchanged()
            yield
        finally:
            play(code=0)

    def speak(self, machine: Machine, preamble: str, **wanted: Any) -> str:
        wanted = {"source": BALANCER, "name": "access.example.test", "port": 443, "path": "/", "lines": [], **wanted}
        return str(machine.python("proxy_protocol.py", json.dumps({**wanted, "preamble": preamble})))

    @pytest.mark.parametrize(
        ("source", "preamble", "expected"),
        [
            (BALANCER, f"PROXY TCP4 {CLIENT} 127.0.0.1 55555 443\r\n", CLIENT),
            (BALANCER, "PROXY TCP6 2001:db8::7 ::1 55555 443\r\n", "2001:db8::7"),
            # Anybody can speak it; a stranger's word is not taken.
            (STRANGER, f"PROXY TCP4 {CLIENT} 127.0.0.1 55555 443\r\n", STRANGER),
        ],
    )
    def test_the_address(self, machine: Machine, source: str, preamble: str, expected: str) -> None:
        answer = self.speak(machine, preamble, source=source)
        assert answer.startswith("HTTP/1.1 200 "), answer
        headers = dict(json.loads(answer.partition("\r\n\r\n")[2])["headers"])
        assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == (expected, "https")

    def test_address_rules_are_about_the_client(self, machine: Machine) -> None:
        for client, status in (("127.0.0.4", 200), (CLIENT, 403)):
            answer = self.speak(machine, f"PROXY TCP4 {client} 127.0.0.1 55555 443\r\n", path="/inside/")
            assert answer.startswith(f"HTTP/1.1 {status} ")

    @pytest.mark.parametrize(
        ("name", "port", "chosen", "scheme"),
        [("access.example.test", 443, "http", "https"), ("unencrypted.example.test", 80, "https", "http")],
    )
    def test_the_clients_headers_are_not_believed(
        self, machine: Machine, name: str, port: int, chosen: str, scheme: str
    ) -> None:
        # The balancer passes TCP through: these are the client's.
        lines = [f"X-Forwarded-Proto: {chosen}", "X-Forwarded-Port: 1", "X-Forwarded-For: 198.51.100.66"]
        preamble = f"PROXY TCP4 {CLIENT} 127.0.0.1 55555 {port}\r\n"
        answer = self.speak(machine, preamble, name=name, port=port, lines=lines)
        headers = dict(json.loads(answer.partition("\r\n\r\n")[2])["headers"])
        assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == (scheme, str(port))
        assert headers["x-forwarded-for"] == CLIENT

    @pytest.mark.parametrize("port", [80, 443])
    def test_who_does_not_speak_it_is_not_answered(self, machine: Machine, port: int) -> None:
        assert self.speak(machine, "", port=port) == ""

    def test_port_80_redirects(self, machine: Machine) -> None:
        answer = self.speak(machine, f"PROXY TCP4 {CLIENT} 127.0.0.1 55555 80\r\n", port=80, path="/x?y=z")
        assert answer.startswith("HTTP/1.1 308 ")
        assert "\r\nLocation: https://access.example.test/x?y=z\r\n" in answer

    def test_plain_http_is_served(self, machine: Machine) -> None:
        preamble = f"PROXY TCP4 {CLIENT} 127.0.0.1 55555 80\r\n"
        answer = self.speak(machine, preamble, port=80, name="unencrypted.example.test")
        assert CLIENT in answer
