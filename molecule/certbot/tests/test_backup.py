"""The documented backup, restored on hosts that nothing was ever deployed to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fresh import copy, fresh_hosts, play_on
from lineages import Lineage, assert_well, renew
from machine import TRUST, Machine
from pebble import Pebble, counted
from playbook import ROOT, Outcome

DOCUMENT = ROOT / "docs/certificates/backup.md"
ARCHIVE = "/root/letsencrypt.tar.gz"
SITES = ("shop", "blog")
#: Each file, folder and link, with its mode, owner and target.
LISTED = "find /etc/letsencrypt -printf '%M %u:%g %p %l\\n' | sort"
FINGERPRINT = "openssl x509 -in /etc/letsencrypt/live/%s/fullchain.pem -noout -fingerprint -sha256"


def documented(command: str) -> str:
    """The one command of the page that begins so: what people copy is what is tested."""
    found = re.findall(rf"^    (.*{re.escape(command)}.*)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1, found
    return str(found[0])


@dataclass
class Move:
    """A host of the scenario, the new one that takes its place, and what the first run there did."""

    old: Machine
    new: Machine
    listed: str
    outcome: Outcome
    orders: int


@pytest.fixture(scope="module")
def moves(machines: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Move]]:
    hosts = {machine.name: machine.run("cat /etc/hosts") for machine in machines}
    try:
        with fresh_hosts("restored") as new:
            for before, after in zip(machines, new, strict=True):
                restore(before, after)
                take_over(before, after)
            listed = [machine.run(LISTED) for machine in new]
            play = play_on(new, tmp_path_factory.mktemp("inventory"))
            with counted(machines) as orders:
                outcome = play(code=0)
            yield [
                Move(before, after, files, outcome, orders[before.name])
                for before, after, files in zip(machines, new, listed, strict=True)
            ]
    finally:
        for machine in machines:
            machine.write("/etc/hosts", hosts[machine.name])
            machine.run("systemctl stop pebble-door.socket pebble-door.service 2>/dev/null || true")
            machine.run(f"rm -f {ARCHIVE}")


def restore(old: Machine, new: Machine) -> None:
    old.run(documented("tar --create"))
    assert old.run(f"stat -c '%a %U' {ARCHIVE}").strip() == "600 root"
    copy(ARCHIVE, old, new)
    new.run(documented("tar --extract"))


def take_over(old: Machine, new: Machine) -> None:
    """Let the new host reach the old one's Pebble, which knows the account, and let that find the names there."""
    proxy = "/usr/lib/systemd/systemd-socket-proxyd"
    old.run(f"systemd-run --quiet --unit=pebble-door --socket-property=ListenStream=14100 {proxy} 127.0.0.1:14000")
    address = old.run("hostname -I").split()[0]
    new.run("systemctl stop pebble.service")
    listen = "--socket-property=ListenStream=127.0.0.1:14000"
    new.run(f"systemd-run --quiet --unit=pebble-way {listen} {proxy} {address}:14100")
    own = new.run("hostname -I").split()[0]
    text = re.sub(r"^127\.0\.0\.1(\s+\S+\.test)$", rf"{own}\1", old.run("cat /etc/hosts"), flags=re.MULTILINE)
    assert own in text
    old.write("/etc/hosts", text)
    new.write(TRUST, old.run(f"cat {TRUST}"))
    # What the scenario's prepare does besides.
    for site in SITES:
        new.run(f"mkdir -p /srv/{site} && echo {site} >/srv/{site}/index.html")


def test_no_order_is_placed(moves: list[Move]) -> None:
    assert [move.orders for move in moves] == [0, 0]


def test_owners_and_modes_are_as_they_were(moves: list[Move]) -> None:
    for move in moves:
        assert move.listed == move.old.run(LISTED)
        for line in move.listed.splitlines():
            if re.search(r"/privkey\S*\.pem $|private_key\.json $|/keys/\S+ $", line):
                assert re.match(r"-r[w-]------- root:root ", line), line
        for folder in ("accounts", "archive", "live"):
            assert f"drwx------ root:root /etc/letsencrypt/{folder} " in move.listed
        # The role's own are added, and nothing that was restored is changed.
        assert set(move.listed.splitlines()) <= set(move.new.run(LISTED).splitlines())


def test_the_same_certificate_is_served_from_the_first_start(moves: list[Move]) -> None:
    for move in moves:
        for site in SITES:
            assert move.new.run(FINGERPRINT % site) == move.old.run(FINGERPRINT % site)
            assert move.new.run(f"readlink /etc/nginx/tls/{site}/current").strip() == f"/etc/letsencrypt/live/{site}"
            answer = move.new.ask(f"https://{site}.example.test/")
            assert (answer.status, answer.body) == (200, f"{site}\n")
        # nginx_proxy found it there: the self-signed pair was never served.
        assert "nginx serves the certificate" not in move.outcome.output


def test_it_is_renewed_by_the_same_account(moves: list[Move]) -> None:
    for move in moves:
        accounts = move.new.run("find /etc/letsencrypt/accounts | sort")
        before = {site: move.new.run(FINGERPRINT % site) for site in SITES}
        registered = registrations(move.old)
        for site in SITES:
            Lineage(move.new, site).make_due()
        assert renew(move.new)
        for site in SITES:
            assert move.new.run(FINGERPRINT % site) != before[site]
        assert move.new.run("find /etc/letsencrypt/accounts | sort") == accounts
        assert registrations(move.old) == registered
        # The timer runs, and what is on disk is served.
        assert_well(move.new, *SITES)


def registrations(machine: Machine) -> int:
    """How many accounts the host's Pebble was asked for since it booted."""
    journal = machine.run(f"journalctl --unit {Pebble(machine).unit} -o cat")
    return journal.count("POST /sign-me-up")


def test_a_second_run_changes_nothing(moves: list[Move], tmp_path: Path) -> None:
    with counted([move.old for move in moves]) as orders:
        play_on([move.new for move in moves], tmp_path)().assert_unchanged()
    assert set(orders.values()) == {0}


def test_keys_that_lost_their_modes_are_closed(moves: list[Move], tmp_path: Path) -> None:
    """As after a restore by something that keeps no modes."""
    # How often it was renewed before is another file's business.
    keys = {move.new.name: move.new.run("readlink -f /etc/letsencrypt/live/shop/privkey.pem").strip() for move in moves}
    for move in moves:
        move.new.run("chown nobody %s && chmod 0644 %s", *[keys[move.new.name]] * 2)
    outcome = play_on([move.new for move in moves], tmp_path)(code=0)
    said = " ".join(outcome.output.split())
    for move in moves:
        key = keys[move.new.name]
        assert move.new.run(f"stat --format '%U %a' {key}").strip() == "root 640"
        assert outcome.hosts[move.new.name].changed == ["Prepare the host"]
        assert f"{move.new.name}: others than root could read {key}" in said
