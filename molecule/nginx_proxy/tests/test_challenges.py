"""Challenges of a CA, which come over plain HTTP for each name of each site, whatever the site asks of its visitors."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from machine import Machine
from proxy_sites import sites

FOLDER = "/var/www/acme/.well-known/acme-challenge"
PATH = "/.well-known/acme-challenge/of-the-tests"


@pytest.fixture
def _proof(machine: Machine) -> Iterator[None]:
    # The rights that certbot gives to its folders and files.
    machine.run(f"umask 022 && mkdir -p {FOLDER} && printf proof >{FOLDER}/of-the-tests")
    yield
    machine.run(f"rm {FOLDER}/of-the-tests")


def names(machine: Machine) -> set[str]:
    """All names that nginx serves; for a wildcard, one that it stands for."""
    listed = re.findall(r"^\s*server_name ([^;]+);", machine.run("nginx -T 2>/dev/null"), re.MULTILINE)
    # localhost has the status, on a port of its own.
    return {name.replace("*", "any") for line in listed for name in line.split()} - {'""', "_", "localhost"}


@pytest.mark.usefixtures("_proof")
def test_every_name_answers_whatever_its_site_is_like(machine: Machine) -> None:
    wanted = names(machine)
    assert wanted >= {site["domains"][0].replace("*", "any") for site in sites()}
    urls = " ".join(f"http://{name}{PATH}" for name in sorted(wanted))
    answers = machine.run(
        f"curl --silent --max-time 20 --resolve '*:80:127.0.0.1' --write-out ' %{{http_code}} %{{url}}\\n' {urls}"
    )
    assert answers.splitlines() == [f"proof 200 http://{name}{PATH}" for name in sorted(wanted)]
    assert len(wanted) > 30
