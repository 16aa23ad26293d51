"""A slot's units: a start that always fails, a worker without memory, what starts at boot, and the journal."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
from confined import confined, sandbox, unit_text
from machine import Machine, wait_for
from playbook import Playbook
from trial import OTHER, version, wait_for_one_slot

from ansible_collections.asgi.deploy.plugins.module_utils.service_sandbox import properties


def show(machine: Machine, unit: str, name: str) -> str:
    return machine.run("systemctl show --property=%s --value %s", name, unit).strip()


def number(text: str, name: str) -> int:
    """What a unit says of something that it says once."""
    (found,) = re.findall(rf"^{name}=(\d+)$", text, re.MULTILINE)
    return int(found)


class TestStartThatAlwaysFails:
    """The live slot's own units under another name, with a program that ends at once, and with requests that wait."""

    UNIT = "broken@blue"
    SOCKET = "/run/broken/blue.sock"
    #: Connections that wait in the socket start the service too, as nginx's would.
    CLIENT = (
        "import socket, time\n"
        "while True:\n"
        "    with socket.socket(socket.AF_UNIX) as client:\n"
        "        client.settimeout(1)\n"
        "        try:\n"
        f"            client.connect({SOCKET!r}); client.recv(1)\n"
        "        except OSError:\n"
        "            time.sleep(0.2)\n"
    )

    def put(self, machine: Machine, command: str) -> None:
        slot = machine.slot()
        for kind in ("service", "socket"):
            text = machine.run("cat /etc/systemd/system/%s", f"notes@{slot}.{kind}")
            text = text.replace(f"notes@{slot}", self.UNIT).replace(f"/run/notes/{slot}.sock", self.SOCKET)
            text = re.sub("^ExecStart=.*$", f"ExecStart={command}", text, flags=re.MULTILINE)
            machine.write(f"/etc/systemd/system/{self.UNIT}.{kind}", text)
        machine.run("systemctl daemon-reload")

    @pytest.fixture(scope="class")
    @classmethod
    def given_up(cls, machines: list[Machine]) -> Iterator[str]:
        """Ends with the service; gives the time at which it began, as journalctl reads it."""
        test, began = cls(), f"@{time.time():.6f}"
        for machine in machines:
            test.put(machine, "/bin/false")
            machine.run("systemctl start %s", f"{cls.UNIT}.socket")
            machine.run("systemd-run --quiet --collect --unit=broken-client python3 -c %s", cls.CLIENT)
        for machine in machines:
            # No start is asked for: that is what the requests do.
            state = partial(show, machine, f"{cls.UNIT}.service", "ActiveState")
            wait_for("the end of the attempts", lambda state=state: state() == "failed", 90)  # type: ignore[misc]
        yield began
        for machine in machines:
            units = [f"{cls.UNIT}.service", f"{cls.UNIT}.socket"]
            machine.run("systemctl stop broken-client.service %s %s", *units)
            machine.run("rm /etc/systemd/system/broken@blue.* && systemctl daemon-reload")
            machine.run("systemctl reset-failed 'broken@*' || true")

    def test_it_was_tried_as_often_as_the_unit_says(self, machine: Machine, given_up: str) -> None:
        unit = f"{self.UNIT}.service"
        tried = machine.run("journalctl --unit=%s --since=%s --output=cat --no-pager", unit, given_up)
        assert tried.count("Starting broken@blue.service") == number(unit_text(machine), "StartLimitBurst") == 20

    def test_it_stays_so_although_requests_come(self, machine: Machine, given_up: str) -> None:
        assert machine.succeeds("systemctl is-active broken-client.service")
        assert show(machine, f"{self.UNIT}.service", "SubState") == "failed"
        assert machine.failed_units() == [f"{self.UNIT}.service", f"{self.UNIT}.socket"]

    def test_nobody_waits_for_it(self, machine: Machine, given_up: str) -> None:
        assert not machine.succeeds("test -e %s", self.SOCKET)

    def test_the_live_slot_knows_nothing_of_it(self, machine: Machine, given_up: str) -> None:
        assert version(machine) == "first"
        assert show(machine, machine.unit(), "NRestarts") == "0"

    def test_it_starts_when_the_reason_is_gone(self, machine: Machine, given_up: str) -> None:
        self.put(machine, "/bin/sh -c 'systemd-notify --ready; exec sleep 1000'")
        machine.run("systemctl reset-failed %s %s", f"{self.UNIT}.service", f"{self.UNIT}.socket")
        machine.run("systemctl start %s", f"{self.UNIT}.service")
        assert show(machine, f"{self.UNIT}.socket", "SubState") == "running"
        assert machine.succeeds("test -S %s", self.SOCKET)


class TestStartThatHangs:
    """A program that never says READY is killed after the health path's time, although it ignores SIGTERM."""

    UNIT = "hanging@blue.service"
    SECONDS = 2

    def test_it_is_killed_in_time(self, machine: Machine) -> None:
        text = unit_text(machine).replace(f"notes@{machine.slot()}", "hanging@blue")
        command = """ExecStart=/bin/sh -c 'trap "" TERM; while true; do sleep 1; done'"""
        for name, line in {
            "ExecStart": command,
            "TimeoutStartSec": f"TimeoutStartSec={self.SECONDS}",
            "Requires": "",
            "Restart": "Restart=no",
        }.items():
            text, count = re.subn(rf"^{name}=.*$", lambda _found, line=line: line, text, flags=re.MULTILINE)  # type: ignore[misc]
            assert count == 1, name
        machine.write(f"/etc/systemd/system/{self.UNIT}", text)
        try:
            machine.run("systemctl daemon-reload")
            code, said = machine.both("timeout %s systemctl start %s", str(self.SECONDS + 5), self.UNIT)
            assert (code, "a timeout was exceeded" in said) == (1, True), said
            assert show(machine, self.UNIT, "ActiveState") == "failed"
        finally:
            machine.run("rm /etc/systemd/system/%s && systemctl daemon-reload", self.UNIT)
            machine.run("systemctl reset-failed %s || true", self.UNIT)


class TestMemory:
    """A limit that a worker exceeds; and with it, the switch to other settings is in the journal of both slots."""

    EXTRA: ClassVar[dict[str, Any]] = {
        "gunicorn_app_memory_max": "250m",
        "gunicorn_app_worker_memory_mb": 50,
        "gunicorn_app_write_paths": ["/srv/uploads"],
        "gunicorn_app_sandbox_allow": ["processes"],
    }

    @pytest.fixture(scope="class")
    @classmethod
    def limited(cls, machines: list[Machine], play: Playbook) -> Iterator[None]:
        for machine in machines:
            machine.run("install --directory --owner=notes /srv/uploads")
        play(extra=cls.EXTRA, code=0)
        wait_for_one_slot(machines)
        yield
        play(code=0)
        wait_for_one_slot(machines)

    def test_the_worker_alone_ends_and_is_replaced(self, machine: Machine, limited: None) -> None:
        before = machine.workers()
        assert len(before) == 2
        # A GET would be asked once more by nginx, of the other worker.
        assert machine.ask("/eat?mb=400", "--request", "POST").status == 502
        wait_for("another worker", lambda: len(machine.workers() & before) == 1 and len(machine.workers()) == 2)
        wait_for("its answer", lambda: machine.ask("/version").status == 200)
        assert show(machine, machine.unit(), "NRestarts") == "0"
        assert show(machine, machine.unit(), "ActiveState") == "active"

    def test_what_is_open_is_open_to_the_application(self, machine: Machine, limited: None) -> None:
        program = "open('/proc/meminfo').read(); open('/srv/uploads/a', 'w').close(); os.unlink('/srv/uploads/a')"
        assert confined(machine, program, properties(unit_text(machine))) == "done"

    def test_systemd_finds_nothing_to_warn_of(self, machine: Machine, limited: None) -> None:
        assert machine.both("systemd-analyze verify %s", f"/etc/systemd/system/{machine.unit()}") == (0, "")

    def test_the_journal_has_both_slots_under_one_name(self, machine: Machine, limited: None) -> None:
        lines = machine.run("journalctl --identifier=notes --output=json --output-fields=_SYSTEMD_UNIT --no-pager")
        for slot in OTHER:
            assert f"notes@{slot}.service" in lines


def test_the_live_slot_alone_starts_at_boot(machine: Machine) -> None:
    enabled = machine.run("find /etc/systemd/system -path '*.wants/notes@*' -printf '%f\\n' | sort").split()
    assert enabled == [f"notes@{machine.slot()}.service", f"notes@{machine.slot()}.socket"]


def test_shared_memory_stays_when_another_of_the_user_ends(machine: Machine) -> None:
    """As the slot before, or a hook."""
    try:
        machine.run("setpriv --reuid=notes --clear-groups touch /dev/shm/trial")
        assert confined(machine, "return os.path.exists('/dev/shm/trial')", sandbox()) == "True"
        assert machine.succeeds("test -e /dev/shm/trial")
    finally:
        machine.run("rm -f /dev/shm/trial")


def test_a_master_that_is_killed_is_back_at_once(machine: Machine) -> None:
    """The same units and socket; requests wait meanwhile."""
    before: dict[str, Any] = {name: show(machine, machine.unit(), name) for name in ("MainPID", "NRestarts")}
    machine.run("kill -9 %s", before["MainPID"])
    assert version(machine) == "first"
    assert show(machine, machine.unit(), "NRestarts") == str(int(before["NRestarts"]) + 1)
    assert show(machine, machine.unit(), "MainPID") != before["MainPID"]
    # The next class counts from here.
    machine.run("systemctl reset-failed %s", machine.unit())
