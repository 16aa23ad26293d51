"""A certificate that the user puts on the host (tls.source: files): checked, served, and served anew when renewed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from machine import Machine
from playbook import Outcome, Playbook, site

CERTIFICATE, KEY = "/etc/ssl/own.pem", "/etc/ssl/private/own.key"
OWN = site(tls={"source": "files", "certificate": CERTIFICATE, "key": KEY})


def renew(machine: Machine, name: str = "notes.example.com") -> None:
    machine.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=own"
        f" -addext subjectAltName=DNS:{name} -keyout {KEY} -out {CERTIFICATE} 2>/dev/null"
    )


@pytest.fixture(scope="module")
def outcomes(machines: list[Machine], play: Playbook) -> Iterator[list[Outcome]]:
    """Deployed; renewed in place and run again; run once more."""
    runs = []
    for again in (True, True, False):
        for machine in machines if again else []:
            renew(machine)
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
