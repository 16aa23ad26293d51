"""The application as a service: killed, restarted, locked in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from machine import Machine, wait_for


def main_pid(machine: Machine) -> str:
    return machine.run("systemctl show --property=MainPID --value %s", machine.unit()).strip()


def test_a_killed_master_is_healed_and_its_requests_wait(machine: Machine) -> None:
    before = main_pid(machine)
    assert machine.python("after_kill.py", before, machine.unit()) == [200, 201] * 5
    assert main_pid(machine) not in ("0", before)
    assert machine.code("systemctl is-active --quiet %s", machine.unit()) == 0


def test_a_killed_worker_is_replaced(machine: Machine) -> None:
    before = machine.workers()
    assert machine.python("after_kill.py", min(before)) == [200, 201] * 5
    wait_for("as many workers as before", lambda: len(machine.workers()) == len(before))
    assert min(before) not in machine.workers()


def test_nginx_restarted_serves_the_same(machine: Machine) -> None:
    machine.run("systemctl restart nginx.service")
    assert machine.ask("/version").status == 200


def test_the_worker_count_follows_from_the_host(machine: Machine) -> None:
    configured = machine.run("sed -n 's/^workers = //p' /opt/notes/slots/%s/gunicorn.conf.py", machine.slot()).strip()
    assert configured == machine.run("nproc").strip()
    assert len(machine.workers()) == int(configured)


def test_only_the_live_slot_is_enabled(machine: Machine) -> None:
    live = machine.slot()
    other = "green" if live == "blue" else "blue"
    for kind in ("service", "socket"):
        assert machine.both(f"systemctl is-enabled notes@{live}.{kind}")[1].strip() == "enabled"
        assert machine.code(f"systemctl is-enabled notes@{other}.{kind}") != 0
    assert machine.active_slots() == [f"notes@{live}.service", f"notes@{live}.socket"]


def test_the_sandbox_is_tight(machine: Machine) -> None:
    verdict = machine.run("systemd-analyze security --no-pager %s", machine.unit())
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", verdict)
    assert exposure, verdict
    assert float(exposure[1]) <= 1.5


@pytest.fixture
def in_sandbox(machine: Machine) -> Iterator[Callable[[str], str]]:
    """Run a shell script as the application is run: by its own unit, with another command. Returns the output."""
    unit = "/run/systemd/system/notes-probe.service"

    def run(script: str) -> str:
        machine.write("/run/notes-probe.sh", script)
        machine.run(
            "sed -e '/^Requires=/d' -e '/^After=/d' -e '/^Restart/d' -e 's/^Type=.*/Type=oneshot/' -e %s %s >%s",
            "s|^ExecStart=.*|ExecStart=/bin/sh /run/notes-probe.sh\\nStandardOutput=truncate:/run/notes-probe.out|",
            f"/etc/systemd/system/{machine.unit()}",
            unit,
        )
        machine.run("systemctl daemon-reload && systemctl start notes-probe.service")
        return machine.run("cat /run/notes-probe.out")

    yield run
    machine.run(f"rm -f {unit} /run/notes-probe.* && systemctl daemon-reload")


def test_nothing_but_its_state_is_writable(machine: Machine, in_sandbox: Callable[[str], str]) -> None:
    places = ["/etc", "/opt/notes", "/usr", "/var", "/var/log", "/var/www/acme", "/home", "/root"]
    script = "\n".join(f"touch {place}/from-verify 2>&1" for place in [*places, "/var/lib/notes", "/tmp"])
    output = in_sandbox(f"{script}\nrm -v /var/lib/notes/from-verify\nid --user --name\n").splitlines()
    # Read-only before any question of permissions: it is the sandbox that is proven, not the files' modes.
    refused = [line for line in output if "Read-only file system" in line or "Permission denied" in line]
    assert len(refused) == len(places), output
    assert sum("Read-only file system" in line for line in refused) >= len(places) - 2, output
    assert output[-2:] == ["removed '/var/lib/notes/from-verify'", "notes"], output
    assert not machine.host.file("/tmp/from-verify").exists


def test_the_release_is_not_the_applications(machine: Machine) -> None:
    # In the host's own view, by the files' modes alone.
    look = "find /opt/notes/ -type d ! -readable -prune -o ! -type l -writable -print"
    writable = machine.run(f"setpriv --reuid=notes --regid=notes --init-groups {look}")
    assert writable == ""
    assert machine.run("find /opt/notes -user notes") == ""


def test_others_cannot_read_the_release_or_connect(machine: Machine) -> None:
    others = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
    assert machine.code(f"{others} test -r /opt/notes/current/app/notes/main.py") == 1
    assert machine.run("stat -L -c '%U:%G %a' /opt/notes/current.sock").strip() == "notes:www-data 660"
    assert machine.code(f"{others} test -w /opt/notes/current.sock") == 1


def test_the_user_cannot_log_in(machine: Machine) -> None:
    user = machine.host.user("notes")
    assert user.shell == "/usr/sbin/nologin"
    assert user.uid < 1000
    assert machine.run("getent shadow notes").split(":")[1].startswith("!")


def test_the_environment_file_is_roots(machine: Machine) -> None:
    file = machine.host.file(f"/opt/notes/slots/{machine.slot()}/environment")
    assert (file.mode, file.user, file.group) == (0o600, "root", "root")
