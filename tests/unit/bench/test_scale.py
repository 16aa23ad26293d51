# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from a run over many hosts, and what the stub that stands for them answers."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleError

from tests.bench import nochange, scale
from tests.bench.connection.stub import NGINX, SIZE, answer
from tests.bench.host import Run
from tests.bench.scale import Cost, Round

RECAP = """\
PLAY RECAP *********************************************************************
app0                       : ok=6    changed=0    unreachable=0    failed=0    skipped=6    rescued=0    ignored=0
app1                       : ok=10   changed=0    unreachable=0    failed=0    skipped=6    rescued=0    ignored=0
app2                       : ok=6    changed=0    unreachable=1    failed=0    skipped=6    rescued=0    ignored=0
app3                       : ok=6    changed=0    unreachable=0    failed=1    skipped=6    rescued=0    ignored=0
app4                       : ok=0    changed=0    unreachable=0    failed=0    skipped=6    rescued=0    ignored=0
"""


def test_only_hosts_on_which_all_went_well_count() -> None:
    assert scale.reached(RECAP.splitlines()) == 2
    assert scale.reached(["app0 : ok=6 looks fine, said a task"]) == 0


def test_the_fleet_is_the_readmes_inventory_with_more_hosts() -> None:
    made = scale.inventory(300)
    assert made["all"]["vars"]["gunicorn_app_name"] == "notes"
    assert len(made["proxies"]["hosts"]) == scale.PROXIES
    addresses = [host["ansible_host"] for group in ("apps", "proxies") for host in made[group]["hosts"].values()]
    # The same address twice would be refused, and a name would have to be resolved.
    assert len(set(addresses)) == 300 + scale.PROXIES
    assert all(0 < int(part) < 255 for address in addresses for part in address.split(".")[3:])


TOLD = """\
TASK [asgi.deploy.gunicorn_app : Prepare the release] ****
ok: [app0] => (item=notes)
ok: [app00] => (item=notes)
TASK [asgi.deploy.gunicorn_app : Put the release live] ****
skipping: [app0]
TASK [asgi.deploy.nginx_proxy : Install nginx] ****
changed: [proxy0]
app0                       : ok=6    changed=0    unreachable=0    failed=0    skipped=6    rescued=0    ignored=0
"""


def test_the_tasks_of_a_host_are_counted() -> None:
    assert scale.tasks_of(TOLD.splitlines(), "app0") == 2


def found(cpu: t.Callable[[int], float], memory: t.Callable[[int], float]) -> Round:
    """A round in which as many pings take 2 s at the start, and 0.25 s a host."""
    return Round(
        {size: Cost(size, 1.0, cpu(size), memory(size)) for size in (scale.START, *scale.SIZES)},
        9,
        {size: Cost(size, 1.0, 2 + 0.25 * size, 60.0) for size in scale.PINGED},
    )


@pytest.mark.parametrize(
    ("cpu", "ratio", "met"),
    [
        (lambda size: 4 + 0.3 * size, 1.0, True),
        # What every run costs is no host's: taken along, it would hide that the rest grows with the square.
        (lambda size: 100 + 0.3 * size, 1.0, True),
        (lambda size: 4 + 0.3 * size + 0.001 * size**2, 1.54, False),
    ],
    ids=["linear", "linear after a long start", "quadratic"],
)
def test_a_host_costs_the_same_among_many(cpu: t.Callable[[int], float], ratio: float, met: bool) -> None:
    target = scale.targets([found(cpu, lambda _size: 60.0)])[0]
    assert target.measured.median == pytest.approx(ratio, abs=0.01)
    assert target.met is met


@pytest.mark.parametrize(
    ("memory", "met"),
    [(lambda size: 60 + 0.02 * size, True), (lambda size: 60 + 0.001 * size**2, False)],
    ids=["flat", "each host remembers all others"],
)
def test_the_memory_stays_what_it_is(memory: t.Callable[[int], float], met: bool) -> None:
    assert scale.targets([found(lambda size: 4 + 0.3 * size, memory)])[1].met is met


@pytest.mark.parametrize(("each", "met"), [(0.3, True), (0.5, False)])
def test_a_host_is_held_against_as_many_pings(each: float, met: bool) -> None:
    target = scale.targets([found(lambda size: 4 + each * size, lambda _size: 60.0)])[2]
    assert target.measured.median == pytest.approx(each / 0.25)
    assert "9 pings" in target.name
    assert target.met is met


def sent(module: str) -> bytes:
    return f"_main(zip_data='UEsDB', ansible_module='x', module_fqn='{module}', params='{{}}')".encode()


@pytest.mark.parametrize(
    ("module", "key"),
    [
        ("ansible_collections.asgi.deploy.plugins.modules.nginx_tree", "generation"),
        ("ansible_collections.asgi.deploy.plugins.modules.role_inputs", "prepared"),
        ("ansible.modules.ping", "ping"),
    ],
)
def test_the_stub_answers_as_the_module_would(module: str, key: str) -> None:
    said = json.loads(answer("/bin/sh -c python3", sent(module)))
    assert said["changed"] is False
    assert key in said


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("sh -c 'nproc; grep MemTotal /proc/meminfo; '", SIZE),
        ("sh -c 'grep MemTotal; echo '-- nginx --'; nginx -V'", f"{SIZE}-- nginx --\n{NGINX}"),
        ("sh -c 'echo '-- nginx --'; nginx -V'", f"-- nginx --\n{NGINX}"),
    ],
)
def test_the_stub_says_what_a_host_is(command: str, printed: str) -> None:
    assert answer(command, None) == printed


@pytest.mark.parametrize(
    ("command", "given"),
    [("mkdir /root/.ansible", None), ("python3", b"a script"), ("python3", sent("ansible.modules.apt"))],
)
def test_the_stub_invents_no_answer(command: str, given: bytes | None) -> None:
    # A further trip to the host is a finding, and must not pass for work of the controller.
    with pytest.raises(AnsibleError, match="the stub has no answer"):
        answer(command, given)


def test_the_slowest_tasks_are_those_of_the_median() -> None:
    runs = [Run(9.0, 2.0, {"once": once, "always": 2.0, "quick": 0.1}, 0) for once in (0.5, 8.0, 0.6)]
    assert nochange.slowest(runs, many=2) == [("always", 2.0), ("once", 0.6)]


def test_the_whole_stack_is_held_against_the_ping_of_its_own_round() -> None:
    # The second round was twice as slow for both.
    runs = {
        nochange.STACK: [Run(6.0, 3.0, {"a": 1.0}, 0), Run(12.0, 3.0, {"a": 1.0}, 0)],
        nochange.PING: [Run(2.0, 1.0, {}, 0), Run(4.0, 1.0, {}, 0)],
    }
    made = nochange.report(runs, {"Debian": "trixie"}).as_json()
    assert [target["measured"] for target in made["targets"]] == [{"median": 3.0, "low": 3.0, "high": 3.0}]
    assert made["table"][0] == {"medians": nochange.STACK, "whole run, s": "9.00", "controller CPU, s": "3.00"}


def test_the_report_of_the_fleet_has_a_row_for_each_size() -> None:
    made = scale.report([found(lambda size: 4 + 0.3 * size, lambda _size: 60.0)]).as_json()
    assert [row["CPU a host, s"] for row in made["table"]] == ["0.300"] * len(scale.SIZES)
    assert len(made["rounds"]) == len(scale.SIZES) + 1 + len(scale.PINGED)
