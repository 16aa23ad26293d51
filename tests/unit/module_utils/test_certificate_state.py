# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program is told and what it says, whatever somebody has made of the files."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.certificate_state import Config, Store, read_config, textfile
from ansible_collections.asgi.deploy.plugins.module_utils.certificate_status import table

STATE: dict[str, t.Any] = {
    "checked_at": 1795230040,
    "problems": ["blog: there is no certificate yet: run the playbook, which orders it"],
    "renewal": {"at": 1795230000, "ok": False, "words": "the CA could not be reached", "account_unknown": False},
    "certificates": {
        "shop": {
            "names": ["shop.example.com"],
            "issuer": "Some CA",
            "not_before": 1795230000,
            "not_after": 1803006000,
            "renew_at": 1800414000,
            "fingerprint": "aa",
            "sites": {"shop": {"serves": "certbot", "served": "aa"}, 'a"b': {"serves": "other", "served": "bb"}},
            "problems": [],
        },
        "blog": {
            "names": [],
            "issuer": None,
            "not_before": None,
            "not_after": None,
            "renew_at": None,
            "fingerprint": None,
            "sites": {"blog": {"serves": "bootstrap", "served": None}},
            "problems": ["there is no certificate yet"],
        },
    },
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "home"), str(tmp_path / "ansible/facts.d/it.fact"), str(tmp_path / "collector"))


def test_a_host_without_the_file_has_nothing_but_the_default_folder(tmp_path: Path) -> None:
    assert read_config(str(tmp_path / "absent.json")) == Config()
    assert Config().tls_dir == "/etc/nginx/tls"
    assert Config().certificates is None


def test_what_a_newer_role_has_written_beside_it_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"tls_dir": "/tls", "certificates": [], "later": 1}), encoding="utf-8")
    assert read_config(str(path)) == Config(tls_dir="/tls", certificates=[])


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_a_file_that_is_not_the_roles_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="is not as the role certbot writes it") as caught:
        read_config(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7"])
def test_a_spoilt_state_is_as_good_as_none(store: Store, tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "home").mkdir()
        (tmp_path / "home/state.json").write_text(text, encoding="utf-8")
    assert store.read("state") == {}


def test_it_is_published_for_all_who_ask(store: Store, tmp_path: Path) -> None:
    (tmp_path / "collector").mkdir()
    assert store.publish(STATE, None) == []
    assert store.read("state") == STATE
    fact = tmp_path / "ansible/facts.d/it.fact"
    assert json.loads(fact.read_text(encoding="utf-8")) == STATE
    # An executable fact would be run.
    assert fact.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "home/state.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "collector/asgi_deploy_certificates.prom").stat().st_mode & 0o777 == 0o644


def test_without_a_collector_there_is_no_textfile(store: Store, tmp_path: Path) -> None:
    assert store.publish(STATE, None) == []
    assert not (tmp_path / "collector").exists()


def test_what_cannot_be_written_keeps_nothing_else_from_it(store: Store, tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "home")
    complaints = store.publish(STATE, str(tmp_path / "absent"))
    assert [complaint.partition(":")[0] for complaint in complaints] == [
        "the state was not written down",
        "the metrics were not written down",
    ]
    assert (tmp_path / "ansible/facts.d/it.fact").exists()


def test_prometheus_reads_it() -> None:
    lines = textfile(STATE).splitlines()
    assert 'asgi_deploy_certificate_not_after_timestamp_seconds{certificate="shop"} 1803006000' in lines
    assert 'asgi_deploy_certificate_renew_at_timestamp_seconds{certificate="shop"} 1800414000' in lines
    assert 'asgi_deploy_certificate_served{certificate="shop",site="shop"} 1' in lines
    assert 'asgi_deploy_certificate_served{certificate="shop",site="a\\"b"} 0' in lines
    # That there is none and nothing is served is not the same fingerprint.
    assert 'asgi_deploy_certificate_served{certificate="blog",site="blog"} 0' in lines
    assert not [line for line in lines if "not_after" in line and "blog" in line]
    assert "asgi_deploy_certificates_problems 1" in lines
    assert "asgi_deploy_certificates_checked_timestamp_seconds 1795230040" in lines
    assert "asgi_deploy_certificates_renewal_ok 0" in lines


def test_before_the_first_renewal_nothing_is_said_of_it() -> None:
    assert "certificates_renewal" not in textfile({**STATE, "renewal": None})


def test_each_metric_is_described_once_and_its_samples_stay_together() -> None:
    # Prometheus refuses the whole file otherwise.
    seen: list[str] = []
    for line in textfile(STATE).splitlines():
        name = line.split()[2] if line.startswith("#") else line.partition("{")[0].partition(" ")[0]
        if not seen or seen[-1] != name:
            seen.append(name)
    assert len(seen) == len(set(seen))


def test_the_table_for_people() -> None:
    assert table(STATE).splitlines() == [
        "CERTIFICATE  NAMES             VALID UNTIL           RENEWED FROM          SITES",
        "blog         -                 -                     -                     blog (does not answer)",
        'shop         shop.example.com  2027-02-19 03:00 UTC  2027-01-20 03:00 UTC  a"b (serves another one), shop',
        "",
        "last renewal: 2026-11-21 03:00 UTC, failed: the CA could not be reached",
        "",
        "problems:",
        "  blog: there is no certificate yet: run the playbook, which orders it",
    ]


def test_a_table_of_nothing() -> None:
    state = {**STATE, "certificates": {}, "problems": [], "renewal": None}
    assert table(state).splitlines() == [
        "no certificates",
        "",
        "last renewal: certbot.service has not run yet",
        "",
        "all is well",
    ]
