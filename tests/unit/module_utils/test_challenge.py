# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe before an order, against servers on addresses of this machine's loopback."""

from __future__ import annotations

import errno
import functools
import http.server
import os
import socket
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import challenge, challenge_http
from ansible_collections.asgi.deploy.plugins.module_utils.challenge import problems_of
from ansible_collections.asgi.deploy.plugins.module_utils.challenge_server import answering, holder_of

Fixture = t.Any
Addresses = dict[str, list[str]]

NAME = "notes.example.com"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers with the files of a folder, or redirects, and writes down who was asked for."""

    def do_GET(self) -> None:
        server = t.cast(Server, self.server)
        server.asked.append(self.headers["Host"])
        if server.location:
            self.send_response(server.status)
            self.send_header("Location", server.location.replace("PATH", self.path))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif server.text is not None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(server.text.encode())
        else:
            super().do_GET()

    def log_message(self, format: str, *args: t.Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address: str, port: int, folder: Path) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.asked: list[str] = []
        self.location = ""
        self.status = 302
        #: What it answers in place of the files.
        self.text: str | None = None
        super().__init__((address, port), functools.partial(Handler, directory=str(folder)))
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return a port that is free on all addresses, in place of 80."""
    with socket.socket() as free:
        free.bind(("0.0.0.0", 0))
        number: int = free.getsockname()[1]
    monkeypatch.setitem(challenge_http.PORTS, "http", number)
    return number


@pytest.fixture
def serve_at(port: int, tmp_path: Path) -> t.Iterator[t.Callable[..., Server]]:
    servers: list[Server] = []

    def run(address: str, folder: Path = tmp_path) -> Server:
        servers.append(Server(address, port, folder))
        return servers[-1]

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Addresses:
    """Return the addresses of names, for a test to fill."""
    known: Addresses = {}
    real = socket.getaddrinfo

    def look_up(host: str, port: t.Any, *arguments: t.Any, **options: t.Any) -> t.Any:
        if not host.endswith(".example.com"):
            return real(host, port, *arguments, **options)
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [found for address in known[host] for found in real(address, port, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def tokens(webroot: Path) -> list[str]:
    return os.listdir(webroot / ".well-known" / "acme-challenge")


def probe(webroot: Path, *names: str, how: str = "resolved") -> dict[str, str]:
    return problems_of(names or (NAME,), "webroot", how, str(webroot))


class TestHere:
    """What this host answers itself."""

    def test_the_site_answers(self, serve_at: Fixture, tmp_path: Path) -> None:
        server = serve_at("127.0.0.1")
        assert probe(tmp_path, NAME, "www.example.com", NAME, how="local") == {}
        assert sorted(server.asked) == [NAME, "www.example.com"]
        assert tokens(tmp_path) == []

    def test_another_folder_is_served(self, serve_at: Fixture, port: int, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        serve_at("127.0.0.1", tmp_path / "other")
        said = f"port {port} of this host answers 404 to a challenge for {NAME}: no site serves it from {tmp_path}"
        # Nobody outside is asked then.
        assert probe(tmp_path) == {NAME: said}
        assert tokens(tmp_path) == []

    def test_a_server_that_echoes_the_path_is_no_answer(self, serve_at: Fixture, tmp_path: Path) -> None:
        server = serve_at("127.0.0.1")
        server.text = "asgi-deploy-"
        assert "answers 200 to a challenge" in probe(tmp_path, how="local")[NAME]

    def test_nothing_listens(self, port: int, tmp_path: Path) -> None:
        said = probe(tmp_path, how="local")[NAME]
        assert said == f"port {port} of this host does not answer for {NAME}: Connection refused"
        assert tokens(tmp_path) == []

    @pytest.mark.parametrize("answer", [b"garbage\r\n", b""])
    def test_what_answers_is_no_http(
        self, serve: Fixture, tcp_server: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
    ) -> None:
        server, number = tcp_server
        monkeypatch.setitem(challenge_http.PORTS, "http", number)
        with serve(server, answer):
            said = probe(tmp_path, how="local")[NAME]
        assert said.startswith(f"port {number} of this host does not answer for {NAME}: ")

    def test_a_server_behind_the_proxy_protocol_answers(
        self, tcp_server: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """nginx then hangs up on whoever comes without the protocol's line; the CA comes by the load balancer."""
        server, number = tcp_server
        monkeypatch.setitem(challenge_http.PORTS, "http", number)
        asked: list[bytes] = []

        def answer() -> None:
            for _index in range(2):
                connection, _address = server.accept()
                with connection:
                    asked.append(connection.recv(65536))
                    if asked[-1].startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 "):
                        while b"\r\n\r\n" not in asked[-1]:
                            asked[-1] += connection.recv(65536)
                        text = (tmp_path / asked[-1].split()[7].decode()[1:]).read_bytes()
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))

        thread = threading.Thread(target=answer)
        thread.start()
        assert probe(tmp_path, how="local") == {}
        thread.join()
        server.close()
        assert asked[0].startswith(b"GET /.well-known/acme-challenge/")
        assert f"\r\nHost: {NAME}\r\n".encode() in asked[1]

    def test_the_webroot_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        said = probe(tmp_path / "file", NAME, "www.example.com")
        problem = f"challenges cannot be answered: {tmp_path}/file/.well-known: Not a directory"
        assert said == {NAME: problem, "www.example.com": problem}

    def test_what_a_killed_run_left_is_removed(self, serve_at: Fixture, tmp_path: Path) -> None:
        folder = tmp_path / ".well-known" / "acme-challenge"
        folder.mkdir(parents=True)
        for name, age in (("asgi-deploy-old", 3600), ("asgi-deploy-of-another-run", 5), ("certbots-own", 3600)):
            (folder / name).write_text("x")
            os.utime(folder / name, (time.time() - age, time.time() - age))
        serve_at("127.0.0.1")
        assert probe(tmp_path, how="local") == {}
        assert sorted(tokens(tmp_path)) == ["asgi-deploy-of-another-run", "certbots-own"]


@pytest.mark.parametrize(
    ("names", "kind", "how"),
    [([NAME], "webroot", "none"), ([NAME], "standalone", "none"), ([NAME], "dns", "resolved"),
     (["*.example.com"], "webroot", "resolved"), ([], "webroot", "resolved")],
)  # fmt: skip
def test_nothing_is_asked(tmp_path: Path, names: list[str], kind: str, how: str) -> None:
    assert problems_of(names, kind, how, str(tmp_path)) == {}
    assert os.listdir(tmp_path) == []


class TestNameServer:
    """Of DNS-01 nothing can be tried but whether the zone's server is there."""

    @pytest.mark.parametrize("probe", ["resolved", "local"])
    def test_it_is_down(self, port: int, probe: str) -> None:
        plugin = {"name_server": "127.0.0.1", "name_server_port": port}
        said = problems_of([NAME, "*.example.com"], "dns", probe, "/nonexistent", plugin)
        problem = f"the name server 127.0.0.1 does not answer on port {port}: Connection refused"
        assert said == {NAME: problem, "*.example.com": problem}
        assert problems_of([NAME], "dns", "none", "/nonexistent", plugin) == {}

    def test_it_answers(self, tcp_server: Fixture) -> None:
        server, number = tcp_server
        plugin = {"name_server": "127.0.0.1", "name_server_port": number}
        assert problems_of([NAME], "dns", "resolved", "/nonexistent", plugin) == {}
        server.close()

    def test_the_plugin_has_none(self) -> None:
        plugin = {"name_server": None, "name_server_port": None}
        assert problems_of([NAME], "dns", "resolved", "/nonexistent", plugin) == {}


class TestFromOutside:
    """What the CA meets at the addresses that the name has in DNS."""

    @pytest.fixture(autouse=True)
    def _here(self, serve_at: Fixture) -> None:
        serve_at("127.0.0.1")

    @pytest.fixture(autouse=True)
    def _not_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(challenge_http, "TIMEOUT", 0.3)

    def test_all_addresses_are_this_host(self, serve_at: Fixture, dns: Addresses, tmp_path: Path) -> None:
        others = [serve_at("127.0.0.2"), serve_at("::1")]
        dns[NAME] = ["127.0.0.1", "127.0.0.2", "::1"]
        assert probe(tmp_path) == {}
        assert [server.asked for server in others] == [[NAME], [NAME]]

    def test_no_address(self, dns: Addresses, tmp_path: Path) -> None:
        assert probe(tmp_path) == {NAME: f"{NAME} has no address in DNS"}

    def test_dns_is_down(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = socket.getaddrinfo

        def look_up(host: str, *arguments: t.Any, **options: t.Any) -> t.Any:
            if host == NAME:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return real(host, *arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        assert probe(tmp_path) == {NAME: f"{NAME} could not be looked up: Temporary failure in name resolution"}

    def test_one_address_is_another_host(self, serve_at: Fixture, dns: Addresses, tmp_path: Path, port: int) -> None:
        (tmp_path / "other").mkdir()
        serve_at("127.0.0.2", tmp_path / "other")
        dns[NAME] = ["127.0.0.1", "127.0.0.2"]
        said = probe(tmp_path)[NAME]
        assert said.startswith(f"127.0.0.2, an address of {NAME}, answers 404 (SimpleHTTP/")
        assert "it is another server, or what stands before this one" in said

    def test_a_wrong_ipv6_address_is_not_forgiven(self, serve_at: Fixture, dns: Addresses, tmp_path: Path) -> None:
        server = serve_at("::1")
        server.text = "welcome\x1b[31m"
        dns[NAME] = ["::1", "127.0.0.1"]
        said = probe(tmp_path)[NAME]
        assert said.startswith(f"::1, an address of {NAME}, answers 200 with something else")

    @pytest.mark.parametrize(("addresses", "silent"), [
        (["::1", "127.0.0.1"], None),
        (["127.0.0.1", "127.0.0.2"], "127.0.0.2"),
        (["::1"], "::1"),
        (["::1", "127.0.0.2"], "127.0.0.2"),
    ])  # fmt: skip
    def test_silent_addresses(
        self, dns: Addresses, tmp_path: Path, port: int, addresses: list[str], silent: str | None
    ) -> None:
        dns[NAME] = addresses
        said = probe(tmp_path).get(NAME)
        if silent is None:
            assert said is None
            return
        assert said is not None
        assert f"{silent}, an address of {NAME}, does not answer on port {port}: Connection refused" in said
        assert "set certbot_probe: local" in said

    def test_an_address_that_never_answers(self, dns: Addresses, tmp_path: Path, port: int) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.2", port))
            silent.listen()
            dns[NAME] = ["127.0.0.2"]
            said = probe(tmp_path)[NAME]
        assert "does not answer on port" in said
        assert "timed out after 0.3 seconds" in said

    def test_many_names_wait_together(
        self, dns: Addresses, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(challenge_http, "TIMEOUT", 1)
        names = [f"n{number}.example.com" for number in range(32)]
        with socket.socket() as silent:
            silent.bind(("127.0.0.2", port))
            silent.listen(100)
            dns.update({name: ["127.0.0.2"] for name in names})
            began = time.monotonic()
            assert set(probe(tmp_path, *names)) == set(names)
        # One after the other they would need 32 s.
        assert time.monotonic() - began < 16
        assert tokens(tmp_path) == []

    def test_the_time_for_all_is_limited(
        self, serve_at: Fixture, dns: Addresses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
    ) -> None:
        monkeypatch.setattr(challenge_http, "TIMEOUT", 5)
        monkeypatch.setattr(challenge, "PATIENCE", 1)
        with socket.socket() as silent:
            silent.bind(("127.0.0.2", port))
            silent.listen()
            dns.update({NAME: ["127.0.0.2"], "quick.example.com": ["127.0.0.1"]})
            began = time.monotonic()
            said = probe(tmp_path, NAME, "quick.example.com")
        assert said == {NAME: f"{NAME}: its challenge had no answer when the 1 seconds for all names were over"}
        assert time.monotonic() - began < 4
        assert tokens(tmp_path) == []


class TestRedirects:
    """As CAs do: ten at most, to port 80 and 443, to whatever certificate."""

    @pytest.fixture
    def outside(self, serve_at: Fixture, dns: Addresses) -> Server:
        """Return the server at the name's address; this host itself answers rightly."""
        serve_at("127.0.0.1")
        dns[NAME] = ["127.0.0.2"]
        dns["www.example.com"] = ["127.0.0.1"]
        server: Server = serve_at("127.0.0.2")
        return server

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_followed(self, outside: Server, tmp_path: Path, port: int, status: int) -> None:
        outside.status, outside.location = status, f"http://www.example.com:{port}PATH"
        assert probe(tmp_path) == {}

    def test_followed_over_tls_to_any_certificate(
        self, outside: Server, tmp_path: Path, make_pair: Fixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import ssl

        secured = http.server.ThreadingHTTPServer(
            ("127.0.0.2", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = make_pair("of-another.example.org")
        context.load_cert_chain(pair / "fullchain.pem", pair / "privkey.pem")
        secured.socket = context.wrap_socket(secured.socket, server_side=True)
        threading.Thread(target=secured.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setitem(challenge_http.PORTS, "https", secured.server_port)
        # Back to the name: to the address that is being asked.
        outside.location = f"https://{NAME}:{secured.server_port}PATH"
        try:
            assert probe(tmp_path) == {}
        finally:
            secured.shutdown()
            secured.server_close()

    @pytest.mark.parametrize(
        ("location", "words"),
        [
            ("http://notes.example.com:8080PATH", "redirects to http://notes.example.com:8080/.well-known/acme-challe"),
            ("ftp://notes.example.com/", "redirects to ftp://notes.example.com/, and CAs follow only to port 80 and 4"),
            ("http://[/", "redirects to http://[/, which is no URL"),
            ("http://\0/", "redirects to http://?/, and CAs follow only"),
            ("http://" + "n" * 70 + ".example.org/", "where no answer comes"),
            ("PATH", "redirects more than 10 times"),
            ("http://nowhere.example.com:PORT/", "where no answer comes: Name or service not known"),
            ("http://www.example.com:PORT/other", "answers 404 (SimpleHTTP"),
        ],
    )
    def test_lost(self, outside: Server, tmp_path: Path, port: int, location: str, words: str) -> None:
        outside.location = location.replace("PORT", str(port))
        said = probe(tmp_path)[NAME]
        assert said.startswith(f"127.0.0.2, an address of {NAME}, ")
        assert words in said
        assert "certbot_probe" not in said


class TestStandalone:
    def test_a_server_of_our_own_answers(self, port: int, dns: Addresses) -> None:
        dns[NAME] = ["127.0.0.1", "127.0.0.2", "::1"]
        assert problems_of([NAME], "standalone", "resolved", "/nonexistent") == {}
        # The port is certbot's afterwards.
        with socket.create_server(("0.0.0.0", port)):
            pass

    def test_the_name_is_another_hosts(self, port: int, dns: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
        dns["other.example.com"] = ["192.0.2.1"]
        monkeypatch.setattr(challenge_http, "TIMEOUT", 0.3)
        said = problems_of(["other.example.com"], "standalone", "resolved", "/nonexistent")["other.example.com"]
        assert "192.0.2.1, an address of other.example.com, does not answer" in said

    @pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
    def test_the_port_is_taken(self, port: int, address: str) -> None:
        with socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET):
            name = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
            said = problems_of([NAME], "standalone", "resolved", "/nonexistent")[NAME]
            assert f"port {port} is taken by {name} (process {os.getpid()}), and certbot has to listen there" in said
            assert holder_of(port) == f"{name} (process {os.getpid()})"
        assert holder_of(port) is None

    def test_nothing_but_the_token_is_answered(self, port: int) -> None:
        with answering(port, "/token", "text"):
            found = [
                challenge_http.ask("x", address, path) for address in ("127.0.0.1", "::1") for path in ("/token", "/")
            ]
        assert [(answer.status, answer.body) for answer in found] == [(200, "text"), (404, "")] * 2

    def test_a_host_without_ipv6(self, port: int, dns: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
        real = socket.socket.bind

        def bind(self: socket.socket, address: t.Any) -> None:
            if address[0] == "::":
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            real(self, address)

        monkeypatch.setattr(socket.socket, "bind", bind)
        dns[NAME] = ["127.0.0.1"]
        assert problems_of([NAME], "standalone", "resolved", "/nonexistent") == {}
