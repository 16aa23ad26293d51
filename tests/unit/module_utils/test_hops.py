# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for proxies on other hosts: what is there, what is due, and that none is open without its fence."""

from __future__ import annotations

import hashlib
import ssl
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import hop_tls
from ansible_collections.asgi.deploy.plugins.module_utils import hops as module
from ansible_collections.asgi.deploy.plugins.module_utils.hops import Hop, HopError, Hops
from ansible_collections.asgi.deploy.plugins.module_utils.units import states_of

Fixture = t.Any

HOP = Hop("notes", 8000)
OURS = "# Managed by Ansible (asgi.deploy, role gunicorn_app).\n"
SHOW = "systemctl show --property=Id,ActiveState,UnitFileState"
LIST = "nft list table inet asgi_deploy_8000"
OPEN = f"Id={HOP.socket}\nActiveState=active\nUnitFileState=enabled\n"
CLOSED = f"Id={HOP.socket}\nActiveState=inactive\nUnitFileState=\n"


@pytest.fixture(autouse=True)
def _nft(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The name of a file that is there, and the word by which the fake knows it.
    (tmp_path / "nft").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_NFT", "nft")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    (tmp_path / "etc/asgi-deploy/fences").mkdir(parents=True)
    return folder


def files_of(base: Path, fence: str = "rules\n") -> dict[str, dict[str, str]]:
    texts = {
        base / "etc/asgi-deploy/fences/notes-8000.nft": fence,
        **{base / "etc/systemd/system" / unit: OURS for unit in HOP.units},
    }
    return {str(path): {"text": text, "mode": "0644"} for path, text in texts.items()}


def write(files: t.Mapping[str, t.Mapping[str, str]]) -> None:
    for path, wanted in files.items():
        Path(path).write_text(wanted["text"], encoding="utf-8")
        Path(path).chmod(0o644)


def test_what_is_there(units: Path, tmp_path: Path, fake_run: Fixture) -> None:
    texts = {
        "notes-hop@8000.socket": OURS,
        "notes-hop@8000.service": OURS,
        # All that a killed removal has left of a port.
        "shop-fence@8001.service": OURS,
        # Somebody else's, and no port at all.
        "other-hop@8002.socket": "[Unit]\n",
        "notes@blue.service": OURS,
        "notes-hop@x.socket": OURS,
    }
    for name, text in texts.items():
        (units / name).write_text(text, encoding="utf-8")
    hops = Hops(fake_run(), str(tmp_path))
    assert hops.there() == [HOP, Hop("shop", 8001)]
    assert hops.units_of("notes") == ["notes-hop@8000.socket", "notes-hop@8000.service", "notes-fence@8000.service"]


def test_fences_of_an_application_are_not_those_of_one_with_a_longer_name(
    units: Path, tmp_path: Path, fake_run: Fixture
) -> None:
    folder = tmp_path / "etc/asgi-deploy/fences"
    for name in ("notes-8000.nft", "notes-9000.nft", "notes-api-8001.nft"):
        (folder / name).touch()
    found = Hops(fake_run(), str(tmp_path)).files_of("notes")
    assert [Path(path).name for path in found] == ["notes-8000.nft", "notes-9000.nft"]


def test_a_new_port_is_opened_after_its_fence(units: Path, tmp_path: Path, fake_run: Fixture) -> None:
    run = fake_run({SHOW: (0, CLOSED, ""), LIST: (1, "", "No such file or directory")})
    files = files_of(tmp_path)
    assert Hops(run, str(tmp_path)).open([HOP], files, check_mode=True)
    assert not list(units.iterdir())
    assert Hops(run, str(tmp_path)).open([HOP], files, check_mode=False)
    changes = [line for line in run.commands if not line.startswith((SHOW, LIST))]
    assert changes == [
        "systemctl daemon-reload",
        f"systemctl reload-or-restart {HOP.fence}",
        f"systemctl enable --now {HOP.socket} {HOP.fence}",
    ]
    assert sorted(path.name for path in units.iterdir()) == sorted(HOP.units)


@pytest.mark.parametrize(
    ("fence", "shown", "listed", "changes"),
    [
        ("rules\n", OPEN, 0, []),
        # Other proxies: the fence alone, in one transaction, and the port stays open.
        ("other rules\n", OPEN, 0, ["systemctl daemon-reload", f"systemctl reload-or-restart {HOP.fence}"]),
        # A hand has flushed all rules.
        ("rules\n", OPEN, 1, ["systemctl daemon-reload", f"systemctl reload-or-restart {HOP.fence}"]),
        ("rules\n", CLOSED, 0, ["systemctl daemon-reload", f"systemctl enable --now {HOP.socket} {HOP.fence}"]),
    ],
)
def test_what_is_due_on_a_host_that_has_it(
    units: Path, tmp_path: Path, fake_run: Fixture, fence: str, shown: str, listed: int, changes: list[str]
) -> None:
    write(files_of(tmp_path))
    run = fake_run({SHOW: (0, shown, ""), LIST: (listed, "", "")})
    assert Hops(run, str(tmp_path)).open([HOP], files_of(tmp_path, fence), check_mode=False) is bool(changes)
    assert [line for line in run.commands if not line.startswith((SHOW, LIST))] == changes


def test_a_port_that_does_not_open_is_named_with_systemd_s_words(
    units: Path, tmp_path: Path, fake_run: Fixture
) -> None:
    run = fake_run(
        {
            SHOW: (0, CLOSED, ""),
            "systemctl enable": (1, "", "Job failed. See journalctl."),
            "journalctl": (0, "Failed to create listening socket: Address already in use\n", ""),
        }
    )
    with pytest.raises(HopError) as caught:
        Hops(run, str(tmp_path)).open([HOP], files_of(tmp_path), check_mode=False)
    assert str(caught.value) == (
        "port 8000 of notes could not be opened: Failed to create listening socket: Address already in use"
    )


@pytest.mark.parametrize(
    ("table", "lines", "waits"),
    [
        ("tcp", "   0: 0100007F:1F40 0200000A:9C40 01 0:0", True),
        ("tcp6", "   0: 0000000000000000FFFF00000100007F:1F40 0000000000000000FFFF00000200000A:9C40 01 0:0", True),
        # Another port, this one of another host's, a listener, and what has ended.
        ("tcp", "   0: 0100007F:1F41 0200000A:9C40 01 0:0", False),
        ("tcp", "   0: 0100007F:9C40 0200000A:1F40 01 0:0", False),
        ("tcp", "   0: 00000000:1F40 00000000:0000 0A 0:0", False),
        ("tcp", "   0: 0100007F:1F40 0200000A:9C40 06 0:0", False),
    ],
)
def test_a_port_is_closed_when_its_requests_have_ended(
    tmp_path: Path, fake_run: Fixture, monkeypatch: pytest.MonkeyPatch, table: str, lines: str, waits: bool
) -> None:
    path = tmp_path / "proc/net" / table
    path.parent.mkdir(parents=True)
    path.write_text(f"  sl  local_address rem_address   st\n{lines}\n", encoding="utf-8")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        path.write_text("  sl  local_address rem_address   st\n", encoding="utf-8")

    monkeypatch.setattr(module.time, "sleep", sleep)  # type: ignore[attr-defined]
    Hops(fake_run(), str(tmp_path)).drain([HOP])
    assert bool(pauses) is waits


def test_a_connection_that_never_ends_does_not_keep_a_port_open_for_ever(tmp_path: Path, fake_run: Fixture) -> None:
    path = tmp_path / "proc/net/tcp"
    path.parent.mkdir(parents=True)
    path.write_text("  sl\n   0: 0100007F:1F40 0200000A:9C40 01 0:0\n", encoding="utf-8")
    Hops(fake_run(), str(tmp_path)).drain([HOP], seconds=0.3)


def test_closing_leaves_nothing(units: Path, tmp_path: Path, fake_run: Fixture) -> None:
    write(files_of(tmp_path))
    drop_in = units / "nftables.service.d/asgi-deploy.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(OURS, encoding="utf-8")
    run = fake_run({"systemctl --quiet is-active": (3, "", "")})
    Hops(run, str(tmp_path)).close([HOP])
    assert run.commands[0] == "systemctl disable --now " + " ".join(HOP.units)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "nft"] == []


def test_the_drop_in_stays_for_other_fences(units: Path, tmp_path: Path, fake_run: Fixture) -> None:
    write(files_of(tmp_path))
    (tmp_path / "etc/asgi-deploy/fences/shop-8001.nft").touch()
    drop_in = units / "nftables.service.d/asgi-deploy.conf"
    drop_in.parent.mkdir()
    drop_in.touch()
    Hops(fake_run({"systemctl --quiet is-active": (3, "", "")}), str(tmp_path)).close([HOP])
    assert drop_in.exists()


def test_a_port_that_stays_open_keeps_its_files(units: Path, tmp_path: Path, fake_run: Fixture) -> None:
    write(files_of(tmp_path))
    run = fake_run({"systemctl disable": (1, "", "Refusing to operate"), "systemctl --quiet is-active": (0, "", "")})
    with pytest.raises(HopError, match="port 8000 could not be closed: Refusing to operate"):
        Hops(run, str(tmp_path)).close([HOP])
    assert sorted(path.name for path in units.iterdir()) == sorted(HOP.units)


@pytest.mark.parametrize(
    ("printed", "states"),
    [
        ("", {}),
        (OPEN, {HOP.socket: ("active", "enabled")}),
        (OPEN + "\nId=b.service\nUnitFileState=\nActiveState=failed\n", {HOP.socket: ("active", "enabled"),
                                                                         "b.service": ("failed", "")}),
    ],
)  # fmt: skip
def test_states(fake_run: Fixture, printed: str, states: dict[str, tuple[str, str]]) -> None:
    assert states_of(fake_run({"systemctl show": (0, printed, "")}), ["a"]) == states
    run = fake_run()
    assert states_of(run, []) == {}
    assert run.commands == []


TLS = ("systemctl show --timestamp=unix", "systemctl --quiet is-active", "nft list", SHOW)
LATER = "StateChangeTimestamp=@4000000000\n"


@pytest.fixture
def by_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_pair: t.Callable[..., Path]) -> Fixture:
    """The files of a port with TLS, and what is served there, for a test to change."""
    pair = (make_pair("notes") / "fullchain.pem").read_text(encoding="ascii")
    names = {".conf": "accept\n", ".ca.pem": pair, ".pem": pair}
    files = {
        **files_of(tmp_path),
        **{str(tmp_path / f"etc/asgi-deploy/hops/notes-8000{end}"): _plain(text) for end, text in names.items()},
    }
    served = [fingerprint(pair)]
    monkeypatch.setattr(hop_tls, "served_fingerprint", lambda _name, _port: served[0])
    monkeypatch.setattr(module, "_LOADING", 0.3)
    (tmp_path / "etc/asgi-deploy/hops").mkdir(parents=True)
    return files, served


def _plain(text: str) -> dict[str, str]:
    return {"text": text, "mode": "0644"}


def fingerprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def changes_of(run: Fixture) -> list[str]:
    return [line for line in run.commands if not line.startswith(TLS)]


def test_what_is_served_as_it_is_on_disk_is_left_alone(
    units: Path, tmp_path: Path, fake_run: Fixture, by_tls: Fixture
) -> None:
    files, _served = by_tls
    write(files)
    run = fake_run({SHOW: (0, OPEN, ""), TLS[0]: (0, LATER, "")})
    assert Hops(run, str(tmp_path)).open([HOP], files, check_mode=False) is False
    assert changes_of(run) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda files, _served, _told: files.popitem(),
        lambda _files, served, _told: served.__setitem__(0, None),
        # A run that was killed had written a CA, and stunnel was not told.
        lambda _files, _served, told: told.__setitem__(0, "StateChangeTimestamp=@1000000000\n"),
    ],
)
def test_stunnel_reads_its_files_anew_and_goes_on(
    units: Path, tmp_path: Path, fake_run: Fixture, by_tls: Fixture, spoil: t.Callable[..., t.Any]
) -> None:
    files, served = by_tls
    there, told, right = dict(files), [LATER], list(served)
    spoil(there, served, told)
    write(there)
    fake = fake_run({SHOW: (0, OPEN, ""), TLS[0]: (0, told[0], "")})

    def run(command: list[str]) -> tuple[int, str, str]:
        if command == ["systemctl", "reload", HOP.service]:
            served[:] = right
            fake.answers[TLS[0]] = (0, LATER, "")
        return t.cast("tuple[int, str, str]", fake(command))

    assert Hops(run, str(tmp_path)).open([HOP], files, check_mode=True)
    assert changes_of(fake) == []
    assert Hops(run, str(tmp_path)).open([HOP], files, check_mode=False)
    assert changes_of(fake) == ["systemctl daemon-reload", "systemctl reload " + HOP.service]


def test_a_port_that_does_not_serve_its_certificate_says_why(
    units: Path, tmp_path: Path, fake_run: Fixture, by_tls: Fixture
) -> None:
    files, served = by_tls
    write(files)
    served[0] = "another"
    run = fake_run({SHOW: (0, OPEN, ""), TLS[0]: (0, LATER, ""), "journalctl": (0, "Failed to reload\n", "")})
    with pytest.raises(HopError) as caught:
        Hops(run, str(tmp_path)).open([HOP], files, check_mode=False)
    assert str(caught.value) == "port 8000 of notes does not serve its certificate: Failed to reload"


def test_an_open_port_is_not_changed_to_tls_nor_back(
    units: Path, tmp_path: Path, fake_run: Fixture, by_tls: Fixture
) -> None:
    files, _served = by_tls
    plain = {path: wanted for path, wanted in files.items() if "/hops/" not in path}
    for there, wanted, now in ((plain, files, "without TLS"), (files, plain, "with TLS")):
        write(there)
        run = fake_run({SHOW: (0, OPEN, "")})
        for check_mode in (True, False):
            with pytest.raises(HopError, match=f"gunicorn_app_port: 8000 is refused; .* is open {now}"):
                Hops(run, str(tmp_path)).open([HOP], wanted, check_mode)
        assert not any("reload" in line or "enable" in line for line in run.commands)
        # One that is closed, after a run that was killed, may be.
        run = fake_run({SHOW: (0, CLOSED, ""), TLS[0]: (0, LATER, "")})
        assert Hops(run, str(tmp_path)).other_kind(8000, tls=wanted is files) is None
    run = fake_run({SHOW: (0, CLOSED, "")})
    Hops(run, str(tmp_path)).open([HOP], plain, check_mode=False)
    assert list((tmp_path / "etc/asgi-deploy/hops").iterdir()) == []


def test_closing_leaves_no_key(units: Path, tmp_path: Path, fake_run: Fixture, by_tls: Fixture) -> None:
    files, _served = by_tls
    write(files)
    hops = Hops(fake_run({"systemctl --quiet is-active": (3, "", "")}), str(tmp_path))
    assert [Path(path).name for path in hops.files_of("notes")] == [
        *("notes-8000.nft", "notes-8000.ca.pem", "notes-8000.conf", "notes-8000.pem"),
    ]
    assert hops.files_of("note") == []
    hops.close([HOP])
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "nft"] == []
