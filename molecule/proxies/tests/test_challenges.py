"""A CA that asks the wrong proxy gets its answer all the same."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from floating import NAME, holder_of
from lineages import Lineage
from machine import Machine

FOLDER = "/.well-known/acme-challenge/"
WEBROOT = f"/var/www/acme{FOLDER}"
TOKEN = "token-of_the-Tests0"
BOTH = "both.example.test"


def get(machine: Machine, path: str, *options: str, name: str = NAME) -> tuple[int, str, float]:
    """Ask a proxy itself for a path: the status, the body and the seconds it took."""
    began = time.monotonic()
    answer = machine.ask(f"http://{name}{path}", "--resolve", f"{name}:80:127.0.0.1", "--path-as-is", *options)
    return answer.status, answer.body, time.monotonic() - began


@pytest.fixture(params=[0, 1], ids=["debian12 has it", "debian13 has it"])
def apart(request: pytest.FixtureRequest, machines: list[Machine]) -> Iterator[tuple[Machine, Machine]]:
    """The proxy that has a token, and the one that is asked."""
    owner = machines[request.param]
    owner.run(f"umask 022 && mkdir -p {WEBROOT} && printf proof >{WEBROOT}{TOKEN}")
    yield owner, machines[1 - request.param]
    owner.run(f"rm {WEBROOT}{TOKEN}")


@pytest.mark.parametrize("name", [NAME, BOTH])
def test_each_proxy_answers_for_the_other(apart: tuple[Machine, Machine], name: str) -> None:
    for machine in apart:
        assert get(machine, FOLDER + TOKEN, name=name)[:2] == (200, "proof")


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (f"{FOLDER}{TOKEN}?x=y", ()),
        (f"{FOLDER}x/../{TOKEN}", ()),
        (f"{FOLDER}{TOKEN}%41", ()),
        (f"{FOLDER}{TOKEN}.txt", ()),
        (f"{FOLDER}../../{TOKEN}", ()),
        (FOLDER, ()),
        (FOLDER + TOKEN, ("--request", "DELETE")),
        # As from another proxy: it has asked all others.
        (FOLDER + TOKEN, ("--header", "X-Challenge-Of-Other-Proxy: yes")),
    ],
)
def test_nothing_but_a_token_is_asked_for_elsewhere(
    apart: tuple[Machine, Machine], path: str, options: tuple[str, ...]
) -> None:
    owner, other = apart
    before = challenges(owner)
    assert get(other, path, *options)[0] in (308, 403, 404, 405)
    assert challenges(owner) == before


def challenges(machine: Machine) -> list[str]:
    """The challenges that a proxy was asked for over the network, in its log."""
    time.sleep(1.1)
    lines = machine.run("cat /var/log/nginx/access.log").splitlines()
    return [line for line in lines if "acme-challenge" in line and '"127.0.0.1"' not in line]


def test_a_token_that_nobody_has_is_asked_for_once_at_each_proxy(machines: list[Machine]) -> None:
    before = [len(challenges(machine)) for machine in machines]
    assert get(machines[0], f"{FOLDER}nobodys")[0] == 404
    assert [len(challenges(machine)) for machine in machines] == [before[0], before[1] + 1]


def test_the_client_tells_the_other_proxy_nothing(apart: tuple[Machine, Machine]) -> None:
    owner, other = apart
    told = ["--header", "X-Forwarded-For: 192.0.2.66", "--user-agent", "told-by-the-client", "--data", "x" * 900]
    assert get(other, FOLDER + TOKEN, "--request", "GET", *told)[:2] == (200, "proof")
    seen = challenges(owner)[-1]
    assert "told-by-the-client" not in seen
    assert "192.0.2.66" not in seen
    assert get(other, FOLDER + TOKEN, "--request", "GET", "--data", "x" * 2000)[0] == 413


@pytest.mark.parametrize(
    ("away", "back"),
    [
        ("systemctl stop nginx", "systemctl start nginx"),
        # It takes connections, and does not answer.
        ("pkill -STOP nginx", "pkill -CONT nginx"),
        ("ip link set eth0 down", "ip link set eth0 up; ip route replace default via GATEWAY"),
    ],
)
def test_a_proxy_that_is_away_costs_a_second_at_most(machines: list[Machine], away: str, back: str) -> None:
    holder, other = holder_of(machines)
    gateway = other.run("ip route show default").split()[2]
    other.run(away)
    try:
        status, _body, seconds = get(holder, FOLDER + TOKEN)
    finally:
        other.run(back.replace("GATEWAY", gateway))
    assert status == 404
    assert seconds < 2, seconds


def test_both_have_certificates_of_their_own(machine: Machine) -> None:
    for name in ("shop", "both"):
        lineage = Lineage(machine, name)
        assert "Pebble" in lineage.issuer()
        assert lineage.names() == {f"{name}.example.test"}


def test_the_one_without_the_address_got_its_through_the_other(machines: list[Machine]) -> None:
    """Its order was for a name that leads to the address, and the file lay in its own folder."""
    asked = [line for machine in machines for line in challenges(machine) if json.loads(line)["host"] == NAME]
    from_proxies = {machine.run("hostname --ip-address").strip() for machine in machines}
    assert [line for line in asked if json.loads(line)["remote_addr"] in from_proxies], asked
