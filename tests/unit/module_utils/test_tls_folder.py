# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS folders: nginx always finds a pair that it can open."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import tls_folder
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import problems_of, read_certificate
from ansible_collections.asgi.deploy.plugins.module_utils.tls_folder import TlsFolders

MakePair = t.Callable[..., Path]

DAY = 86400


@pytest.fixture(autouse=True)
def lineages(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand for /etc/letsencrypt/live."""
    folder = tmp_path_factory.mktemp("live")
    monkeypatch.setattr(tls_folder, "LINEAGES", str(folder))
    return folder


def pair(name: str = "notes", *domains: str, source: str = "certbot", lineage: str | None = None) -> dict[str, t.Any]:
    """As the module gets it: Ansible fills in what an entry does not have."""
    return {"name": name, "domains": list(domains or ["notes.example.com"]), "source": source, "lineage": lineage}


def folders(root: Path, *pairs: dict[str, t.Any]) -> TlsFolders:
    return TlsFolders(str(root), pairs)


def served(tls: TlsFolders, name: str = "notes") -> tuple[str, str]:
    return tls.current(name) + "/fullchain.pem", tls.current(name) + "/privkey.pem"


@pytest.mark.parametrize("source", ["certbot", "self_signed"])
def test_a_new_folder(tmp_path: Path, source: str) -> None:
    wanted = pair(source=source)
    tls = folders(tmp_path, wanted)
    assert tls.absent() == tls.stale() == [wanted]
    assert tls.ensure(tls.stale())
    assert problems_of(*served(tls), wanted["domains"]) == []
    assert os.readlink(tls.current("notes")) == "bootstrap"
    marker = json.loads((tmp_path / "notes" / "site.json").read_text(encoding="utf-8"))
    assert marker == {"domains": ["notes.example.com"], "source": source}
    # The second time there is nothing to do.
    assert tls.absent() == tls.stale() == []
    assert not tls.ensure(tls.stale())


def test_other_names_get_another_bootstrap_pair(tmp_path: Path) -> None:
    tls = folders(tmp_path, pair("notes", "a.example.com", "b.example.com"))
    tls.ensure(tls.stale())
    less = folders(tmp_path, pair("notes", "a.example.com"))
    assert less.absent() == []
    assert less.stale()
    assert less.ensure(less.stale())
    assert read_certificate(served(less)[0]).names == {"a.example.com"}


def test_a_bootstrap_pair_is_made_again_before_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began + 3619 * DAY)
    assert tls.stale() == []
    monkeypatch.setattr(time, "time", lambda: began + 3621 * DAY)
    assert tls.stale() == [pair()]


@pytest.mark.parametrize("part", ["fullchain.pem", "privkey.pem"])
def test_a_damaged_bootstrap_pair_is_made_again(tmp_path: Path, part: str) -> None:
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    (tmp_path / "notes" / "bootstrap" / part).write_text("garbage", encoding="utf-8")
    assert tls.ensure(tls.stale())
    assert problems_of(*served(tls), ["notes.example.com"]) == []


def test_a_certificate_of_certbot_stays(tmp_path: Path, make_pair: MakePair) -> None:
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    lineage = tmp_path / "lineage"
    shutil.copytree(make_pair("notes.example.com"), lineage)
    link = tmp_path / "notes" / "current"
    link.unlink()
    link.symlink_to(lineage)
    assert tls.stale() == []
    # Deleted by hand: nginx would not start any more.
    shutil.rmtree(lineage)
    assert tls.absent() == [pair()]
    assert tls.ensure(tls.stale())
    assert os.readlink(link) == "bootstrap"


@pytest.mark.parametrize(
    ("domain", "source", "found"),
    [
        ("notes.example.com", "certbot", True),
        ("other.example.com", "certbot", False),
        ("notes.example.com", "self_signed", False),
    ],
)
def test_a_site_that_comes_back(
    tmp_path: Path, make_pair: MakePair, lineages: Path, domain: str, source: str, found: bool
) -> None:
    shutil.copytree(make_pair(domain), lineages / "notes")
    tls = folders(tmp_path, pair(source=source))
    tls.ensure(tls.stale())
    assert os.readlink(tls.current("notes")) == (str(lineages / "notes") if found else "bootstrap")


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        # Renamed, from the lineage notes: what it was served with before.
        ({"notes": ("a.example.com", "b.example.com")}, "notes"),
        ({"wild": ("*.example.com",)}, "wild"),
        # Renamed, and a name added in the same change.
        ({"notes": ("a.example.com",)}, "notes"),
        ({"notes": ("a.example.com",), "other": ("a.example.com", "b.example.com", "c.example.com")}, "other"),
        # Its own goes before others that fit as well.
        ({"memo": ("a.example.com", "b.example.com"), "notes": ("a.example.com", "b.example.com")}, "memo"),
        ({"notes": ("c.example.com", "example.com")}, None),
        ({}, None),
    ],
)
def test_a_new_name_begins_with_what_certbot_has_for_its_domains(
    tmp_path: Path, make_pair: MakePair, lineages: Path, there: dict[str, tuple[str, ...]], expected: str | None
) -> None:
    for name, domains in there.items():
        shutil.copytree(make_pair(*domains), lineages / name)
    (lineages / "README").write_text("This directory contains your keys", encoding="utf-8")
    tls = folders(tmp_path, pair("memo", "a.example.com", "b.example.com"))
    tls.ensure(tls.stale())
    assert os.readlink(tls.current("memo")) == (str(lineages / expected) if expected else "bootstrap")
    assert tls.stale() == []


def test_of_two_that_fit_the_one_for_real_is_taken_and_then_the_later_one(
    tmp_path: Path, make_pair: MakePair, lineages: Path
) -> None:
    shutil.copytree(make_pair("notes.example.com", days=80), lineages / "trial")
    # Younger, for trials, and with the issuer that Let's Encrypt's staging server signs as.
    command = ["openssl", "req", "-x509", "-key", "privkey.pem", "-days", "90", "-out", "fullchain.pem"]
    subject = ["-subj", "/O=(STAGING) Let's Encrypt/CN=(STAGING) Wannabe Watercress R11"]
    names = ["-addext", "subjectAltName=DNS:notes.example.com"]
    subprocess.run([*command, *subject, *names], cwd=lineages / "trial", check=True, capture_output=True)
    shutil.copytree(make_pair("notes.example.com", days=10), lineages / "b")
    shutil.copytree(make_pair("notes.example.com", days=20), lineages / "a")
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    assert os.readlink(tls.current("notes")) == str(lineages / "a")


@pytest.mark.parametrize("damage", ["expired", "key"])
def test_a_lineage_that_nginx_could_not_serve_is_passed_over(
    tmp_path: Path, make_pair: MakePair, lineages: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    shutil.copytree(make_pair("notes.example.com", days=3), lineages / "old")
    if damage == "key":
        shutil.copy(make_pair("notes.example.com") / "privkey.pem", lineages / "old")
    else:
        began = time.time()
        monkeypatch.setattr(time, "time", lambda: began + 4 * DAY)
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    assert os.readlink(tls.current("notes")) == "bootstrap"


def test_sites_that_share_a_lineage(tmp_path: Path, make_pair: MakePair, lineages: Path) -> None:
    shutil.copytree(make_pair("*.example.com"), lineages / "wildcard")
    shop, admin = (pair(name, f"{name}.example.com", lineage="wildcard") for name in ("shop", "admin"))
    tls = folders(tmp_path, shop, admin)
    tls.ensure(tls.stale())
    for name in ("shop", "admin"):
        assert os.readlink(tls.current(name)) == str(lineages / "wildcard")
        marker = json.loads((tmp_path / name / "site.json").read_text(encoding="utf-8"))
        assert marker == {"domains": [f"{name}.example.com"], "lineage": "wildcard", "source": "certbot"}
    assert tls.stale() == []
    # A site that goes and is gone back to finds the same one.
    folders(tmp_path, shop).remove_foreign(lambda: {"admin"})
    (tmp_path / "admin" / "current").unlink()
    folders(tmp_path).mend(["admin"])
    folders(tmp_path).mark({"shop", "admin"})
    assert os.readlink(tls.current("admin")) == str(lineages / "wildcard")
    assert tls.stale() == []


def test_another_lineage_is_noted_and_the_old_certificate_stays(
    tmp_path: Path, make_pair: MakePair, lineages: Path
) -> None:
    shutil.copytree(make_pair("notes.example.com"), lineages / "notes")
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    moved = folders(tmp_path, pair(lineage="wildcard"))
    assert moved.stale() == [pair(lineage="wildcard")]
    # Only certbot's program is told of it: nginx reads the same pair as before.
    assert not moved.ensure(moved.stale())
    assert os.readlink(tls.current("notes")) == str(lineages / "notes")
    assert json.loads((tmp_path / "notes" / "site.json").read_text(encoding="utf-8"))["lineage"] == "wildcard"
    # And back; the site's own name is no other lineage.
    assert not tls.ensure(tls.stale())
    assert folders(tmp_path, pair(lineage="notes")).stale() == []
    assert "lineage" not in (tmp_path / "notes" / "site.json").read_text(encoding="utf-8")


def test_to_self_signed_to_none_and_back(tmp_path: Path, make_pair: MakePair, lineages: Path) -> None:
    shutil.copytree(make_pair("notes.example.com"), lineages / "notes")
    certified, signed, nothing = (folders(tmp_path, *pairs) for pairs in ([pair()], [pair(source="self_signed")], []))
    link = tmp_path / "notes" / "current"
    certified.ensure(certified.stale())
    assert signed.ensure(signed.stale())
    assert os.readlink(link) == "bootstrap"
    # The certificate waited with certbot.
    assert certified.ensure(certified.stale())
    assert os.readlink(link) == str(lineages / "notes")
    assert certified.absent() == certified.stale() == []
    # Without TLS, while a generation that has it is kept: out of certbot's reach, and as it was when it comes back.
    assert nothing.remove_foreign(lambda: {"notes"})
    assert not certified.ensure(certified.stale())
    assert os.readlink(link) == str(lineages / "notes")
    # Without one that has it.
    assert nothing.remove_foreign(set)
    certified.ensure(certified.stale())
    assert os.readlink(link) == str(lineages / "notes")


def test_a_site_that_was_taken_off_its_certificate_stays_off(
    tmp_path: Path, make_pair: MakePair, lineages: Path
) -> None:
    """certbot's role does that before it deletes one; other names of the site are no reason to undo it."""
    shutil.copytree(make_pair("*.example.com"), lineages / "notes")
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    link = tmp_path / "notes" / "current"
    link.unlink()
    link.symlink_to("bootstrap")
    assert tls.stale() == []
    other = folders(tmp_path, pair("notes", "blog.example.com"))
    assert other.ensure(other.stale())
    assert os.readlink(link) == "bootstrap"


def test_a_site_that_comes_back_without_a_certificate_of_its_own(
    tmp_path: Path, make_pair: MakePair, lineages: Path
) -> None:
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    folders(tmp_path).remove_foreign(lambda: {"notes"})
    # While it was gone, another site got a certificate for its name.
    shutil.copytree(make_pair("notes.example.com"), lineages / "memo")
    assert tls.ensure(tls.stale())
    assert os.readlink(tls.current("notes")) == str(lineages / "memo")
    assert tls.stale() == []


def test_self_signed_goes_back_to_its_own_pair(tmp_path: Path, make_pair: MakePair) -> None:
    tls = folders(tmp_path, pair(source="self_signed"))
    tls.ensure(tls.stale())
    link = tmp_path / "notes" / "current"
    link.unlink()
    link.symlink_to(make_pair("notes.example.com"))
    assert tls.stale() == [pair(source="self_signed")]
    assert tls.ensure(tls.stale())
    assert os.readlink(link) == "bootstrap"


def test_only_our_own_folders_are_removed(tmp_path: Path) -> None:
    tls = folders(tmp_path, pair("one"), pair("two"))
    tls.ensure(tls.stale())
    (tmp_path / "by-hand").mkdir()
    (tmp_path / "by-hand" / "fullchain.pem").touch()
    (tmp_path / "a-file").touch()
    assert not tls.remove_foreign(set)
    less = folders(tmp_path, pair("two"))
    assert less.remove_foreign(set)
    assert sorted(os.listdir(tmp_path)) == ["a-file", "by-hand", "two"]
    assert not less.remove_foreign(set)


def test_no_folder_at_all(tmp_path: Path) -> None:
    assert not folders(tmp_path / "absent").remove_foreign(set)


def test_a_site_that_left_stays_out_of_certbots_reach_while_it_can_come_back(tmp_path: Path) -> None:
    tls = folders(tmp_path, pair("one"), pair("two"))
    tls.ensure(tls.stale())
    less = folders(tmp_path, pair("two"))
    assert less.remove_foreign(lambda: {"one"})
    marker = json.loads((tmp_path / "one" / "site.json").read_text(encoding="utf-8"))
    assert marker == {"domains": ["notes.example.com"], "source": "gone", "was": "certbot"}
    assert not less.remove_foreign(lambda: {"one"})
    # No generation reads it any more.
    assert less.remove_foreign(set)
    assert sorted(os.listdir(tmp_path)) == ["two"]


def test_a_site_that_comes_back_by_the_inventory(tmp_path: Path) -> None:
    both = folders(tmp_path, pair("one"), pair("two"))
    both.ensure(both.stale())
    folders(tmp_path, pair("two")).remove_foreign(lambda: {"one"})
    assert both.stale() == [pair("one")]
    # nginx reads the same pair as before: nothing to load.
    assert not both.ensure(both.stale())
    assert both.stale() == []


def test_what_a_generation_reads_is_what_certbot_cares_for(tmp_path: Path) -> None:
    tls = folders(tmp_path, pair("one"), pair("two", source="self_signed"))
    tls.ensure(tls.stale())
    tls.mark({"one"})
    tls.mark({"two"})
    sources = [json.loads((tmp_path / name / "site.json").read_text(encoding="utf-8")) for name in ("one", "two")]
    assert [item["source"] for item in sources] == ["gone", "self_signed"]
    tls.mark({"one", "two"})
    assert tls.stale() == []


def test_only_what_points_nowhere_is_mended(tmp_path: Path) -> None:
    tls = folders(tmp_path, pair("one"), pair("two"))
    tls.ensure(tls.stale())
    (tmp_path / "one" / "current").unlink()
    shutil.rmtree(tmp_path / "one" / "bootstrap")
    (tmp_path / "two" / "current").unlink()
    (tmp_path / "by-hand").mkdir()
    folders(tmp_path).mend(["one", "by-hand"])
    assert problems_of(*served(tls, "one"), ["notes.example.com"]) == []
    assert not (tmp_path / "two" / "current").exists()


def test_a_marker_that_a_hand_wrote_is_named(tmp_path: Path) -> None:
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    (tmp_path / "notes" / "site.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"notes/site\.json is not as this collection writes it"):
        tls.mark({"notes"})


def test_certbots_program_is_told_of_the_proxy_protocol(tmp_path: Path) -> None:
    plain = folders(tmp_path, pair())
    plain.ensure(plain.stale())
    wanted = {**pair(), "proxy_protocol": True}
    tls = folders(tmp_path, wanted)
    assert tls.stale() == [wanted]
    assert not tls.ensure(tls.stale())
    marker = json.loads((tmp_path / "notes" / "site.json").read_text(encoding="utf-8"))
    assert marker == {"domains": ["notes.example.com"], "proxy_protocol": True, "source": "certbot"}
    # Also while the site is gone.
    folders(tmp_path).mark(())
    folders(tmp_path).mark({"notes"})
    assert tls.stale() == []


@pytest.mark.parametrize("file", ["fullchain.pem", "privkey.pem"])
def test_a_pair_that_nginx_could_not_load_is_none(
    tmp_path: Path, lineages: Path, make_pair: MakePair, file: str
) -> None:
    """As after a power cut: nginx would not start, and no other site would be served either."""
    shutil.copytree(make_pair("notes.example.com"), lineages / "notes")
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    assert os.readlink(tls.current("notes")) == str(lineages / "notes")
    (lineages / "notes" / file).write_text("")
    assert tls.absent() == tls.stale() == [pair()]
    assert tls.ensure(tls.absent())
    assert os.readlink(tls.current("notes")) == "bootstrap"
    assert problems_of(*served(tls), ["notes.example.com"]) == []


def test_one_that_expired_can_be_loaded(
    tmp_path: Path, lineages: Path, make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is for certbot to order another one; a self-signed pair instead is no better for anybody."""
    shutil.copytree(make_pair("notes.example.com"), lineages / "notes")
    tls = folders(tmp_path, pair())
    tls.ensure(tls.stale())
    end = read_certificate(served(tls)[0]).not_after
    monkeypatch.setattr(tls_folder, "_SPARE_SECONDS", -2 * 3650 * DAY)
    monkeypatch.setattr(time, "time", lambda: end + DAY)
    assert tls.absent() == tls.stale() == []
