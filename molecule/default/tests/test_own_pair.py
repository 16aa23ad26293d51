"""A certificate that the user puts on the host (tls.source: files): checked, served, and served anew when renewed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from machine import Machine
from playbook import Outcome, Playbook, site

CERTIFICATE, KEY = "/etc/ssl/own.pem", "/etc/ssl/private/own.key"
OWN = site(tls={"source": "files", "certificate": CERTIFICATE, "key": KEY})


def renew(machine: Machine, name: str = "notes.example.com", days: int = 90) -> None:
    """Put a pair there that is valid for so many days from now on, of 90."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "own")])
    end = datetime.now(UTC) + timedelta(days=days)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=90))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    machine.write(CERTIFICATE, certificate.public_bytes(pem).decode())
    machine.write(KEY, key.private_bytes(pem, *form).decode())


@pytest.fixture(scope="module")
def outcomes(machines: list[Machine], play: Playbook) -> Iterator[list[Outcome]]:
    """Deployed; renewed in place, for ten days, and run again; run once more."""
    runs = []
    for days in (90, 10, 0):
        for machine in machines if days else []:
            renew(machine, days=days)
        runs.append(play(extra=OWN, code=0))
    yield runs
    assert play(code=0).hosts


def test_a_pair_that_was_renewed_in_place_is_served(machine: Machine, outcomes: list[Outcome]) -> None:
    assert [outcome.hosts[machine.name].changed for outcome in outcomes] == [
        # The host also learns that certbot's certificate is nobody's business any more.
        ["Put the configuration live", "Prepare the host"],
        ["Put the configuration live"],
        [],
    ]
    assert machine.fingerprint() == machine.fingerprint(CERTIFICATE)


def test_each_run_warns_of_its_end(outcomes: list[Outcome]) -> None:
    told = [" ".join(outcome.output.split()) for outcome in outcomes]
    words = rf"\[WARNING\]: .*{CERTIFICATE} expires on [-0-9]+ [:0-9]+ UTC, in 9 days, and nothing here renews it"
    assert [bool(re.search(words, text)) for text in told] == [False, True, True]


def test_a_pair_for_another_name_is_refused(machines: list[Machine], outcomes: list[Outcome], play: Playbook) -> None:
    before = {machine.name: machine.fingerprint() for machine in machines}
    for machine in machines:
        renew(machine, "other.example.com")
    outcome = play(extra=OWN, code=2)
    for machine in machines:
        message = outcome.hosts[machine.name].message
        assert "nginx_proxy_sites[0].tls.certificate: " in message
        assert "does not cover notes.example.com" in message
        assert outcome.hosts[machine.name].changed == []
        assert machine.fingerprint() == before[machine.name]
