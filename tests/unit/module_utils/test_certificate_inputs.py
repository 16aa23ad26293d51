# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host has to say of certbot's variables, in the words that a user sees."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import input_checks
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_venv import Environments
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import problems_of, read_certificate

MakePair = t.Callable[..., Path]
Params = dict[str, t.Any]

TRIALS = "https://trials.example.com/dir"
SERVERS = {"valid": "https://ca.example.com/dir", "trial": None}


def bookworm(command: list[str], environ_update: Params | None = None) -> tuple[int, str, str]:
    """Stand for a Debian 12 with certbot's package and no other of these."""
    if command[0] == "dpkg-query":
        return (0, "ii 2.1.0-4", "") if command[-1] == "certbot" else (1, "", "")
    return 0, "certbot:\n  Candidate: 2.1.0-4\n", ""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., list[str]]:
    monkeypatch.setattr(input_checks, "replaced_by_staging", lambda name, _server: SERVERS[name])

    def ask(named: t.Sequence[Params] = (), staging: Params | None = None) -> list[str]:
        params = {"pairs": [], "named": named, "staging": staging}
        return list(input_checks.problems(params, bookworm))

    return ask


@pytest.mark.parametrize(
    ("kind", "value", "accepted"),
    [
        ("profile", "shortlived",
         "no value with certbot 2.1.0, which this host has; 4.0 or later knows profiles (certbot_version)"),
        ("dns_plugin", "ovh",
         "a plugin that this host's distribution has a package of, or this one with certbot_version, from PyPI"),
        ("folder", "/nonexistent", "a folder that is on the host"),
        ("folder", "/etc", None),
        ("authorities", "/nonexistent", "a file that is on the host, with certificates in PEM form"),
        ("authorities", "/etc/passwd", "a file that is on the host, with certificates in PEM form"),
    ],
)  # fmt: skip
def test_named(said: t.Callable[..., list[str]], kind: str, value: str, accepted: str | None) -> None:
    found = said([{"kind": kind, "path": "certbot_x", "value": value}])
    assert found == ([] if accepted is None else [f'certbot_x: "{value}" is refused; accepted: {accepted}'])


def test_a_pair_that_will_soon_have_expired(make_pair: MakePair, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_pair("a.example.com")
    certificate = str(folder / "fullchain.pem")
    pair = {"path": "x.tls", "certificate": certificate, "key": str(folder / "privkey.pem"), "domains": []}
    assert input_checks.pair_warnings([pair]) == []
    ends = read_certificate(certificate).not_after
    monkeypatch.setattr("time.time", lambda: ends - 100_000)
    # Two sites can have the same.
    [warning] = input_checks.pair_warnings([pair, pair])
    assert warning.startswith(f"{certificate} expires on ")
    assert warning.endswith(", in 27 hours, and nothing here renews it")


@pytest.mark.parametrize(("ahead", "refused"), [(290, False), (310, True)])
def test_a_pair_that_is_not_valid_yet(
    make_pair: MakePair, monkeypatch: pytest.MonkeyPatch, ahead: int, refused: bool
) -> None:
    """Browsers would refuse it. Some minutes are only a difference of two clocks."""
    folder = make_pair("a.example.com")
    certificate, key = (str(folder / f"{name}.pem") for name in ("fullchain", "privkey"))
    pair = {"path": "x.tls", "certificate": certificate, "key": key, "domains": ["a.example.com"]}
    begins = read_certificate(certificate).not_before
    monkeypatch.setattr("time.time", lambda: begins - ahead)
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(begins))
    line = (
        f"x.tls.certificate: {certificate} is valid from {when} on; accepted: a pair that is on the host, matches, is "
        "valid and covers a.example.com"
    )
    assert input_checks.pair_problem(pair) == (line if refused else None)
    # What certbot got stays in use: the host's clock is wrong, and another order would not mend that.
    assert problems_of(certificate, key, []) == []


def test_a_place_that_is_taken(
    said: t.Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    link = tmp_path / "certbot"
    monkeypatch.setattr(input_checks, "Environments", lambda: Environments(str(tmp_path / "own"), str(link)))
    asked = [{"kind": "own_certbot", "path": "certbot_version", "value": "5.8.0"}]
    assert said(asked) == []
    link.touch()
    assert said(asked) == [
        'certbot_version: "5.8.0" is refused; accepted: no value, or a host where its place is free: '
        f"{link} is there already, and is not of this collection"
    ]


def test_a_trial_in_a_valid_certificates_place(said: t.Callable[..., list[str]]) -> None:
    assert said(staging={"server": TRIALS, "certificates": ["trial"]}) == []
    assert said(staging={"server": TRIALS, "certificates": ["trial", "valid"]}) == [
        "certbot_staging: true is refused; accepted: false, as long as valid has a valid certificate from "
        "https://ca.example.com/dir: what is for trials does not take its place"
    ]
