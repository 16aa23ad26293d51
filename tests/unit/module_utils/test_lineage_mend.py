# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Half a lineage: made whole where its files are, moved away where they are not."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import lineage, lineage_mend
from ansible_collections.asgi.deploy.plugins.module_utils.lineage import Lineage
from ansible_collections.asgi.deploy.plugins.module_utils.lineage_mend import KINDS, mend
from ansible_collections.asgi.deploy.plugins.module_utils.renewal_file import RenewalFile

Fixture = t.Any


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (lineage, lineage_mend):
        monkeypatch.setattr(module, "HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def whole(home: Path, write: Fixture, make_pair: Fixture) -> Path:
    pair = make_pair("notes.example.com")
    for kind in KINDS:
        source = pair / ("privkey.pem" if kind == "privkey" else "fullchain.pem")
        write(home / "archive" / "notes" / f"{kind}1.pem", source.read_text())
        link = home / "live" / "notes" / f"{kind}.pem"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../archive/notes/{kind}1.pem")
    lines = [f"{kind} = {home}/live/notes/{kind}.pem" for kind in KINDS]
    write(
        home / "renewal" / "notes.conf", "\n".join([*lines, "[renewalparams]", "server = https://ca.example.com", ""])
    )
    return home / "live" / "notes"


def mended(home: Path) -> str | None:
    return mend(Lineage({"name": "notes", "domains": ["notes.example.com"]}), str(home / "tls"))


def everything(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()}


def test_none_stays_none(home: Path) -> None:
    assert mended(home) is None
    assert everything(home) == set()


def test_a_whole_one_stays(home: Path, whole: Path) -> None:
    before = everything(home)
    assert mended(home) is None
    assert everything(home) == before


@pytest.mark.parametrize("text", [None, "", "version = 2.1.0\n"])
def test_the_renewal_file_is_written_anew(home: Path, whole: Path, text: str | None) -> None:
    path = home / "renewal" / "notes.conf"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert mended(home) == f"{path} was not there, or not whole, and is written anew"
    read = RenewalFile(str(path))
    assert {kind: read.get(kind) for kind in KINDS} == {kind: f"{whole}/{kind}.pem" for kind in KINDS}
    assert read.get("archive_dir") == str(home / "archive" / "notes")
    # certbot skips one without an authenticator: it must not renew from a server that nobody chose.
    assert read.get("authenticator") is None


@pytest.mark.parametrize("lost", ["live/notes/cert.pem", "archive/notes/privkey1.pem", "archive/notes/chain1.pem"])
def test_what_cannot_be_used_is_moved_away(home: Path, whole: Path, lost: str) -> None:
    (home / lost).unlink()
    said = mended(home)
    [aside] = (home / "asgi-deploy" / "remains").iterdir()
    assert said == f"it was not whole; what was there is in {aside}"
    assert aside.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in aside.iterdir()} == {"live", "archive", "renewal"}
    assert {name.split("/")[0] for name in everything(home)} == {"asgi-deploy"}
    assert mended(home) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file_is_none(home: Path, whole: Path, kind: str) -> None:
    """As after a power cut, or with a full disk: certbot could not read it, and fails at it."""
    (home / "archive" / "notes" / f"{kind}1.pem").write_text("")
    assert str(mended(home)).startswith("it was not whole")


@pytest.mark.parametrize("kind", ["fullchain", "privkey"])
def test_an_empty_one_is_of_no_use_to_nginx(home: Path, whole: Path, kind: str) -> None:
    (home / "archive" / "notes" / f"{kind}1.pem").write_text("")
    (home / "tls" / "notes").mkdir(parents=True)
    (home / "tls" / "notes" / "current").symlink_to(whole)
    assert str(mended(home)).startswith("it was not whole")


def test_what_nginx_uses_is_not(home: Path, whole: Path) -> None:
    (whole / "chain.pem").unlink()
    (home / "tls" / "notes").mkdir(parents=True)
    (home / "tls" / "notes" / "current").symlink_to(whole)
    before = everything(home)
    with pytest.raises(ValueError, match=f"{whole} is not whole, and nginx uses it for notes"):
        mended(home)
    assert everything(home) == before
    # A pair without its key is of no use to nginx.
    (whole / "privkey.pem").unlink()
    assert str(mended(home)).startswith("it was not whole")
