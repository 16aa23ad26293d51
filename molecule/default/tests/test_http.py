"""What a client of the site gets, and what strangers do not get."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from machine import Machine

NAME = "notes.example.com"


def test_answers_over_http2_with_the_applications_json(machine: Machine) -> None:
    answer = machine.ask("/version", "--http2")
    assert (answer.code, answer.status, answer.version) == (0, 200, "2")
    assert answer.json()["version"] == "1.0.0"
    assert answer.header("content-type") == "application/json"
    assert answer.header("server") == "nginx"


def test_answers_clients_that_speak_http_1_1(machine: Machine) -> None:
    answer = machine.ask("/version", "--http1.1")
    assert (answer.status, answer.version) == (200, "1.1")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health(machine: Machine, path: str) -> None:
    assert machine.ask(path).status == 200


def test_a_resource_is_written_read_and_removed(machine: Machine) -> None:
    note = machine.ask("/notes", "--json", json.dumps({"title": "Grüße", "body": "x"}))
    assert note.status == 201
    place = note.header("location")
    assert machine.ask(place).json()["title"] == "Grüße"
    assert machine.ask(place, "--request", "DELETE").status == 204
    assert machine.ask(place).status == 404


@pytest.mark.parametrize(
    "forged",
    [
        [],
        ["--header", "X-Forwarded-Host: evil.example"],
        ["--header", "X-Forwarded-Host: evil.example", "--request", "POST", "--data", "x"],
        # The absolute form, as to a proxy; its name is the one that counts, and the Host header is ignored.
        ["--request-target", f"http://{NAME}/notes?limit=1", "--header", "Host: evil.example"],
    ],
    ids=["plain", "x-forwarded-host", "post", "absolute-form"],
)
def test_port_80_redirects_to_the_literal_name(machine: Machine, forged: list[str]) -> None:
    answer = machine.ask(f"http://{NAME}/notes?limit=1", *forged)
    assert answer.status == 308
    assert answer.header("location") == f"https://{NAME}/notes?limit=1"


@pytest.mark.parametrize(
    "request_text",
    [
        "GET / HTTP/1.1\r\nHost: stranger.example\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        "GET http://stranger.example/ HTTP/1.1\r\nHost: notes.example.com\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ],
    ids=["unknown-host", "address", "absolute-form", "no-host"],
)
def test_port_80_has_no_answer_for_strangers(machine: Machine, request_text: str) -> None:
    assert machine.python("raw.py", "80", json.dumps(request_text)) == ""


def test_a_known_connection_cannot_ask_for_an_unknown_name(machine: Machine) -> None:
    # The handshake names the site, the request another one.
    answer = machine.ask("/version", "--header", "Host: stranger.example")
    assert answer.status == 421


def test_an_acme_challenge_is_answered_without_redirect(machine: Machine) -> None:
    folder = "/var/www/acme/.well-known/acme-challenge"
    machine.run(f"mkdir -p {folder} && printf proof >{folder}/from-verify")
    try:
        answer = machine.ask(f"http://{NAME}/.well-known/acme-challenge/from-verify")
        assert (answer.status, answer.body) == (200, "proof")
        assert machine.ask(f"http://{NAME}/.well-known/acme-challenge/absent").status == 404
        listing = machine.ask(f"http://{NAME}/.well-known/acme-challenge/")
        assert "from-verify" not in listing.body
    finally:
        machine.run(f"rm {folder}/from-verify")


def test_a_websocket_echoes_text_and_bytes(machine: Machine) -> None:
    echoes = machine.python("websocket.py", interpreter="/opt/notes/current/venv/bin/python")
    assert echoes == [True, True, True]


def test_only_websockets_are_upgraded(machine: Machine) -> None:
    smuggled = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]
    answer = machine.ask("/whoami", "--http1.1", *(part for line in smuggled for part in ("--header", line)))
    assert answer.status == 200
    assert "upgrade" not in answer.json()["headers"]
    assert "upgrade" not in answer.json()["headers"].get("connection", "").lower()


def test_a_stream_arrives_line_by_line(machine: Machine) -> None:
    arrivals = machine.python("stream.py")
    assert [arrival["line"] for arrival in arrivals] == [0, 1, 2, 3]
    # Made 0.9 s apart; a proxy that collects them would deliver all at once.
    assert arrivals[-1]["at"] - arrivals[0]["at"] > 0.6


def test_an_upload_arrives_whole(machine: Machine) -> None:
    machine.run("head -c 9000000 /dev/zero >/tmp/upload")
    answer = machine.ask("/upload", "--form", "file=@/tmp/upload")
    assert answer.json() == {"size": 9000000, "sha256": hashlib.sha256(bytes(9000000)).hexdigest()}


def test_an_upload_above_the_body_size_is_refused(machine: Machine) -> None:
    machine.run(f"head -c {10 * 1024 * 1024} /dev/zero >/tmp/upload")
    assert machine.ask("/upload", "--form", "file=@/tmp/upload").status == 413


def test_a_slow_endpoint_has_its_time(machine: Machine) -> None:
    answer = machine.ask("/slow?seconds=2")
    assert (answer.status, answer.json()) == (200, {"slept": 2.0})


def test_connections_to_the_application_are_used_again(machine: Machine) -> None:
    seen = machine.python("connections.py", f"/run/notes/{machine.slot()}.sock")
    # Each request came over a client connection of its own. If nginx opened one to the application for each as
    # well, none would be left afterwards, or 30 in all: it keeps what each of its workers has opened.
    assert all(seen), seen
    opened = {inode for connections in seen for inode in connections} - set(seen[0])
    workers = int(machine.run("pgrep --count --full 'nginx: worker'"))
    assert len(opened) < workers + 2, seen


def test_only_the_expected_ports_listen(machine: Machine) -> None:
    listening = set(machine.run("ss -Hltn | awk '{print $4}'").split())
    bench = {"127.0.0.1:14000", "127.0.0.1:15000"}
    # Docker's own resolver has another port each time.
    ours = {address for address in listening - bench if not address.startswith("127.0.0.11:")}
    assert ours == {"0.0.0.0:80", "[::]:80", "0.0.0.0:443", "[::]:443", "127.0.0.1:8099"}


def test_the_packages_default_site_is_gone(machine: Machine) -> None:
    configuration = machine.run("nginx -T 2>/dev/null")
    read = re.findall(r"^# configuration file (\S+):$", configuration, re.MULTILINE)
    assert "/etc/nginx/nginx.conf" in read
    assert not [path for path in read if "sites-enabled" in path or "conf.d" in path]
    assert "Welcome to nginx" not in machine.ask("/").body
