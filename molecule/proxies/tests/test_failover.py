"""The address moves when the host that has it cannot serve, stays where it is then, and never is on two hosts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import pytest
from floating import asked, holder_of, holders, is_ready, wait_for_holder
from machine import Machine, wait_for


def test_one_host_has_the_address_and_nginx_answers_there(machines: list[Machine]) -> None:
    holder, other = holder_of(machines)
    for machine in (holder, other):
        assert machine.ask("/").body.strip() == holder.name
    # Nothing of the configuration says where nginx listens: it is on all addresses.
    assert "listen 443 ssl" in other.run("nginx -T 2>/dev/null")


#: What takes the address away from its host, what mends that, and the longest time without an answer: of a stop that
#: is told, the time for a packet; of one that is not, three adverts; of nginx two checks. And a slow machine.
TROUBLE = {
    "nginx is stopped": ("systemctl stop nginx", "systemctl start nginx", 5.0),
    "keepalived is stopped": ("systemctl stop keepalived", "systemctl start keepalived", 2.5),
    "keepalived is killed": ("pkill -KILL keepalived", "true", 4.0),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_it_moves_and_does_not_come_back(
    machines: list[Machine], trouble: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begin, end, longest = TROUBLE[trouble]
    holder, other = holder_of(machines)
    with asked(other) as found:
        holder.run(begin)
        wait_for_holder(machines, other)
        holder.run(end)
        wait_for("the first host is ready again", lambda: is_ready(holder))
        # It would come back within four adverts.
        time.sleep(2.5)
    with capsys.disabled():
        print(f"\n{trouble}: {found}")
    assert holders(machines) == [other]
    assert found["pages"] == [holder.name, other.name]
    assert found["longest"] < longest, found
    assert found["answered"] > 10, found


def test_a_reload_of_nginx_leaves_the_address_where_it_is(machines: list[Machine]) -> None:
    holder, other = holder_of(machines)
    with asked(other) as found:
        holder.run("systemctl reload nginx")
        time.sleep(2.5)
    assert found["pages"] == [holder.name], found
    assert found["failed"] == 0, found
    assert holders(machines) == [holder]


@contextmanager
def frozen(machine: Machine) -> Iterator[None]:
    client = docker.from_env()
    container = client.containers.get(machine.name)
    container.pause()
    try:
        yield
    finally:
        container.unpause()
        client.close()


def test_a_host_that_was_gone_for_a_while_does_not_keep_it_too(
    machines: list[Machine], capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a cut of the network: both have the address when they see each other again."""
    holder, other = holder_of(machines)
    with asked(other) as found:
        with frozen(holder):
            wait_for_holder([other], other)
            time.sleep(0.5)
        wait_for("one host holds the address", lambda: len(holders(machines)) == 1)
        time.sleep(1)
    with capsys.disabled():
        print(f"\nfrozen: {found}")
    assert len(holders(machines)) == 1
    assert found["longest"] < 4, found


def test_keepalived_can_do_no_more_than_it_has_to(machine: Machine) -> None:
    security = machine.run("systemd-analyze security --no-pager keepalived.service | tail -n 1")
    assert float(security.split(":")[1].split()[0]) < 3, security
    # What it is kept from would be here.
    said = machine.run("journalctl --unit keepalived.service --output=cat")
    assert "Operation not permitted" not in said
    assert "Permission denied" not in said
