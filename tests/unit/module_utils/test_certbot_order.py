# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How certbot is called, and that the external account's key is on no command line."""

from __future__ import annotations

import os
import re
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import acme_account, certbot_order, lineage
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_order import Certbot
from ansible_collections.asgi.deploy.plugins.module_utils.lineage import Lineage

Fixture = t.Any

SERVER = "https://ca.example.com/dir"
PARAMS: dict[str, t.Any] = {
    "certbot": "/usr/bin/certbot", "environment": {"REQUESTS_CA_BUNDLE": "/etc/ca.pem"}, "email": None, "eab_kid": None,
    "eab_hmac_key": None, "staging": False, "webroot": "/var/www/acme", "dns": None,
}  # fmt: skip
WANTED: dict[str, t.Any] = {
    "name": "notes", "domains": ["notes.example.com", "www.example.com"], "challenge": "webroot", "key_type": "ecdsa",
    "elliptic_curve": "secp256r1", "rsa_key_size": None, "profile": None,
}  # fmt: skip
EAB = {"eab_kid": "kid-1", "eab_hmac_key": "very-secret-key"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (acme_account, lineage):
        monkeypatch.setattr(module, "HOME", str(tmp_path / "letsencrypt"))
    monkeypatch.setattr(certbot_order, "LOG", str(tmp_path / "letsencrypt.log"))
    monkeypatch.setattr(certbot_order, "LOCKS", str(tmp_path / "run"))
    monkeypatch.setattr(certbot_order, "_PAUSE", 0.01)
    return tmp_path / "letsencrypt"


@pytest.fixture
def have(home: Path, make_pair: Fixture, write: Fixture) -> None:
    shutil.copytree(make_pair("notes.example.com"), home / "live" / "notes")
    write(home / "renewal" / "notes.conf", "[renewalparams]\nserver = https://old.example.com\nreuse_key = True\n")


def ordered(run: t.Any, rehearsal: bool = False, params: t.Any = None, **wanted: t.Any) -> str:
    certbot = Certbot(run, {**PARAMS, **(params or {})})
    assert certbot.order(Lineage({**WANTED, **wanted}), SERVER, rehearsal=rehearsal) is None
    command: str = run.commands[-1]
    return command


def test_a_first_order(fake_run: Fixture) -> None:
    run = fake_run()
    assert ordered(run) == (
        "/usr/bin/certbot certonly --cert-name notes --server https://ca.example.com/dir --agree-tos "
        "--register-unsafely-without-email --key-type ecdsa --elliptic-curve secp256r1 --authenticator webroot "
        "--webroot-path /var/www/acme --domain notes.example.com --domain www.example.com --non-interactive"
    )
    # The program runs once, after all orders.
    assert run.environments == [{"REQUESTS_CA_BUNDLE": "/etc/ca.pem", "ASGI_DEPLOY_AFTERWARDS": "1"}]


@pytest.mark.parametrize(
    ("params", "wanted", "words"),
    [
        ({"email": "ops@example.com"}, {}, "--email ops@example.com --no-eff-email"),
        ({}, {"key_type": "rsa", "elliptic_curve": None, "rsa_key_size": 3072}, "--key-type rsa --rsa-key-size 3072"),
        ({}, {"profile": "shortlived"}, "--required-profile shortlived"),
        ({}, {"challenge": "standalone"}, "--authenticator standalone"),
    ],
)
def test_what_the_inventory_says(
    fake_run: Fixture, params: dict[str, t.Any], wanted: dict[str, t.Any], words: str
) -> None:
    assert f" {words} " in ordered(fake_run(), params=params, **wanted)


def test_an_order_for_a_lineage_that_is_there(fake_run: Fixture, have: None) -> None:
    """Without --force-renewal certbot keeps a valid certificate of another server."""
    command = ordered(fake_run())
    assert " --force-renewal " in command
    assert "--break-my-certs" not in command
    # The key that is kept would stay of the size that it has.
    rsa = "Public Key Algorithm: rsaEncryption\n Public-Key: (2048 bit)\n"
    run = fake_run({"openssl": (0, rsa, "")})
    assert " --new-key " in ordered(run)
    assert " --break-my-certs " in ordered(fake_run(), params={"staging": True})


def test_a_rehearsal(fake_run: Fixture, have: None) -> None:
    command = ordered(fake_run(), rehearsal=True)
    assert " --dry-run " in command
    assert "--force-renewal" not in command


def test_a_rehearsal_for_another_key(fake_run: Fixture, have: None) -> None:
    """certbot refuses another type of key for a lineage that keeps its own, whatever is kept of the order."""
    rsa = "Public Key Algorithm: rsaEncryption\n Public-Key: (2048 bit)\n"
    assert " --new-key " in ordered(fake_run({"openssl": (0, rsa, "")}), rehearsal=True)


def test_the_key_of_the_external_account_is_in_a_file(fake_run: Fixture, tmp_path: Path) -> None:
    seen = []

    def run(command: list[str], environ_update: dict[str, str]) -> tuple[int, str, str]:
        path = command[command.index("--config") + 1]
        seen.append((Path(path).read_text(), os.stat(path).st_mode & 0o777))
        assert EAB["eab_hmac_key"] not in " ".join([*command, *environ_update.values()])
        return 1, "", "refused"

    problem = Certbot(run, {**PARAMS, **EAB}).order(Lineage(WANTED), SERVER)
    assert problem is not None
    assert seen == [("eab-kid = kid-1\neab-hmac-key = very-secret-key\n", 0o600)]
    assert list((tmp_path / "run").iterdir()) == []


def test_it_is_not_there_where_nothing_is_registered(fake_run: Fixture) -> None:
    run = fake_run()
    Certbot(run, {**PARAMS, **EAB}).ask(["delete", "--cert-name", "notes"])
    assert run.commands == ["/usr/bin/certbot delete --cert-name notes --non-interactive"]


def test_another_certbot_is_waited_for(fake_run: Fixture) -> None:
    answers = [(1, "", "Another instance of Certbot is already running.\n")] * 3 + [(0, "", "")]
    assert Certbot(lambda *_words, **_more: answers.pop(0), PARAMS).ask(["delete"]) is None
    assert answers == []


def test_not_for_ever(fake_run: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certbot_order, "PATIENCE", 0)
    run = fake_run({"/usr/bin/certbot": (1, "", "Another instance of Certbot is already running.\n")})
    problem = Certbot(run, PARAMS).ask(["delete"])
    assert problem is not None
    assert problem.kind == "busy"


def test_the_log_of_an_earlier_run_is_no_answer(fake_run: Fixture, tmp_path: Path) -> None:
    old = (
        "2026-11-20 11:00:00,000:DEBUG:certbot:certbot version: 2.1.0\n"
        "2026-11-20 11:00:00,000:DEBUG:acme.client:Received response:\nHTTP 400\nA: b\n\n"
        '{"type": "urn:ietf:params:acme:error:malformed", "detail": "old"}\n'
    )
    (tmp_path / "letsencrypt.log").write_text(old)
    run = fake_run({"/usr/bin/certbot": (1, "", "/srv does not exist or is not a directory\n")})
    problem = Certbot(run, PARAMS).ask(["certonly"])
    assert problem is not None
    assert problem.text == "certbot: /srv does not exist or is not a directory"

    def appending(*_words: t.Any, **_more: t.Any) -> tuple[int, str, str]:
        # A log that was rotated is shorter than before.
        (tmp_path / "letsencrypt.log").write_text(re.sub("old", "n", old))
        return 1, "", ""

    problem = Certbot(appending, PARAMS).ask(["certonly"])
    assert problem is not None
    assert problem.text == "the CA refused: n"
