# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of a run of certbot.service, by what systemd and certbot's log say of it."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import certificate_renewal
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_renewal import (
    is_stopping,
    note_of,
    problem_of,
    recovered,
)
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_state import Config

SERVER = "https://ca.example.com/dir"
BEFORE = {"at": 1, "ok": True, "words": "", "account_unknown": False}
FAILED = {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "1"}

REFUSED = (
    "2026-11-21 03:00:00,000:DEBUG:certbot._internal.main:certbot version: 4.0.0\n"
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='ca'): Max retries exceeded with url: /dir "
    "(Caused by NewConnectionError('<object at 0x7f>: Failed to establish a new connection: "
    "[Errno 111] Connection refused'))\n"
)
UNKNOWN = (
    "2026-11-21 03:00:00,000:DEBUG:certbot._internal.main:certbot version: 4.0.0\n"
    "2026-11-21 03:00:00,000:DEBUG:acme.client:Sending POST request to https://ca.example.com/order:\n{}\n"
    "2026-11-21 03:00:00,001:DEBUG:acme.client:Received response:\nHTTP 400\n"
    "Content-Type: application/problem+json\n\n"
    '{"type": "urn:ietf:params:acme:error:accountDoesNotExist", "detail": "Account not found", "status": 400}\n'
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "letsencrypt.log"


def note(environment: dict[str, str], log: Path, run: t.Any) -> t.Any:
    return note_of(environment, run, BEFORE, SERVER, str(log))


@pytest.fixture
def started(fake_run: t.Any) -> t.Callable[[float], t.Any]:
    """Return a stand-in for systemctl that says when certbot.service was started."""
    return lambda at: fake_run({"systemctl show": (0, f"@{at:.0f}\n", "")})


def test_a_success(log: Path, fake_run: t.Any) -> None:
    told = note({"SERVICE_RESULT": "success", "EXIT_CODE": "exited", "EXIT_STATUS": "0"}, log, fake_run())
    assert (told["ok"], told["words"], told["account_unknown"]) == (True, "", False)
    assert abs(told["at"] - time.time()) < 5
    assert problem_of(told) is None


@pytest.mark.parametrize(
    "environment",
    [{}, {"SERVICE_RESULT": "success", "EXIT_CODE": "killed", "EXIT_STATUS": "TERM"}],
)
def test_what_says_nothing_changes_nothing(log: Path, fake_run: t.Any, environment: dict[str, str]) -> None:
    assert note(environment, log, fake_run()) == BEFORE


def test_the_cas_words_and_its_address(log: Path, started: t.Any) -> None:
    log.write_text(REFUSED, encoding="utf-8")
    told = note(FAILED, log, started(time.time() - 10))
    assert told["words"] == f"the CA could not be reached: [Errno 111] Connection refused ({SERVER})"
    assert told["ok"] is False
    problem = problem_of(told) or ""
    assert problem.startswith("the last renewal failed on 20")
    assert problem.endswith("; its timer tries again, or now: systemctl start certbot.service")


def test_an_account_that_the_ca_has_forgotten(log: Path, started: t.Any) -> None:
    log.write_text(UNKNOWN, encoding="utf-8")
    told = note(FAILED, log, started(time.time() - 10))
    assert told["account_unknown"] is True
    assert "the next run of the playbook registers anew" in (problem_of(told) or "")
    assert told["server"] == SERVER


def test_an_account_that_another_ca_has_forgotten(log: Path, started: t.Any) -> None:
    """That of a lineage by hand, for instance: the account at the inventory's server is good, and stays."""
    log.write_text(UNKNOWN.replace("ca.example.com", "other.example.com"), encoding="utf-8")
    told = note(FAILED, log, started(time.time() - 10))
    assert told["account_unknown"] is False
    assert told["words"] == "the CA does not know the account: Account not found (other.example.com:443)"
    assert "registers anew" not in (problem_of(told) or "")


@pytest.mark.parametrize("there", [True, False])
def test_the_log_of_a_run_before_says_nothing(
    log: Path, started: t.Any, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate_renewal, "who", lambda: None)
    if there:
        log.write_text(REFUSED, encoding="utf-8")
        os.utime(log, (time.time() - 3600,) * 2)
    told = note(FAILED, log, started(time.time() - 10))
    assert told["words"] == "certbot ended with 1 (exit-code) and wrote no log"


def test_another_certbot_in_the_way_is_named(log: Path, started: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_renewal, "who", lambda: "process 12, certbot certonly")
    told = note(FAILED, log, started(time.time()))
    assert told["words"] == "another certbot is running on this host: process 12, certbot certonly"


class FakeCertbot:
    """Stands for certbot, which registers at once or not at all."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem
        self.servers: list[str] = []
        self.params: dict[str, t.Any] = {}

    def __call__(self, _run: t.Any, params: dict[str, t.Any]) -> FakeCertbot:
        self.params = params
        return self

    def recover(self, server: str) -> None:
        self.servers.append(server)
        if self.problem:
            raise ValueError(self.problem)


ACCOUNT = {"certbot": "/usr/bin/certbot", "email": "ops@example.com", "external": False}
FORGOTTEN = {
    "at": 9, "ok": False, "words": "the CA does not know the account", "account_unknown": True, "server": SERVER,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "config"),
    [
        (None, Config(server=SERVER, account=ACCOUNT)),
        (BEFORE, Config(server=SERVER, account=ACCOUNT)),
        (FORGOTTEN, Config(server=SERVER)),
        (FORGOTTEN, Config(account=ACCOUNT)),
        # The inventory's has changed since.
        (FORGOTTEN, Config(server="https://new.example.com/dir", account=ACCOUNT)),
        # A new one needs the key that only the inventory has.
        (FORGOTTEN, Config(server=SERVER, account={**ACCOUNT, "external": True})),
    ],
)
def test_where_nobody_registers_anew(
    fake_run: t.Any, monkeypatch: pytest.MonkeyPatch, given: dict[str, t.Any] | None, config: Config
) -> None:
    certbot = FakeCertbot()
    monkeypatch.setattr(certificate_renewal, "Certbot", certbot)
    assert recovered(given, config, fake_run()) == given
    assert certbot.servers == []


def test_a_new_account(fake_run: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    certbot = FakeCertbot()
    monkeypatch.setattr(certificate_renewal, "Certbot", certbot)
    told = recovered(dict(FORGOTTEN), Config(server=SERVER, account=ACCOUNT), fake_run())
    assert certbot.servers == [SERVER]
    assert (certbot.params["certbot"], certbot.params["email"]) == ("/usr/bin/certbot", "ops@example.com")
    # The renewal has failed all the same, and the timer's next run makes up for it.
    assert told == {
        **FORGOTTEN,
        "account_unknown": False,
        "words": "the CA does not know the account; there is a new one now",
    }


def test_a_new_account_that_is_not_to_be_had(fake_run: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_renewal, "Certbot", FakeCertbot("the CA is down"))
    told = recovered(dict(FORGOTTEN), Config(server=SERVER, account=ACCOUNT), fake_run())
    assert told == {**FORGOTTEN, "words": "the CA does not know the account; the CA is down"}


@pytest.mark.parametrize(("state", "stopping"), [("stopping", True), ("running", False), ("degraded", False)])
def test_a_host_that_goes_down(fake_run: t.Any, state: str, stopping: bool) -> None:
    assert is_stopping(fake_run({"systemctl is-system-running": (0, state + "\n", "")})) is stopping
