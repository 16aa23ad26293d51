"""The certificate that is served, and its renewal by certbot's own means."""

from __future__ import annotations

import re

from machine import Machine

LINEAGE = "/etc/letsencrypt/live/notes"
CERTIFICATE = f"{LINEAGE}/fullchain.pem"
RENEW = "REQUESTS_CA_BUNDLE=/etc/pebble/ca.pem certbot renew --force-renewal --no-random-sleep-on-renew"


def test_the_certificate_is_the_cas_and_for_the_sites_names(machine: Machine) -> None:
    text = machine.run(f"openssl x509 -in {LINEAGE}/fullchain.pem -noout -issuer -ext subjectAltName")
    assert "Pebble Intermediate CA" in text
    assert set(re.findall(r"DNS:([^,\s]+)", text)) == {"notes.example.com"}
    assert machine.fingerprint() == machine.fingerprint(CERTIFICATE)


def test_nginx_reads_the_lineage(machine: Machine) -> None:
    assert machine.run("readlink /etc/nginx/tls/notes/current").strip() == LINEAGE


def test_keys_are_roots(machine: Machine) -> None:
    keys = machine.run("find -L /etc/nginx/tls /etc/letsencrypt -name 'privkey*.pem' -printf '%u %m\\n'").split("\n")
    assert len(keys) >= 3
    assert set(filter(None, keys)) == {"root 600"}


def test_the_timer_renews(machine: Machine) -> None:
    assert machine.host.service("certbot.timer").is_enabled
    assert machine.host.service("certbot.timer").is_running


def test_a_run_of_the_timer_renews_nothing_that_is_not_due(machine: Machine) -> None:
    before = machine.fingerprint(CERTIFICATE)
    machine.run("systemctl start certbot.service")
    assert machine.fingerprint(CERTIFICATE) == before == machine.fingerprint()
    assert machine.failed_units() == []


def test_all_is_well_and_the_program_says_nothing(machine: Machine) -> None:
    assert machine.both("asgi-deploy-certificates") == (0, "")


def test_a_renewal_is_served_by_the_hook(machine: Machine) -> None:
    before = machine.fingerprint()
    machine.run(RENEW)
    assert machine.fingerprint(CERTIFICATE) != before
    assert machine.fingerprint() == machine.fingerprint(CERTIFICATE)
    assert machine.ask("/version").status == 200


def test_a_renewal_that_nginx_missed_is_healed_by_the_timers_unit(machine: Machine) -> None:
    machine.run(f"{RENEW} --no-directory-hooks")
    assert machine.fingerprint() != machine.fingerprint(CERTIFICATE)
    machine.run("systemctl start certbot.service")
    assert machine.fingerprint() == machine.fingerprint(CERTIFICATE)


def test_a_certificate_that_does_not_fit_is_not_served(machine: Machine) -> None:
    before = machine.fingerprint()
    archive = machine.run(f"readlink -f {LINEAGE}/privkey.pem").strip()
    machine.run("cp -a %s %s.kept && openssl ecparam -name prime256v1 -genkey -noout -out %s", *[archive] * 3)
    try:
        code, output = machine.both("asgi-deploy-certificates")
        assert (code, "is not the key of" in output) == (1, True), output
        assert machine.code("systemctl start certbot.service") != 0
        assert machine.failed_units() == ["certbot.service"]
        assert machine.fingerprint() == before
    finally:
        machine.run("mv %s.kept %s", archive, archive)
    machine.run("systemctl start certbot.service")
    assert machine.failed_units() == []
