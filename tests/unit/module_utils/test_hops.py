# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for proxies on other hosts: what is there, what is due, and that none is open without its fence."""

from __future__ import annotations

import hashlib
import os
import ssl
import time
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


MARK = "run/asgi-deploy/.fence-notes-8000"
LISTENER = "   0: 00000000:1F40 00000000:0000 0A 0:0"


def listen(base: Path, table: str, *lines: str) -> None:
    path = base / "proc/net" / table
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["  sl  local_address rem_address   st", *lines, ""]), encoding="utf-8")


@pytest.mark.parametrize(
    ("table", "line", "free"),
    [
        ("tcp", LISTENER, False),
        ("tcp", "   0: 0100007F:1F40 00000000:0000 0A 0:0", False),
        # IPv6 alone: ours listens on both.
        ("tcp6", "   0: 00000000000000000000000000000000:1F40 00000000000000000000000000000000:0000 0A 0:0", False),
        ("tcp6", "   0: 00000000000000000000000001000000:1F40 00000000000000000000000000000000:0000 0A 0:0", False),
        # Another port, and connections of others that only have the number.
        ("tcp", "   0: 00000000:1F41 00000000:0000 0A 0:0", True),
        ("tcp", "   0: 0100007F:1F40 0200000A:9C40 01 0:0", True),
        ("tcp", "   0: 0100007F:9C40 0200000A:1F40 01 0:0", True),
    ],
)
def test_a_port_that_another_program_holds_is_left_to_it(
    units: Path, tmp_path: Path, fake_run: Fixture, table: str, line: str, free: bool
) -> None:
    """Its fence would cut off that program."""
    listen(tmp_path, table, line)
    run = fake_run({SHOW: (0, CLOSED, ""), LIST: (1, "", "")})
    for tls in (False, True):
        accepted = None if free else "a port that nothing else on the host listens on"
        assert Hops(run, str(tmp_path)).taken(HOP, tls) == accepted
    if not free:
        for check_mode in (True, False):
            with pytest.raises(HopError, match=r"^gunicorn_app_port: 8000 is refused; accepted: a port that nothing"):
                Hops(run, str(tmp_path)).open([HOP], files_of(tmp_path), check_mode)
        assert not list(units.iterdir())
        assert not [line for line in run.commands if not line.startswith(SHOW)]


@pytest.mark.parametrize(
    ("shown", "accepted"),
    [
        (OPEN, None),
        # Its socket was stopped alone.
        (f"{CLOSED}\nId={HOP.service}\nActiveState=active\nUnitFileState=static\n", None),
        # Closed by hand, and somebody else was quicker.
        (CLOSED, "a port that nothing else on the host listens on"),
    ],
)
def test_our_own_port_is_no_other_program_s(
    units: Path, tmp_path: Path, fake_run: Fixture, shown: str, accepted: str | None
) -> None:
    write(files_of(tmp_path))
    listen(tmp_path, "tcp6", "   0: 00000000000000000000000000000000:1F40 00:0000 0A 0:0")
    hops = Hops(fake_run({SHOW: (0, shown, "")}), str(tmp_path))
    assert hops.taken(HOP, tls=False) == accepted
    # Nor is one whose files somebody has deleted: they are written anew.
    for unit in HOP.units:
        (units / unit).unlink()
    assert hops.taken(HOP, tls=False) == accepted
    # Beside it, another one may be opened.
    assert hops.taken(Hop("notes", 9000), tls=True) is None


@pytest.mark.parametrize("shown", [OPEN, CLOSED])
def test_another_application_s_port_is_named_with_that(
    units: Path, tmp_path: Path, fake_run: Fixture, shown: str
) -> None:
    """Also a closed one: both would have one table of nftables, and it goes with the other's removal."""
    write(files_of(tmp_path))
    hops = Hops(fake_run({SHOW: (0, shown, "")}), str(tmp_path))
    said = "another port; notes has it on this host until that is removed or has another one"
    assert hops.taken(Hop("notes2", 8000), tls=False) == said
    assert hops.taken(Hop("notes2", 8001), tls=False) is None


def test_a_port_that_did_not_open_leaves_no_fence(units: Path, tmp_path: Path, fake_run: Fixture) -> None:
    """Whoever has taken it in the last moment goes on; nor is there a file that nftables.service would load."""
    fake = fake_run({SHOW: (0, CLOSED, ""), LIST: (1, "", ""), "systemctl enable": (1, "", "in use")})
    shop = Hop("shop", 8001)
    later = {path.replace("notes", "shop").replace("8000", "8001"): one for path, one in files_of(tmp_path).items()}
    with pytest.raises(HopError, match="port 8000 of notes could not be opened: in use"):
        Hops(fake, str(tmp_path)).open([HOP, shop], {**files_of(tmp_path), **later}, check_mode=False)
    after = fake.commands[fake.commands.index(f"systemctl enable --now {HOP.socket} {HOP.fence}") + 1 :]
    assert "systemctl disable --now " + " ".join(HOP.units) in after
    # Of the one that it did not come to there is nothing either.
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "nft"] == []


@pytest.mark.parametrize(
    ("state", "fenced", "undone"),
    [
        # A fence that was there stays.
        ("UnitFileState=\n", True, [f"systemctl disable --now {HOP.socket}"]),
        ("UnitFileState=enabled\n", True, []),
        ("UnitFileState=enabled\n", False, [f"systemctl stop {HOP.fence}"]),
    ],
)
def test_what_was_there_of_a_port_that_did_not_open_stays(
    units: Path, tmp_path: Path, fake_run: Fixture, state: str, fenced: bool, undone: list[str]
) -> None:
    write(files_of(tmp_path))
    shown = f"Id={HOP.socket}\nActiveState=failed\n{state}"
    enable = f"systemctl enable --now {HOP.socket} {HOP.fence}"
    run = fake_run({SHOW: (0, shown, ""), LIST: (0 if fenced else 1, "", ""), "systemctl enable": (1, "", "in use")})
    with pytest.raises(HopError):
        Hops(run, str(tmp_path)).open([HOP], files_of(tmp_path), check_mode=False)
    after = run.commands[run.commands.index(enable) + 1 :]
    assert [line for line in after if not line.startswith("journalctl")] == undone
    assert all(Path(path).exists() for path in files_of(tmp_path))


def test_an_open_port_whose_fence_takes_no_new_rules_stays_open(units: Path, tmp_path: Path, fake_run: Fixture) -> None:
    """With the rules of before, and the next run tries again."""
    write(files_of(tmp_path))
    run = fake_run({SHOW: (0, OPEN, ""), "systemctl reload-or-restart": (1, "", "syntax error")})
    for _run in range(2):
        with pytest.raises(HopError, match="syntax error"):
            Hops(run, str(tmp_path)).open([HOP], files_of(tmp_path, "other rules\n"), check_mode=False)
    assert not [line for line in run.commands if "disable" in line or "stop" in line]
    assert (tmp_path / MARK).exists()


def test_a_fence_that_was_not_told_of_its_rules_is_told_by_the_next_run(
    units: Path, tmp_path: Path, fake_run: Fixture
) -> None:
    """Killed between the file and the reload: a proxy that was taken out would be let in for good."""
    write(files_of(tmp_path))
    fake = fake_run({SHOW: (0, OPEN, "")})

    def killed(command: list[str]) -> tuple[int, str, str]:
        if command[:2] == ["systemctl", "reload-or-restart"]:
            raise KeyboardInterrupt
        return t.cast("tuple[int, str, str]", fake(command))

    files = files_of(tmp_path, "other rules\n")
    with pytest.raises(KeyboardInterrupt):
        Hops(killed, str(tmp_path)).open([HOP], files, check_mode=False)
    assert (tmp_path / "etc/asgi-deploy/fences/notes-8000.nft").read_text(encoding="utf-8") == "other rules\n"
    assert Hops(fake, str(tmp_path)).open([HOP], files, check_mode=True)
    fake.commands.clear()
    assert Hops(fake, str(tmp_path)).open([HOP], files, check_mode=False)
    assert f"systemctl reload-or-restart {HOP.fence}" in fake.commands
    assert not (tmp_path / MARK).exists()
    assert Hops(fake, str(tmp_path)).open([HOP], files, check_mode=False) is False


def test_the_rules_of_a_port_after_one_that_failed_are_not_on_disk_before_their_turn(
    units: Path, tmp_path: Path, fake_run: Fixture
) -> None:
    shop = Hop("shop", 8001)

    def both(rules: str) -> dict[str, dict[str, str]]:
        mine = files_of(tmp_path, rules)
        return {**mine, **{path.replace("notes", "shop").replace("8000", "8001"): one for path, one in mine.items()}}

    write(both("rules\n"))
    shown = f"{OPEN}\nId={shop.socket}\nActiveState=active\nUnitFileState=enabled\n"
    run = fake_run({SHOW: (0, shown, ""), f"systemctl reload-or-restart {HOP.fence}": (1, "", "no")})
    with pytest.raises(HopError):
        Hops(run, str(tmp_path)).open([HOP, shop], both("other rules\n"), check_mode=False)
    assert (tmp_path / "etc/asgi-deploy/fences/shop-8001.nft").read_text(encoding="utf-8") == "rules\n"


def test_a_time_that_is_still_to_come_does_not_keep_stunnel_from_being_up_to_date(
    units: Path, tmp_path: Path, fake_run: Fixture, by_tls: Fixture
) -> None:
    """The host's clock was set back since the files were written: no reload is ever after that."""
    files, _served = by_tls
    write(files)
    ahead = time.time() + 86400
    for path in (tmp_path / "etc/asgi-deploy/hops").iterdir():
        os.utime(path, (ahead, ahead))
    now = f"StateChangeTimestamp=@{int(time.time())}\n"
    run = fake_run({SHOW: (0, OPEN, ""), TLS[0]: (0, now, "")})
    assert Hops(run, str(tmp_path)).open([HOP], files, check_mode=False) is False
    # What was written after that still tells.
    (ca,) = [path for path in files if path.endswith(".ca.pem")]
    os.utime(ca, (time.time() - 60, time.time() - 60))
    run = fake_run({SHOW: (0, OPEN, ""), TLS[0]: (0, "StateChangeTimestamp=@1000000000\n", "")})
    assert Hops(run, str(tmp_path)).open([HOP], files, check_mode=True)


@pytest.mark.parametrize("way", ["open", "close"])
def test_a_key_that_a_killed_run_has_half_written_goes(
    units: Path, tmp_path: Path, fake_run: Fixture, by_tls: Fixture, way: str
) -> None:
    files, _served = by_tls
    write(files)
    folder = tmp_path / "etc/asgi-deploy/hops"
    others = [folder / ".notes-80001.pem.ab_d1234", folder / ".shop-8000.pem.ab_d1234"]
    left = folder / ".notes-8000.pem.x_y2345z"
    for path in (left, *others):
        path.touch()
    answers = {SHOW: (0, OPEN, ""), TLS[0]: (0, LATER, "")}
    if way == "open":
        hops = Hops(fake_run(answers), str(tmp_path))
        assert str(left) in hops.files_of("notes")
        assert hops.open([HOP], files, check_mode=True)
        assert left.exists()
        assert hops.open([HOP], files, check_mode=False)
        assert hops.open([HOP], files, check_mode=False) is False
    else:
        Hops(fake_run({"systemctl --quiet is-active": (3, "", "")}), str(tmp_path)).close([HOP])
    assert not left.exists()
    assert all(path.exists() for path in others)
