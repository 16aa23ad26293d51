"""The TLS policy, as clients meet it."""

from __future__ import annotations

import pytest
from machine import Machine

CONNECT = "openssl s_client -connect 127.0.0.1:443 {} </dev/null 2>&1 || true"
NAMED = "-servername notes.example.com"


def handshake(machine: Machine, options: str) -> str:
    return machine.run(CONNECT.format(options))


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
    groups = {"12": "X25519", "13": "X25519MLKEM768"}
    release = machine.run(". /etc/os-release; echo $VERSION_ID").strip()
    output = handshake(machine, f"{NAMED} -tls1_3")
    assert f"{groups[release]}" in output.replace("X25519, 253 bits", "X25519")
    assert ("MLKEM" in output) == (release == "13")


def test_a_session_is_not_resumed_by_a_ticket(machine: Machine) -> None:
    assert "TLS session ticket" not in handshake(machine, f"{NAMED} -tls1_2")


def test_hsts_for_two_years(machine: Machine) -> None:
    assert machine.ask("/version").header("strict-transport-security") == "max-age=63072000"
