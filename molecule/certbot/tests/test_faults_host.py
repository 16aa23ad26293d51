"""Faults on the host itself: nginx broken by hand, the program killed, no space left. After each the certificate before
is served, the host says what is wrong, and the next run heals, also the one of the unit that only watches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from lineages import assert_visible, assert_well, fact, renew, shop, watch
from machine import Machine, wait_for

LETSENCRYPT = "/etc/letsencrypt"
#: Where the program writes, in the order in which it does.
OURS = ("/var/lib/asgi-deploy/certificates", "/etc/ansible/facts.d", "/var/lib/prometheus/node-exporter")
TLS = "/etc/nginx/tls"
#: As an operator may call it, but without the minutes that it waits where it sees no terminal.
RENEW = "REQUESTS_CA_BUNDLE=/etc/pebble/ca.pem certbot -q renew --no-random-sleep-on-renew"


class TestNginxBrokenByHand:
    @pytest.fixture
    def _broken(self, machine: Machine) -> Iterator[None]:
        machine.run("cp -a /etc/nginx/nginx.conf /root/nginx.conf && echo 'nonsense on;' >>/etc/nginx/nginx.conf")
        yield
        machine.run("cp -a /root/nginx.conf /etc/nginx/nginx.conf")

    @pytest.mark.usefixtures("_broken")
    def test_the_certificate_before_is_served_until_it_is_mended(self, machine: Machine) -> None:
        before = shop(machine).served()
        shop(machine).make_due()
        assert not renew(machine)
        assert shop(machine).on_disk() != before
        assert shop(machine).served() == before
        assert_visible(machine, "certbot.service", "nonsense")
        assert not watch(machine)

        machine.run("cp -a /root/nginx.conf /etc/nginx/nginx.conf")
        assert watch(machine)
        assert shop(machine).served() == shop(machine).on_disk() != before
        # certbot itself had nothing left to do; its next run is well too.
        assert renew(machine)
        assert_well(machine)


class TestNginxStopped:
    def test_no_challenge_is_answered_and_the_next_run_heals(self, machine: Machine) -> None:
        before = shop(machine).served()
        shop(machine).make_due()
        machine.run("systemctl stop nginx.service")
        try:
            assert not renew(machine)
            assert shop(machine).on_disk() == before
            assert_visible(machine, "certbot.service", "shop")
        finally:
            machine.run("systemctl start nginx.service")
        assert shop(machine).served() == before
        assert renew(machine)
        assert shop(machine).served() != before
        assert_well(machine)


@contextmanager
def held(machine: Machine, lock: str) -> Iterator[None]:
    """Run the block while somebody else holds a lock: who wants it waits, and can be killed there."""
    path = f"/run/asgi-deploy/{lock}"
    machine.run("flock %s sleep 60 >/dev/null 2>&1 </dev/null & echo $! >/run/test-holder", path)
    wait_for("the lock", lambda: machine.code("flock --nonblock %s true", path) == 1)
    try:
        yield
    finally:
        machine.run("pkill --parent $(cat /run/test-holder)")


def program(machine: Machine) -> list[str]:
    """The program's processes."""
    return machine.run("pgrep --full 'python3 .*deploy_certificates[.]py' || true").split()


class TestKilled:
    """The program is killed between the renewal and the reload, before it has looked and before it has switched."""

    @pytest.mark.parametrize(("by", "lock"), [("timer", ".certificates"), ("timer", ".nginx"), ("hand", ".nginx")])
    def test_the_next_run_heals(self, machine: Machine, by: str, lock: str) -> None:
        before = shop(machine).served()
        shop(machine).make_due()
        with held(machine, lock):
            if by == "timer":
                machine.run("systemctl start --no-block certbot.service")
            else:
                # As its hook, of a certbot that an operator has called.
                machine.run(f"{RENEW} >/tmp/renew.log 2>&1 </dev/null &")
            wait_for("the renewal", lambda: shop(machine).on_disk() != before, 30)
            wait_for("the program", lambda: bool(program(machine)))
            # So that it waits where it shall be killed.
            machine.run("sleep 0.5")
            machine.run("kill -KILL %s", *program(machine))
            if by == "hand":
                wait_for("the end of certbot", lambda: not machine.succeeds("pgrep --full '[/]usr/bin/certbot -q'"))
        assert shop(machine).served() == before
        assert machine.ask("/").status == 200
        if by == "timer":
            assert "certbot.service" in machine.failed_units()

        assert watch(machine)
        assert shop(machine).served() == shop(machine).on_disk() != before
        assert renew(machine)
        assert_well(machine)


@contextmanager
def small(machine: Machine, folder: str, options: str = "size=16m") -> Iterator[None]:
    """Run the block with a folder on a small file system of its own, with all that is in it."""
    kept = "/root/" + folder.replace("/", "_")
    mode = machine.run("stat --format %%a %s", folder).strip()
    machine.run(f"cp -a {folder} {kept} && mount -t tmpfs -o mode={mode},{options} tmpfs {folder}")
    machine.run(f"cp -a {kept}/. {folder} && rm -r {kept}")
    see_mounts(machine, folder)
    try:
        yield
    finally:
        free(machine, folder)
        machine.run(f"cp -a {folder} {kept} && umount {folder} && find {folder} -mindepth 1 -delete")
        machine.run(f"cp -a {kept}/. {folder} && rm -r {kept}")
        see_mounts(machine, folder)


def see_mounts(machine: Machine, folder: str) -> None:
    """nginx has a view of the file systems of its own, in which later mounts are missing."""
    if folder in OURS:
        return
    # Else systemd refuses a start that comes this often.
    machine.run("systemctl reset-failed nginx.service; systemctl restart nginx.service")


def fill(machine: Machine, folder: str, pages: int = 0) -> None:
    """Leave room for so many files of up to 4 KiB in it."""
    machine.run(f"for i in 1 2 3 4 5 6; do head -c 4096 /dev/zero >{folder}/.spare$i; done")
    machine.run(f"cat /dev/zero >{folder}/.filler 2>/dev/null || true")
    machine.run(f"for i in $(seq {pages}); do rm {folder}/.spare$i; done")
    assert int(machine.run(f"stat --file-system --format %f {folder}")) == pages


def free(machine: Machine, folder: str) -> None:
    machine.run(f"rm -f {folder}/.spare* {folder}/.filler")


class TestDiskFullForCertbot:
    # What certbot writes first is the key, last the renewal file; a lineage is written into at any of these.
    @pytest.mark.parametrize("pages", [0, 4])
    def test_the_certificate_before_is_served_and_the_next_run_heals(self, machine: Machine, pages: int) -> None:
        before = shop(machine).served()
        shop(machine).make_due()
        with small(machine, LETSENCRYPT):
            fill(machine, LETSENCRYPT, pages)
            assert not renew(machine)
            assert shop(machine).served() == before
            assert machine.ask("/").status == 200
            assert_visible(machine, "certbot.service", "No space left")

            free(machine, LETSENCRYPT)
            assert renew(machine)
            assert shop(machine).served() == shop(machine).on_disk() != before
        assert_well(machine)
        assert machine.run(f"ls {LETSENCRYPT}/renewal").split() == ["blog.conf", "shop.conf"]


class TestDiskFullForTheProgram:
    def test_what_it_cannot_write_keeps_no_certificate_from_nginx(self, machine: Machine) -> None:
        before = shop(machine).served()
        shop(machine).make_due()
        with small(machine, OURS[0]), small(machine, OURS[1]), small(machine, OURS[2]):
            for folder in OURS:
                fill(machine, folder)
            assert not renew(machine)
            assert shop(machine).served() == shop(machine).on_disk() != before
            # The fact is the old one; the unit is what tells.
            assert machine.failed_units() == ["certbot.service"]
            assert "No space left" in machine.run("journalctl --unit certbot.service -o cat --lines 20")

            for folder in OURS:
                free(machine, folder)
            assert renew(machine)
        wanted = shop(machine).on_disk().split("=")[1].replace(":", "").lower()
        assert fact(machine)["certificates"]["shop"]["fingerprint"].replace(":", "").lower() == wanted
        assert_well(machine)

    def test_a_site_that_cannot_be_switched_keeps_its_pair(self, machine: Machine) -> None:
        # As after a removal, or a first issue: the link has to change. A link needs an inode.
        machine.run(f"ln -sfn bootstrap {TLS}/shop/current && systemctl reload nginx.service")
        bootstrap = machine.fingerprint(f"{TLS}/shop/bootstrap/fullchain.pem")
        wait_for("the self-signed pair", lambda: shop(machine).served() == bootstrap)
        used = int(machine.run(f"find {TLS} | wc -l"))
        with small(machine, TLS, f"nr_inodes={used}"):
            assert not watch(machine)
            assert shop(machine).served() == bootstrap
            assert shop(machine).link() == "bootstrap"
            assert_visible(machine, "asgi-deploy-certificates.service", "No space left")

            machine.run(f"mount -o remount,nr_inodes={used + 100} {TLS}")
            assert watch(machine)
            assert shop(machine).served() == shop(machine).on_disk()
        wait_for("nginx", partial(machine.succeeds, "nginx -t -q"))
        assert_well(machine)
