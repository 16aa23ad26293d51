# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a slot's unit allows: from the variables to the text of the unit, and what is refused on the way."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.service_sandbox import properties
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]
Unit = t.Callable[..., str]

ROOT = Path(__file__).parents[3]
OWN = "a folder of the application's own, such as /srv/uploads"
CHOICES = ("devices", "home", "namespaces", "processes", "realtime", "resources", "writable_code")


@pytest.fixture
def unit(normalised: Normalise) -> Unit:
    """Return the text of the blue slot's service for these variables, without their prefix."""

    def run(**variables: t.Any) -> str:
        given = {f"gunicorn_app_{name}": value for name, value in variables.items()}
        application = {"workers": 2, **normalised("gunicorn_app", **given)}
        return renderer(str(ROOT / "roles/gunicorn_app"), "gunicorn_app")("service.j2", slot="blue", **application)

    return run


def settings(text: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def test_what_nobody_states(normalised: Normalise) -> None:
    application = normalised("gunicorn_app")
    keys = ("sandbox_allow", "write_paths", "outbound", "memory_max", "cpu_quota", "tasks_max", "open_files")
    assert [application[key] for key in keys] == [[], [], None, None, None, 1024, 65536]


def test_limits_in_the_unit(unit: Unit) -> None:
    text = unit(memory_max="1g", cpu_quota=1.5, tasks_max=100, open_files=4096)
    assert settings(text, "MemoryMax") == ["1G"]
    assert settings(text, "MemorySwapMax") == ["0"]
    assert settings(text, "CPUQuota") == ["150.00%"]
    assert settings(text, "TasksMax") == ["100"]
    assert settings(text, "LimitNOFILE") == ["4096"]


def test_no_limit_that_nobody_states(unit: Unit) -> None:
    assert not re.search("^(Memory(Max|Swap)|CPU|IPAddress|ReadWritePaths|RequiresMountsFor)", unit(), re.MULTILINE)


@pytest.mark.parametrize(("quota", "text"), [(1, "100.00%"), (0.01, "1.00%"), (1.1, "110.00%"), (0.333, "33.30%")])
def test_cpus_as_systemd_reads_them(unit: Unit, quota: float, text: str) -> None:
    assert settings(unit(cpu_quota=quota), "CPUQuota") == [text]


@pytest.mark.parametrize(
    ("outbound", "allowed"),
    [
        ([], ["localhost"]),
        # One a line: systemd-run takes no word beside another network.
        (["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"], ["localhost", "10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]),
    ],
)
def test_networks(unit: Unit, outbound: list[str], allowed: list[str]) -> None:
    text = unit(outbound=outbound)
    assert settings(text, "IPAddressDeny") == ["any"]
    assert settings(text, "IPAddressAllow") == allowed


def test_folders_to_write_to_are_mounted_first_and_belong_to_the_sandbox(unit: Unit) -> None:
    text = unit(write_paths=["/srv/uploads", "/mnt/data/notes"])
    assert settings(text, "RequiresMountsFor") == ["/srv/uploads /mnt/data/notes"]
    assert [item for item in properties(text) if item.startswith("ReadWritePaths")] == [
        "ReadWritePaths=/srv/uploads",
        "ReadWritePaths=/mnt/data/notes",
    ]


#: What each opening takes away and adds.
OPENINGS: dict[str, tuple[list[str], list[str]]] = {
    "devices": (["PrivateDevices=yes"], []),
    "home": (["ProtectHome=yes"], ["ProtectHome=read-only"]),
    "namespaces": (["RestrictNamespaces=yes"], ["SystemCallFilter=@mount capset"]),
    "processes": (
        ["ProtectProc=invisible", "ProcSubset=pid", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"],
        ["RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"],
    ),
    "realtime": (
        ["RestrictRealtime=yes"],
        ["LimitRTPRIO=99", "SystemCallFilter=sched_setattr sched_setparam sched_setscheduler"],
    ),
    "resources": (["SystemCallFilter=~@resources"], ["LimitNICE=-20"]),
    "writable_code": (["MemoryDenyWriteExecute=yes"], []),
}


@pytest.mark.parametrize("name", CHOICES)
def test_an_opening_opens_what_it_says_and_no_more(unit: Unit, name: str) -> None:
    closed, opened = properties(unit()), properties(unit(sandbox_allow=[name]))
    assert (sorted(set(closed) - set(opened)), sorted(set(opened) - set(closed))) == tuple(
        sorted(change) for change in OPENINGS[name]
    )
    assert unit(sandbox_allow=[name]).count("# Open (") == 1
    assert f"# Open ({name}): " in unit(sandbox_allow=[name])
    assert "# Open (" not in unit()


def test_all_openings_at_once(unit: Unit, normalised: Normalise) -> None:
    chosen = [*reversed(CHOICES), "home"]
    assert normalised("gunicorn_app", gunicorn_app_sandbox_allow=chosen)["sandbox_allow"] == list(CHOICES)
    text = unit(sandbox_allow=chosen)
    assert text.count("# Open (") == len(CHOICES)
    # Each filter takes back from the ones before it.
    assert settings(text, "SystemCallFilter")[:2] == ["@system-service", "~@privileged"]


def test_each_opening_stands_in_the_documentation() -> None:
    told = (ROOT / "docs/sandbox.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `((?!gunicorn_app_)\w+)` \|", told, re.MULTILINE) == list(CHOICES)


@pytest.mark.parametrize(("server", "first"), [("gunicorn", "gunicorn --config"), ("uvicorn", "python")])
def test_the_server(unit: Unit, server: str, first: str) -> None:
    (command,) = settings(unit(server=server), "ExecStart")
    assert command.startswith(f"/opt/notes/slots/blue/release/venv/bin/{first} /opt/notes/slots/blue/")
    assert command.endswith(".py notes.main:app")


def test_no_line_of_an_access_log_is_dropped(unit: Unit) -> None:
    assert settings(unit(access_log=True), "LogRateLimitIntervalSec") == ["0"]
    assert settings(unit(), "LogRateLimitIntervalSec") == []


def test_starts_that_take_all_their_time_are_counted_together(unit: Unit) -> None:
    text = unit(health_timeout=300)
    each = int(settings(text, "TimeoutStartSec")[0]) + int(settings(text, "RestartSec")[0])
    assert int(settings(text, "StartLimitIntervalSec")[0]) > each * int(settings(text, "StartLimitBurst")[0])


@pytest.mark.parametrize(
    "folder", ["/srv/uploads", "/data", "/var/lib/shared", "/var/log/notes", "/opt/files", "/etcetera"]
)
def test_a_folder_that_may_be_written_to(normalised: Normalise, folder: str) -> None:
    assert normalised("gunicorn_app", gunicorn_app_write_paths=[folder])["write_paths"] == [folder]


def test_a_home_only_where_homes_are_open(normalised: Normalise, refusal: Refusal) -> None:
    given = {"gunicorn_app_write_paths": ["/home/me/data"]}
    assert normalised("gunicorn_app", gunicorn_app_sandbox_allow=["home"], **given)["write_paths"] == ["/home/me/data"]
    line = refusal("gunicorn_app", **given)
    assert line.endswith("below /home and /root only with home in gunicorn_app_sandbox_allow")


REFUSED: list[tuple[str, t.Any, str, str]] = [
    ("sandbox_allow", ["gpu"], '[0]: "gpu"', "one of devices, home, namespaces, processes, realtime, resources"),
    ("sandbox_allow", "home", ': "home"', "a list of str"),
    ("write_paths", ["/"], '[0]: "/"', f"{OWN}; with / there would be no sandbox"),
    ("write_paths", ["/srv/a", "uploads"], '[1]: "uploads"', "an absolute path"),
    ("write_paths", ["/srv/a b"], '[0]: "/srv/a b"', "an absolute path"),
    ("write_paths", ["/srv/a\n"], '[0]: "/srv/a\\n"', "an absolute path"),
    ("write_paths", ["/srv/%n"], '[0]: "/srv/%n"', "an absolute path"),
    ("write_paths", ["-/srv/a"], '[0]: "-/srv/a"', "an absolute path"),
    ("write_paths", ["/srv/../etc"], '[0]: "/srv/../etc"', "an absolute path without '..'"),
    ("write_paths", ["/./etc"], '[0]: "/./etc"', "an absolute path without '.'"),
    ("write_paths", ["/srv/a", "/srv/a"], '[1]: "/srv/a"', "each folder once"),
    *(("write_paths", [value], f'[0]: "{value}"', "this one is the system's") for value in [
        "/etc", "/etc/cron.d", "/usr/local/bin", "/bin", "/lib", "/boot", "/proc", "/sys/fs/cgroup", "/dev/shm",
        "/run/notes", "/var/run/x", "/var/lib/dpkg", "/var/lib/systemd/x", "/var/spool/cron",
    ]),
    *(("write_paths", [value], f'[0]: "{value}"', "this one holds more than that, name the folder in it") for value in [
        "/var", "/var/lib", "/var/log", "/opt", "/home", "/srv", "/var/www",
    ]),
    ("write_paths", ["/root/x"], '[0]: "/root/x"', "only with home in gunicorn_app_sandbox_allow"),
    ("write_paths", ["/tmp/x"], '[0]: "/tmp/x"', "of its own it has already"),
    ("write_paths", ["/var/tmp"], '[0]: "/var/tmp"', "of its own it has already"),
    ("write_paths", ["/opt/notes/data"], '[0]: "/opt/notes/data"', "releases in /opt/notes do not change"),
    ("outbound", "10.0.0.0/8", ': "10.0.0.0/8"', "a list of str"),
    ("outbound", ["db.example.com"], '[0]: "db.example.com"', "an address or a network"),
    ("outbound", ["10.0.0.1/8"], '[0]: "10.0.0.1/8"', "a network without host bits, 10.0.0.0/8"),
    ("outbound", ["10.0.0.0/8", "10.0.0.0/8"], '[1]: "10.0.0.0/8"', "each network once"),
    ("outbound", ["0.0.0.0/0"], '[0]: "0.0.0.0/0"', "leave the variable out to allow all"),
    ("outbound", ["any"], '[0]: "any"', "an address or a network"),
    *(("memory_max", value, f': "{value}"', "a size above zero with its unit") for value in [
        "512", "0m", "1t", "512mb", "50%", "infinity", "63m", "100k",
    ]),
    ("memory_max", "512m\n", ': "512m\\n"', "a size above zero with its unit"),
    ("memory_max", 512, ': "512"', "such as 512m or 2g, at least 64m"),
    ("cpu_quota", 0, ": 0", "a number above 0"),
    ("cpu_quota", -1, ": -1", "a number above 0"),
    ("cpu_quota", 0.001, ": 0.001", "a number of CPUs, 0.01 or more"),
    ("cpu_quota", "150%", ': "150%"', "a number"),
    ("cpu_quota", True, ": true", "a number"),
    ("tasks_max", 0, ": 0", "an integer from 32 to 4194304"),
    ("tasks_max", "infinity", ': "infinity"', "a whole number"),
    ("open_files", 100, ": 100", "an integer from 1024 to 1048576"),
    ("open_files", 2000000, ": 2000000", "an integer from 1024 to 1048576"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "shown", "accepted"), REFUSED)
def test_what_is_refused(refusal: Refusal, name: str, value: t.Any, shown: str, accepted: str) -> None:
    line = refusal("gunicorn_app", **{f"gunicorn_app_{name}": value})
    assert line.startswith(f"gunicorn_app_{name}{shown}")
    assert accepted in line
    assert "\n" not in line
