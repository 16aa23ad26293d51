"""A renewal by the timer's unit under load: nobody notices it, but for those whose connection lay idle.

nginx below 1.27.4 closes idle keep-alive connections at a reload, and a request that is on its way on one of them at
that moment is lost; the client has to repeat it, which browsers do by themselves for what may be repeated. What keeps
them few is that nginx is reloaded once however many lineages were renewed, and never where nothing was renewed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from lineages import assert_well, blog, renew, shop
from machine import Machine, wait_for

LARGE = "large.bin"
STOP, REPORT = "/tmp/tls_load.stop", "/tmp/tls_load.json"
RELOADS = "journalctl --unit nginx.service -o cat | grep -c 'Reloaded nginx' || true"


@dataclass
class Renewal:
    before: str
    after: str
    report: dict[str, Any]
    reloads: int


@pytest.fixture(scope="module")
def renewals(machines: list[Machine]) -> Iterator[dict[str, Renewal]]:
    yield {machine.name: renewed_under_load(machine) for machine in machines}
    for machine in machines:
        machine.run(f"rm /srv/shop/{LARGE}")


def renewed_under_load(machine: Machine) -> Renewal:
    machine.run(f"rm -f {STOP} {REPORT} && head -c 40000000 /dev/zero >/srv/shop/{LARGE}")
    before, reloads = shop(machine).served(), int(machine.run(RELOADS))
    for lineage in (shop(machine), blog(machine)):
        lineage.make_due()
    machine.background("tls_load.py", STOP, REPORT, "shop.example.test", f"/{LARGE}")
    try:
        machine.run("sleep 2")
        assert renew(machine)
        machine.run("sleep 2")
    finally:
        machine.run(f"touch {STOP}")
    wait_for("the report of the load", partial(machine.succeeds, f"test -e {REPORT}"), 30)
    report = json.loads(machine.run(f"cat {REPORT}"))
    return Renewal(before, shop(machine).served(), report, int(machine.run(RELOADS)) - reloads)


def test_no_new_connection_and_no_request_in_flight_fails(machine: Machine, renewals: dict[str, Renewal]) -> None:
    report = renewals[machine.name].report
    assert report["failures"] == []
    assert report["counts"]["new"] > 30
    assert report["counts"]["reused"] > 100
    assert report["counts"]["live"] >= 2


def test_new_connections_get_the_new_certificate_and_never_a_third(
    machine: Machine, renewals: dict[str, Renewal]
) -> None:
    renewal = renewals[machine.name]
    assert renewal.before != renewal.after
    wanted = [line.split("=")[1].replace(":", "").lower() for line in (renewal.before, renewal.after)]
    assert renewal.report["served"] == wanted
    assert_well(machine)


def test_two_renewed_lineages_are_one_reload(machine: Machine, renewals: dict[str, Renewal]) -> None:
    assert renewals[machine.name].reloads == 1


def test_only_what_lay_idle_was_closed(machine: Machine, renewals: dict[str, Renewal]) -> None:
    report = renewals[machine.name].report
    idle, reused = report["counts"]["idle"], report["counts"]["reused"]
    # Shown with `pytest -s`, or where the test fails.
    print(f"{machine}: {report['closed']} of {idle} idle connections were closed by the reload,")
    print(f"{machine}: {report['resets']} of {reused} requests on reused ones met that, and were repeated")
    # One reload: each of the two clients that reuse a connection can meet it once.
    assert report["resets"] <= 2
    assert idle == 20
