"""Headers: what a client cannot forge, and what every answer carries."""

from __future__ import annotations

import re

from machine import Machine

FORGED = {
    "X-Forwarded-For": "203.0.113.66",
    "X-Real-IP": "203.0.113.66",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "X-Request-ID": "chosen-by-the-client",
    "Forwarded": "for=203.0.113.66;host=evil.example",
    "Proxy": "http://evil.example",
    "X-Original-URL": "/evil",
    "True-Client-IP": "203.0.113.66",
    "X_Forwarded_For": "203.0.113.66",
}
SECURITY = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; "
        "img-src 'self' data:; object-src 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "strict-origin-when-cross-origin",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
}


def test_forged_headers_do_not_reach_the_application(machine: Machine) -> None:
    options = [part for name, value in FORGED.items() for part in ("--header", f"{name}: {value}")]
    answer = machine.ask("/whoami", *options)
    seen = answer.json()
    assert answer.status == 200
    assert not re.search("203.0.113.66|evil|gopher|666|chosen", answer.body), answer.body
    assert (seen["client"], seen["scheme"], seen["host"]) == ("127.0.0.1", "https", "notes.example.com")
    assert seen["headers"]["x-forwarded-for"] == seen["headers"]["x-real-ip"] == "127.0.0.1"
    assert {"forwarded", "proxy", "x_forwarded_for"}.isdisjoint(seen["headers"])


def test_the_absolute_form_cannot_change_the_host(machine: Machine) -> None:
    target = ["--http1.1", "--request-target", "https://notes.example.com/whoami", "--header", "Host: evil.example"]
    answer = machine.ask("/", *target)
    assert answer.json()["host"] == "notes.example.com"
    assert "evil" not in answer.body


def test_every_answer_has_the_security_headers(machine: Machine) -> None:
    for path, status in (("/version", 200), ("/notes/999999", 404)):
        answer = machine.ask(path)
        assert answer.status == status
        assert {name: answer.header(name) for name in SECURITY} == SECURITY


def test_an_answer_of_nginx_itself_has_them_too(machine: Machine) -> None:
    unit = machine.unit()
    units = f"{unit} {unit.replace('.service', '.socket')}"
    machine.run(f"systemctl stop {units}")
    try:
        answer = machine.ask("/version")
    finally:
        machine.run(f"systemctl start {units}")
    assert answer.status == 502
    assert {name: answer.header(name) for name in SECURITY} == SECURITY
    assert re.fullmatch("[0-9a-f]{32}", answer.header("x-request-id"))
    assert machine.ask("/version").status == 200
