"""The TLS policy, as clients meet it."""

from __future__ import annotations

import json

import pytest
from machine import Machine
from playbook import Outcome, Playbook
from proxy_sites import only, sites

CONNECT = "openssl s_client -connect 127.0.0.1:443 {} </dev/null 2>&1 || true"
NAMED = "-servername smallest.example.test"
#: Where HTTP/3 would be listened for.
UDP = "ss -Hlun 'sport = :443'"
SMALLEST = "https://smallest.example.test/"


def handshake(machine: Machine, options: str) -> str:
    return machine.run(CONNECT.format(options))


def speaks_http3(machine: Machine) -> bool:
    return "13" in machine.name


@pytest.mark.parametrize("options", ["-servername stranger.example", "-noservername"])
def test_an_unknown_name_gets_no_handshake(machine: Machine, options: str) -> None:
    output = handshake(machine, options)
    assert "no peer certificate available" in output
    assert "tlsv1 unrecognized name" in output


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_protocols_are_refused(machine: Machine, version: str) -> None:
    # SECLEVEL=0: otherwise the client itself would not offer it, and nothing would be proven about the server.
    output = handshake(machine, f"{NAMED} {version} -cipher DEFAULT@SECLEVEL=0")
    assert "alert protocol version" in output


@pytest.mark.parametrize(("version", "name"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_new_protocols_are_spoken(machine: Machine, version: str, name: str) -> None:
    output = handshake(machine, f"{NAMED} {version} -brief")
    assert f"Protocol version: {name}" in output


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_ciphers_of_the_intermediate_profile(machine: Machine, cipher: str) -> None:
    assert f"Ciphersuite: {cipher}" in handshake(machine, f"{NAMED} -tls1_2 -cipher {cipher} -brief")


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-CCM"])
def test_ciphers_outside_of_it_are_refused(machine: Machine, cipher: str) -> None:
    assert "alert handshake failure" in handshake(machine, f"{NAMED} -tls1_2 -cipher {cipher}@SECLEVEL=0")


def test_the_best_group_that_the_host_has_is_negotiated(machine: Machine) -> None:
    output = handshake(machine, f"{NAMED} -tls1_3")
    release = machine.run(". /etc/os-release; echo $VERSION_ID").strip()
    assert ("X25519MLKEM768" if release == "13" else "X25519, 253 bits") in output


def test_a_session_is_not_resumed_by_a_ticket(machine: Machine) -> None:
    assert "TLS session ticket" not in handshake(machine, f"{NAMED} -tls1_2")


@pytest.mark.parametrize(("option", "version"), [("--http1.1", "1.1"), ("--http2", "2")])
def test_the_versions_of_http(machine: Machine, option: str, version: str) -> None:
    answer = machine.ask(SMALLEST, option)
    assert (answer.code, answer.status, answer.version) == (0, 200, version)


def test_http3_is_spoken_where_nginx_can(machine: Machine) -> None:
    answer = machine.ask(SMALLEST)
    if speaks_http3(machine):
        assert answer.header("alt-svc") == 'h3=":443"; ma=86400'
        over_udp = machine.ask(SMALLEST, "--http3-only")
        assert (over_udp.code, over_udp.status, over_udp.version) == (0, 200, "3")
        assert over_udp.json()["target"] == "/"
    else:
        assert "alt-svc" not in answer.headers
        assert machine.run(UDP) == ""


@pytest.mark.parametrize("option", ["--http1.1", "--http2", "--http3-only"])
def test_a_known_connection_cannot_ask_for_an_unknown_name(machine: Machine, option: str) -> None:
    if option == "--http3-only" and not speaks_http3(machine):
        assert machine.run(UDP) == ""
        return
    answer = machine.ask(SMALLEST, option, "--header", "Host: stranger.example")
    assert (answer.code, answer.status) == (0, 421)


def test_an_unknown_name_gets_no_handshake_over_http3(machine: Machine) -> None:
    if not speaks_http3(machine):
        assert machine.run(UDP) == ""
        return
    answer = machine.ask("https://stranger.example/", "--http3-only", "--resolve", "stranger.example:443:127.0.0.1")
    assert (answer.code != 0, answer.status) == (True, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("smallest", "max-age=63072000"),
        ("everything", "max-age=63072000; includeSubDomains; preload"),
        ("bootstrap", "max-age=0"),
    ],
)
def test_hsts(machine: Machine, name: str, value: str) -> None:
    assert machine.ask(f"https://{name}.example.test/").header("strict-transport-security") == value


def test_no_hsts_without_tls(machine: Machine) -> None:
    answer = machine.ask("http://unencrypted.example.test/")
    assert answer.status == 200
    assert "strict-transport-security" not in answer.headers


def certificate(name: str) -> list[str]:
    return ["--cert", f"/etc/asgi-tests/{name}.pem", "--key", f"/etc/asgi-tests/{name}.key"]


class TestClientCertificates:
    SITE = "https://members.example.test/"

    @pytest.mark.parametrize("option", ["--http1.1", "--http2"])
    def test_without_one_the_site_is_closed(self, machine: Machine, option: str) -> None:
        answer = machine.ask(self.SITE, option)
        assert (answer.status, "origin" in answer.body) == (400, False)

    def test_one_of_another_authority_is_refused(self, machine: Machine) -> None:
        answer = machine.ask(self.SITE, *certificate("mallory"))
        assert (answer.status, "origin" in answer.body) == (400, False)

    def test_the_application_learns_who_it_is(self, machine: Machine) -> None:
        forged = ["--header", "X-Client-Subject: CN=root", "--header", "X-Client-Fingerprint: 00"]
        answer = machine.ask(self.SITE, *certificate("alice"), *forged)
        headers = answer.json()["headers"]
        told = {name: value for name, value in headers if name.startswith("x-client-")}
        fingerprint = machine.run("openssl x509 -in /etc/asgi-tests/alice.pem -noout -fingerprint -sha1")
        assert told == {
            "x-client-verify": "SUCCESS",
            "x-client-subject": "CN=alice,O=Notes",
            "x-client-fingerprint": fingerprint.partition("=")[2].strip().replace(":", "").lower(),
        }
        assert len([name for name, _value in headers if name.startswith("x-client-")]) == 3

    @pytest.mark.parametrize("name", ["smallest", "badge"])
    def test_nobody_else_can_say_so(self, machine: Machine, name: str) -> None:
        forged = ["X-Client-Verify: SUCCESS", "X-Client-Subject: CN=alice", "X-Client-Fingerprint: 00"]
        options = [part for line in forged for part in ("--header", line)]
        seen = machine.ask(f"https://{name}.example.test/", *options).json()["headers"]
        told = {header: value for header, value in seen if header.startswith("x-client-")}
        assert told in ({}, {"x-client-verify": "NONE"})

    @pytest.mark.parametrize("path", ["/badge/", "/badge/files/page.html"])
    def test_a_location_that_asks_for_one(self, machine: Machine, path: str) -> None:
        site = "https://badge.example.test"
        assert machine.ask(site + path).status == 403
        # A wrong one is refused on the whole site: nginx ends the request before it looks for a location.
        assert machine.ask(site + path, *certificate("mallory")).status == 400
        assert machine.ask(site + path, *certificate("alice")).status == 200
        assert machine.ask(site + "/").status == 200

    @pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
    @pytest.mark.parametrize(
        ("first", "shown", "second"),
        [("smallest", None, "members"), ("members", "alice", "strangers"), ("badge", None, "members")],
    )
    def test_a_session_of_one_site_does_not_open_another(
        self, machine: Machine, first: str, shown: str | None, second: str, version: str
    ) -> None:
        wanted = {
            "first": f"{first}.example.test",
            "second": f"{second}.example.test",
            "certificate": shown,
            "version": version,
        }
        told = machine.python("tls_session.py", json.dumps(wanted))
        # The first site itself resumes it: it is a session that could be taken elsewhere.
        assert (told["first"], told["again"], told["resumed_again"]) == (200, 200, True)
        assert told["second"] not in (200, 403)

    @pytest.mark.parametrize("option", ["--http1.1", "--http2", "--http3-only"])
    @pytest.mark.parametrize("name", ["members", "badge"])
    def test_a_connection_of_another_site_does_not_open_it(self, machine: Machine, name: str, option: str) -> None:
        if option == "--http3-only" and not speaks_http3(machine):
            assert machine.run(UDP) == ""
            return
        answer = machine.ask(SMALLEST, option, "--header", f"Host: {name}.example.test")
        assert (answer.status, "origin" in answer.body) == (421, False)


class TestOwnLists:
    """The user's protocols, ciphers and curves stand in place of the profile's."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def outcome(cls, play: Playbook) -> object:
        extra = {
            "nginx_proxy_tls_protocols": ["TLSv1.2"],
            "nginx_proxy_tls_ciphers": ["ECDHE-ECDSA-AES256-GCM-SHA384"],
            "nginx_proxy_tls_curves": ["secp384r1"],
            # It is TLS 1.3.
            "nginx_proxy_http3": False,
        }
        try:
            yield play(extra={**only("smallest"), **extra}, code=0)
        finally:
            play(code=0)

    def test_the_protocol(self, machine: Machine) -> None:
        assert machine.ask(SMALLEST).status == 200
        assert "alert protocol version" in handshake(machine, f"{NAMED} -tls1_3")

    def test_the_cipher(self, machine: Machine) -> None:
        assert "Ciphersuite: ECDHE-ECDSA-AES256-GCM-SHA384" in handshake(machine, f"{NAMED} -brief")
        other = "ECDHE-ECDSA-AES128-GCM-SHA256"
        assert "alert handshake failure" in handshake(machine, f"{NAMED} -tls1_2 -cipher {other}")

    def test_the_curve(self, machine: Machine) -> None:
        output = handshake(machine, NAMED)
        assert "ECDH, secp384r1, 384 bits" in output or "ECDH, P-384, 384 bits" in output
        assert "alert handshake failure" in handshake(machine, f"{NAMED} -groups X25519")


class TestModernProfileAlone:
    def test_a_mixture_is_refused(self, machine: Machine, mixture: Outcome) -> None:
        message = mixture.hosts[machine.name].message
        assert ".tls.profile" in message
        assert "one profile a host" in message

    @pytest.fixture(scope="class")
    @classmethod
    def mixture(cls, play: Playbook) -> Outcome:
        first, *others = sites()
        return play(
            extra={"nginx_proxy_sites": [{**first, "tls": {**first["tls"], "profile": "modern"}}, *others]}, code=2
        )
