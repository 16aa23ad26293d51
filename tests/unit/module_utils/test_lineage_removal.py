# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A removal: nginx first, then the CA, then the files; and back where one of them says no."""

from __future__ import annotations

import json
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import atomic, certbot_turn, lineage_removal
from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import Words
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import read_certificate
from ansible_collections.asgi.deploy.plugins.module_utils.lineage_removal import Removal

Fixture = t.Any

SERVER = "https://ca.example.com/dir"
DOWN = Words("unreachable", "the CA could not be reached: timed out")


class FakeCertbot:
    """Answers in their order, and deletes as certbot does."""

    def __init__(self, home: Path, *answers: Words | None) -> None:
        self.home = home
        self.answers = list(answers)
        self.asked: list[str] = []

    def ask(self, words: list[str]) -> Words | None:
        self.asked.append(" ".join(words))
        answer = self.answers.pop(0) if self.answers else None
        if answer is None and words[0] == "delete":
            (self.home / "renewal" / "one.conf").unlink()
        return answer


class Host:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, make_pair: Fixture, write: Fixture) -> None:
        self.home, self.tls = folder / "letsencrypt", folder / "tls"
        (self.home / "live").mkdir(parents=True)
        self.live = self.home / "live" / "one"
        make_pair("one.example.com").rename(self.live)
        (self.live / "fullchain.pem").rename(self.live / "cert.pem")
        write(self.home / "archive" / "one" / "privkey1.pem", "key")
        write(self.home / "renewal" / "one.conf", f"[renewalparams]\nserver = {SERVER}\naccount = abc\n")
        (self.tls / "one").mkdir(parents=True)
        (self.tls / "one" / "current").symlink_to(self.live)
        write(self.tls / "one" / "site.json", json.dumps({"domains": ["one.example.com"], "source": "certbot"}))
        monkeypatch.setattr(atomic, "LOCKS", str(folder / "locks"))
        monkeypatch.setattr(certbot_turn, "CERTBOT_LOCK", str(folder / "none"))
        monkeypatch.setattr(lineage_removal, "HOME", str(self.home))
        monkeypatch.setattr(lineage_removal, "PATIENCE", 0.2)
        monkeypatch.setattr(shutil, "which", lambda name: "/usr/sbin/nginx")
        monkeypatch.setattr(lineage_removal, "served_fingerprint", lambda *_words, **_more: self.served())

    def served(self) -> str:
        return read_certificate(str(self.tls / "one" / "bootstrap" / "fullchain.pem")).fingerprint

    def removal(self, **wanted: t.Any) -> Removal:
        return Removal({"name": "one", "revoke": False, "revoke_reason": "superseded", **wanted}, str(self.tls))

    def link(self) -> str:
        return str((self.tls / "one" / "current").readlink())

    def assert_as_before(self) -> None:
        assert self.link() == str(self.live)
        assert (self.live / "privkey.pem").exists()
        assert (self.home / "renewal" / "one.conf").exists()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_pair: Fixture, write: Fixture) -> Host:
    return Host(tmp_path, monkeypatch, make_pair, write)


def test_nothing_there(host: Host) -> None:
    assert Removal({"name": "two"}, str(host.tls)).paths() == []
    assert Removal({"name": "two"}, "/nowhere").paths() == []


def test_done(host: Host, fake_run: Fixture) -> None:
    run, certbot = fake_run(), FakeCertbot(host.home)
    removal = host.removal()
    assert len(removal.paths()) == 4
    removal.remove(run, t.cast("t.Any", certbot), SERVER)
    assert certbot.asked == ["delete --cert-name one"]
    assert host.link() == "bootstrap"
    assert host.removal().paths() == []
    # nginx had the other pair before certbot was asked for anything.
    assert "systemctl reload nginx.service" in run.commands


def test_revoked_at_its_own_server_by_its_own_account(host: Host, fake_run: Fixture) -> None:
    certbot = FakeCertbot(host.home)
    host.removal(revoke=True).remove(fake_run(), t.cast("t.Any", certbot), "https://other.example.com")
    assert certbot.asked == [
        f"revoke --cert-path {host.live}/cert.pem --server {SERVER} --reason superseded --no-delete-after-revoke "
        "--account abc",
        "delete --cert-name one",
    ]


def test_revoked_by_its_key_where_the_account_is_gone(host: Host, fake_run: Fixture) -> None:
    certbot = FakeCertbot(host.home, Words("account_unknown", "x"))
    host.removal(revoke=True).remove(fake_run(), t.cast("t.Any", certbot), SERVER)
    assert certbot.asked[1].endswith(f"--no-delete-after-revoke --key-path {host.live}/privkey.pem")
    assert host.removal().paths() == []


def test_revoked_by_an_earlier_run(host: Host, fake_run: Fixture) -> None:
    certbot = FakeCertbot(host.home, Words("refused", "x", code="alreadyRevoked"))
    host.removal(revoke=True).remove(fake_run(), t.cast("t.Any", certbot), SERVER)
    assert [words.split()[0] for words in certbot.asked] == ["revoke", "delete"]


@pytest.mark.parametrize(
    ("answers", "remedy"),
    [
        ([DOWN], "timed out; run the play again when it answers"),
        (
            [Words("other", "x"), Words("refused", "the CA refused: not yours")],
            "not yours; with revoke: false it is deleted all the same",
        ),
    ],
)
def test_what_is_not_revoked_stays_and_is_served(
    host: Host, fake_run: Fixture, answers: list[Words], remedy: str
) -> None:
    run = fake_run()
    with pytest.raises(ValueError, match="it was not revoked, and so not deleted: the CA .*" + remedy):
        host.removal(revoke=True).remove(run, t.cast("t.Any", FakeCertbot(host.home, *answers)), SERVER)
    host.assert_as_before()
    assert run.commands.count("systemctl reload nginx.service") == 2


def test_certbot_cannot_delete(host: Host, fake_run: Fixture) -> None:
    """The site stays on its own pair: the next run goes on from here."""
    certbot = FakeCertbot(host.home, Words("other", "certbot: no space"))
    with pytest.raises(ValueError, match="it was not deleted: certbot: no space"):
        host.removal().remove(fake_run(), t.cast("t.Any", certbot), SERVER)
    assert host.link() == "bootstrap"
    host.removal().remove(fake_run(), t.cast("t.Any", FakeCertbot(host.home)), SERVER)
    assert host.removal().paths() == []


def test_nginx_does_not_take_it(host: Host, fake_run: Fixture) -> None:
    certbot = FakeCertbot(host.home)
    run = fake_run({"nginx -t": (1, "", "nginx: [emerg] broken\n")})
    with pytest.raises(ValueError, match=r"self-signed pair, and nothing was removed: .*broken"):
        host.removal().remove(run, t.cast("t.Any", certbot), SERVER)
    assert certbot.asked == []
    host.assert_as_before()


def test_nginx_does_not_serve_it(host: Host, fake_run: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage_removal, "served_fingerprint", lambda *_words, **_more: None)
    with pytest.raises(ValueError, match="after a reload it is not served for one"):
        host.removal().remove(fake_run(), t.cast("t.Any", FakeCertbot(host.home)), SERVER)
    host.assert_as_before()


def test_nginx_that_is_stopped_is_not_started(host: Host, fake_run: Fixture) -> None:
    run = fake_run({"systemctl is-active": (3, "", "")})
    host.removal().remove(run, t.cast("t.Any", FakeCertbot(host.home)), SERVER)
    assert host.removal().paths() == []
    assert not [command for command in run.commands if "reload" in command or "start" in command.split()]


def test_a_configuration_by_hand_keeps_the_files(host: Host, fake_run: Fixture) -> None:
    run = fake_run({"nginx -T": (0, f"ssl_certificate {host.live}/fullchain.pem;", "")})
    with pytest.raises(ValueError, match="nginx's configuration names files in "):
        host.removal().remove(run, t.cast("t.Any", FakeCertbot(host.home)), SERVER)
    host.assert_as_before()


def test_a_folder_that_is_not_ours(host: Host, fake_run: Fixture) -> None:
    (host.tls / "one" / "site.json").unlink()
    with pytest.raises(ValueError, match=r"site\.json is not as the role nginx_proxy writes it"):
        host.removal().remove(fake_run(), t.cast("t.Any", FakeCertbot(host.home)), SERVER)
    host.assert_as_before()


def test_a_site_that_is_kept_for_earlier_generations_is_not_waited_for(
    host: Host, fake_run: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"domains": ["one.example.com"], "source": "gone", "was": "certbot"}
    (host.tls / "one" / "site.json").write_text(json.dumps(gone))
    monkeypatch.setattr(lineage_removal, "served_fingerprint", lambda *_words, **_more: None)
    host.removal().remove(fake_run(), t.cast("t.Any", FakeCertbot(host.home)), SERVER)
    assert host.link() == "bootstrap"
