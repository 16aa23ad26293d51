"""What the application's sandbox closes, what each of its openings opens, and what works without any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from confined import confined, sandbox, unit_text
from machine import Machine

from ansible_collections.asgi.deploy.plugins.module_utils.service_sandbox import properties

#: systemd-analyze's figure, from 0 (nothing is possible) to 10, with unrestricted outbound network.
MOST_EXPOSURE = 1.5


@pytest.fixture(scope="module", autouse=True)
def _surroundings(machines: list[Machine]) -> Iterator[None]:
    """A device, a home and folders like those that applications of others use."""
    for machine in machines:
        machine.run("mkdir -p /home/visitor /srv/uploads && chown notes /srv/uploads && chmod 755 /home/visitor")
        # The numbers of /dev/zero, which a container may have.
        machine.run("mknod --mode=666 /dev/camera c 1 5")
    yield
    for machine in machines:
        machine.run("rm -r /dev/camera /home/visitor /srv/uploads")


class TestUnit:
    def test_the_exposure(self, machine: Machine) -> None:
        last = machine.run("systemd-analyze security --no-pager %s", machine.unit()).splitlines()[-1]
        assert "exposure level" in last
        assert float(last.split(": ")[1].split()[0]) <= MOST_EXPOSURE

    def test_systemd_finds_nothing_to_warn_of(self, machine: Machine) -> None:
        units = [f"/etc/systemd/system/notes@{machine.slot()}.{kind}" for kind in ("service", "socket")]
        assert machine.both("systemd-analyze verify %s %s", *units) == (0, "")

    def test_the_workers_have_no_rights_and_gain_none(self, machine: Machine) -> None:
        assert machine.workers()
        for process in machine.workers():
            status = dict(
                line.split(":\t", 1)
                for line in machine.run("cat /proc/%s/status", process).splitlines()
                if ":\t" in line
            )
            for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
                assert int(status[kind], 16) == 0
            assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")

    def test_a_transient_unit_accepts_all_that_the_unit_says(self, machine: Machine) -> None:
        # That is how hooks run.
        whole = properties(unit_text(machine))
        assert len(whole) > 30
        assert (
            confined(machine, "return os.getcwd()", whole) == machine.run("readlink -f /opt/notes/current/app").strip()
        )

    def test_the_template_is_what_the_unit_says(self, machine: Machine) -> None:
        whole = properties(unit_text(machine))
        assert set(sandbox()) <= set(whole)


class Opening(NamedTuple):
    """A program that needs one, and how it fails without."""

    program: str
    without: tuple[str, ...]
    opened: str = "done"


OPENINGS: dict[str, Opening] = {
    "devices": Opening("os.open('/dev/camera', os.O_RDONLY)", ("ENOENT",)),
    "home": Opening("os.listdir('/home/visitor')", ("EACCES",)),
    "namespaces": Opening(
        # A user and a mount namespace, and a mount in it: what a browser's or bubblewrap's sandbox begins with.
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.unshare(0x10000000 | 0x00020000) or libc.mount(b'none', b'/tmp', b'tmpfs', 0, None):\n"
        "    raise OSError(ctypes.get_errno(), 'unshare')",
        ("EPERM",),
    ),
    "processes": Opening(
        "open('/proc/meminfo').read(), open('/proc/1/comm').read(), socket.if_nameindex()", ("ENOENT",)
    ),
    # A priority that nobody may have: the kernel looks at it before it looks at rights, which a container has none of.
    "realtime": Opening("os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1000))", ("EPERM",), "EINVAL"),
    "resources": Opening("os.sched_setaffinity(0, os.sched_getaffinity(0)), os.nice(1)", ("EPERM",)),
    "writable_code": Opening(
        # As numba does it: the code of a function that returns 42 is written, and called.
        "page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        "code = {'x86_64': 'b82a000000c3', 'aarch64': '40058052c0035fd6'}[os.uname().machine]\n"
        "page.write(bytes.fromhex(code))\n"
        "function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))\n"
        "return function()",
        ("EPERM", "EACCES"),
        "42",
    ),
}


@pytest.mark.parametrize("name", OPENINGS)
class TestOpenings:
    def test_fails_without_it(self, machine: Machine, name: str) -> None:
        others = [other for other in OPENINGS if other != name]
        # `resources` holds the calls of `realtime`, not its right to a policy that comes before all others.
        assert confined(machine, OPENINGS[name].program, sandbox(sandbox_allow=others)) in OPENINGS[name].without

    def test_works_with_it_alone(self, machine: Machine, name: str) -> None:
        assert confined(machine, OPENINGS[name].program, sandbox(sandbox_allow=[name])) == OPENINGS[name].opened


#: What applications do, and do not have to ask for.
WORKS = {
    "its state": "open('/var/lib/notes/trial', 'w').close(); os.unlink('/var/lib/notes/trial')",
    "temporary files": "import tempfile; tempfile.TemporaryFile().write(b'x')",
    "SQLite": "import sqlite3; sqlite3.connect('/tmp/a.db').execute('create table a (b)')",
    "threads": "import threading; one = threading.Thread(target=int); one.start(); one.join()",
    "processes": "import multiprocessing; pool = multiprocessing.Pool(2); assert pool.map(abs, [-1, -2]) == [1, 2]",
    "programs": "import subprocess; subprocess.run(['/bin/true'], check=True)",
    "shared memory": "from multiprocessing import shared_memory as m; m.SharedMemory(create=True, size=9).unlink()",
    "callbacks": "assert ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)() == 7",
    "names": "assert socket.getaddrinfo('notes.example.com', 443)",
    "connections": "socket.create_connection(('127.0.0.1', 443), 5)",
    "time zones": "import zoneinfo, datetime; datetime.datetime.now(zoneinfo.ZoneInfo('UTC'))",
    "TLS": "import ssl; assert ssl.create_default_context()",
    "the number of CPUs": "assert os.cpu_count() and os.sched_getaffinity(0)",
    "the journal": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect('/run/systemd/journal/socket')",
}

#: What no opening has been asked for.
FAILS = {
    "the system's files": ("open('/etc/trial', 'w')", ("EROFS", "EACCES")),
    "its own release": ("open('/opt/notes/current/app/trial/__init__.py', 'a')", ("EROFS", "EACCES")),
    "its environment": ("open('/opt/notes/slots/blue/environment')", ("EACCES", "ENOENT")),
    "other folders": ("open('/srv/uploads/a', 'w')", ("EROFS",)),
    "the host's /tmp": ("open('/tmp/background.log')", ("ENOENT",)),
    "raw packets": ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", ("EAFNOSUPPORT",)),
    "other users' rights": ("os.setuid(0)", ("EPERM",)),
    "the host name": ("socket.sethostname('x')", ("EPERM",)),
    "a set-user-ID file": (
        "open('/var/lib/notes/trial', 'w').close()\n"
        "try: os.chmod('/var/lib/notes/trial', 0o4755)\n"
        "finally: os.unlink('/var/lib/notes/trial')",
        ("EPERM",),
    ),
    "old system calls of root's": ("os.chroot('/')", ("EPERM",)),
}


@pytest.mark.parametrize("what", WORKS)
def test_works_in_the_sandbox(machine: Machine, what: str) -> None:
    # With the state's folder, which is none of the sandbox's properties.
    assert confined(machine, WORKS[what], properties(unit_text(machine))) == "done"


@pytest.mark.parametrize("what", FAILS)
def test_fails_in_the_sandbox(machine: Machine, what: str) -> None:
    program, how = FAILS[what]
    assert confined(machine, program, properties(unit_text(machine))) in how


def test_a_folder_to_write_to(machine: Machine) -> None:
    program = "open('/srv/uploads/a', 'w').close(); os.unlink('/srv/uploads/a')"
    assert confined(machine, program, sandbox(write_paths=["/srv/uploads"])) == "done"


def test_a_home_to_write_to(machine: Machine) -> None:
    machine.run("install -d -o notes /home/visitor/data")
    program = "open('/home/visitor/data/a', 'w').close(); return os.path.exists('/home/visitor/data/a')"
    allowed = sandbox(write_paths=["/home/visitor/data"], sandbox_allow=["home"])
    assert confined(machine, program, allowed) == "True"


#: To nginx, which listens at all addresses of the host.
CONNECT = (
    "found = {}\n"
    "for address in ('127.0.0.1', socket.gethostbyname(socket.gethostname())):\n"
    "    try:\n"
    "        socket.create_connection((address, 443), 2).close()\n"
    "        found[address] = 'connected'\n"
    "    except TimeoutError:\n"
    "        found[address] = 'dropped'\n"
    "import json; return json.dumps(list(found.values()))"
)


class TestOutbound:
    def ask(self, machine: Machine, outbound: list[str] | None) -> Any:
        return json.loads(confined(machine, CONNECT, sandbox(outbound=outbound)))

    def test_everywhere(self, machine: Machine) -> None:
        assert self.ask(machine, None) == ["connected", "connected"]

    def test_to_the_hosts_own_loopback_alone(self, machine: Machine) -> None:
        assert self.ask(machine, []) == ["connected", "dropped"]

    def test_to_networks(self, machine: Machine) -> None:
        address = machine.run("hostname --ip-address").split()[0]
        assert self.ask(machine, ["203.0.113.0/24", address, "2001:db8::/32"]) == ["connected", "connected"]
        assert self.ask(machine, ["203.0.113.0/24"]) == ["connected", "dropped"]
