# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a certificate is ordered, and what is only edited."""

from __future__ import annotations

import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import lineage
from ansible_collections.asgi.deploy.plugins.module_utils.lineage import Lineage, replaced_by_staging

Fixture = t.Any

SERVER = "https://ca.example.com/dir"
OTHER = "https://staging.example.com/dir"
RENEWAL = """version = 4.0.0
fullchain = /etc/letsencrypt/live/notes/fullchain.pem
[renewalparams]
account = 1
server = https://ca.example.com/dir
authenticator = webroot
webroot_path = /var/www/acme,
key_type = ecdsa
[[webroot_map]]
www.example.com = /var/www/acme
notes.example.com = /var/www/acme
"""
NAMES = ["notes.example.com", "www.example.com"]
WANTED = {
    "name": "notes", "domains": NAMES, "challenge": "webroot", "key_type": "ecdsa", "elliptic_curve": "secp256r1",
    "rsa_key_size": None, "profile": None,
}  # fmt: skip
RSA = {"key_type": "rsa", "elliptic_curve": None, "rsa_key_size": 2048}
PARAMS = {"webroot": "/var/www/acme", "dns": None}
DNS = {"plugin": "rfc2136", "credentials_file": "/etc/letsencrypt/asgi-deploy/dns-rfc2136.ini"}
DAY = 86400


def run(command: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "letsencrypt"
    monkeypatch.setattr(lineage, "HOME", str(folder))
    return folder


@pytest.fixture
def have(home: Path, make_pair: Fixture, write: Fixture) -> t.Callable[..., Path]:
    """Return a function that puts a lineage for these names there."""

    def put(*names: str, renewal: str = RENEWAL, **pair: t.Any) -> Path:
        folder = home / "live" / "notes"
        shutil.copytree(make_pair(*names, **pair), folder)
        write(home / "renewal" / "notes.conf", renewal)
        return folder

    return put


def reasons(server: str = SERVER, now: float | None = None, **wanted: t.Any) -> list[str]:
    return Lineage({**WANTED, **wanted}).reasons(run, server, now)


def test_there_is_none(home: Path) -> None:
    assert reasons() == ["there is none"]
    # A link to nothing is none, too.
    (home / "live" / "notes").mkdir(parents=True)
    (home / "live" / "notes" / "fullchain.pem").symlink_to("../../archive/notes/fullchain1.pem")
    assert reasons() == ["there is none"]


def test_nothing_to_do(have: Fixture) -> None:
    have("WWW.example.com", "notes.example.com")
    assert reasons() == []


def test_half_a_file(have: Fixture) -> None:
    folder = have(*NAMES)
    (folder / "fullchain.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB")
    assert reasons() == [f"{folder}/fullchain.pem holds no certificate in PEM form"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["notes.example.com"], "it is for notes.example.com"),
        ([*NAMES, "more.example.com"], "it is for more.example.com, notes.example.com, www.example.com"),
        # A wildcard covers them, and is still another set.
        (["*.example.com"], "it is for *.example.com"),
    ],
)
def test_other_names(have: Fixture, names: list[str], said: str) -> None:
    have(*names)
    assert reasons() == [said]


@pytest.mark.parametrize(
    ("renewal", "server", "said"),
    [
        (RENEWAL, OTHER, [f"it is from {SERVER}"]),
        (RENEWAL.replace("https://ca", "https://staging"), SERVER, ["it is from https://staging.example.com/dir"]),
        (RENEWAL.replace(" = ", "="), SERVER, []),
        (RENEWAL.replace("\n", "  \n"), SERVER, []),
        ("", SERVER, ["it is from an unknown server"]),
        (RENEWAL.replace("server", "# server"), SERVER, ["it is from an unknown server"]),
        (RENEWAL.replace("[[", "required_profile = shortlived\n[["), SERVER, ["it is of the profile shortlived"]),
    ],
)
def test_other_settings(have: Fixture, renewal: str, server: str, said: list[str]) -> None:
    have(*NAMES, renewal=renewal)
    assert reasons(server) == said


@pytest.mark.parametrize("key", ["required_profile", "preferred_profile"])
def test_the_profile(have: Fixture, key: str) -> None:
    have(*NAMES, renewal=RENEWAL.replace("[[", key + " = shortlived\n[["))
    assert reasons(profile="shortlived") == []
    assert reasons(profile="tlsserver") == ["it is of the profile shortlived"]


def test_a_profile_where_there_was_none(have: Fixture) -> None:
    have(*NAMES)
    assert reasons(profile="shortlived") == ["it is of the CA's default profile"]


@pytest.mark.parametrize(
    ("kind", "wanted", "said"),
    [
        ("ec", {}, []),
        ("ec", {"elliptic_curve": "secp384r1"}, ["its key is ecdsa secp256r1"]),
        ("ec", RSA, ["its key is ecdsa secp256r1"]),
        ("rsa:2048", RSA, []),
        ("rsa:2048", {**RSA, "rsa_key_size": 3072}, ["its key is rsa 2048"]),
        ("rsa:2048", {}, ["its key is rsa 2048"]),
    ],
)
def test_the_key_is_what_the_certificate_says(
    have: Fixture, kind: str, wanted: dict[str, t.Any], said: list[str]
) -> None:
    """Whatever the renewal file says: it may have been edited, or say nothing of a size."""
    have(*NAMES, kind=kind)
    assert reasons(**wanted) == said


def test_a_pair_that_nginx_could_not_serve(have: Fixture, make_pair: Fixture) -> None:
    folder = have(*NAMES)
    shutil.copy(make_pair(*NAMES) / "privkey.pem", folder / "privkey.pem")
    assert reasons() == [f"{folder}/privkey.pem is not the key of {folder}/fullchain.pem"]


@pytest.mark.parametrize(
    ("days", "age", "said"),
    [
        # A third of its life before its end a certificate is the timer's business, a sixth before it nobody's but ours.
        (90, 59, None), (90, 61, None), (90, 74, None), (90, 76, "it expires on "),
        (6, 2, None), (6, 4, None), (6, 5, "it expires on "), (6, 7, "expired on "),
    ],
)  # fmt: skip
def test_near_its_end(have: Fixture, days: int, age: int, said: str | None) -> None:
    have(*NAMES, days=days)
    found = reasons(now=time.time() + age * DAY)
    assert len(found) == (said is not None)
    assert not said or said in found[0]


def edited(params: dict[str, t.Any] | None = None, **wanted: t.Any) -> str:
    return Lineage({**WANTED, **wanted}).edited({**PARAMS, **(params or {})}).text


def test_nothing_to_edit(have: Fixture) -> None:
    have(*NAMES)
    assert not Lineage(WANTED).edited(PARAMS).is_changed()
    # certbot writes the curve where it was asked for one, and takes this one where it was not.
    have_curve = RENEWAL.replace("[[", "elliptic_curve = secp256r1\n[[")
    (Path(lineage.HOME) / "renewal" / "notes.conf").write_text(have_curve)
    assert edited() == have_curve


def test_a_preferred_challenge_goes(have: Fixture) -> None:
    """Another tool's, or a hand's: no plugin but the one it was for could renew any more."""
    have(*NAMES, renewal=RENEWAL.replace("key_type", "pref_challs = http-01,\nkey_type"))
    edited = Lineage(WANTED).edited(PARAMS)
    assert edited.is_changed()
    assert edited.text == RENEWAL


def test_no_file_is_no_file(home: Path) -> None:
    assert edited() == ""


def test_another_webroot(have: Fixture) -> None:
    have(*NAMES)
    assert edited({"webroot": "/srv/acme"}) == RENEWAL.replace("/var/www/acme", "/srv/acme")


@pytest.mark.parametrize("kept", [[], ["www.example.com"], ["old.example.com", "www.example.com"]])
def test_certbots_map_need_not_have_the_names(have: Fixture, kept: list[str]) -> None:
    """certbot leaves out a name whose authorization the CA still had, and renews it by webroot_path all the same."""
    head = RENEWAL[: RENEWAL.index("www.example.com")]
    have(*NAMES, renewal=head + "".join(f"{name} = /var/www/acme\n" for name in kept))
    assert not Lineage(WANTED).edited(PARAMS).is_changed()
    assert edited({"webroot": "/srv/acme"}).count("= /srv/acme\n") == len(kept)


def test_another_challenge(have: Fixture) -> None:
    have(*NAMES)
    text = edited(challenge="standalone")
    assert "authenticator = standalone\n" in text
    assert "webroot" not in text


def test_to_dns_and_to_another_plugin(have: Fixture, home: Path) -> None:
    have(*NAMES)
    text = edited({"dns": {**DNS, "propagation_seconds": 20}}, challenge="dns")
    assert "authenticator = dns-rfc2136\n" in text
    assert f"dns_rfc2136_credentials = {DNS['credentials_file']}\n" in text
    assert "dns_rfc2136_propagation_seconds = 20\n" in text
    assert "webroot" not in text
    (home / "renewal" / "notes.conf").write_text(text)
    other = {"plugin": "ovh", "credentials_file": "/etc/letsencrypt/asgi-deploy/dns-ovh.ini"}
    text = edited({"dns": {**other, "propagation_seconds": None}}, challenge="dns")
    assert "authenticator = dns-ovh\n" in text
    assert "rfc2136" not in text
    (home / "renewal" / "notes.conf").write_text(text)
    assert "dns" not in edited()


def test_the_next_key_is_as_this_one(have: Fixture) -> None:
    """A size that certbot would not take by itself has to be in the file, or the renewal has a smaller key."""
    have(*NAMES, renewal=RENEWAL.replace("key_type = ecdsa", "key_type = rsa"))
    wanted: dict[str, t.Any] = {**RSA, "rsa_key_size": 4096}
    assert "rsa_key_size = 4096\n" in edited(None, **wanted)
    assert "key_type = ecdsa\n" in edited()
    assert "elliptic_curve = secp384r1\n" in edited(elliptic_curve="secp384r1")


def test_staging_replaces_no_valid_certificate(have: Fixture) -> None:
    assert replaced_by_staging("notes", OTHER) is None
    folder = have(*NAMES)
    assert replaced_by_staging("notes", OTHER) == SERVER
    assert replaced_by_staging("notes", SERVER) is None
    (folder / "privkey.pem").unlink()
    assert replaced_by_staging("notes", OTHER) is None


def test_staging_replaces_one_that_expired(have: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    have(*NAMES)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 91 * DAY)
    assert replaced_by_staging("notes", OTHER) is None
