# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot's accounts: which one is used, and what happens where a server forgot it."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import acme_account
from ansible_collections.asgi.deploy.plugins.module_utils.acme_account import (
    account_of,
    account_options,
    accounts_at,
    adopt,
    orphans_at,
    recover,
)
from ansible_collections.asgi.deploy.plugins.module_utils.ca_words import Words

Fixture = t.Any

SERVER = "https://ca.example.com:14000/dir"
OTHER = "https://other.example.com/acme/v2"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(acme_account, "HOME", str(tmp_path))
    return tmp_path


def account(home: Path, name: str, created: str = "2026-01-01T00:00:00Z", server: str = SERVER) -> Path:
    folder = home / "accounts" / server[len("https://") :] / name
    folder.mkdir(parents=True)
    for file in ("meta.json", "private_key.json", "regr.json"):
        (folder / file).write_text(json.dumps({"creation_dt": created}))
    return folder


def renewal(home: Path, name: str, account: str, server: str = SERVER) -> Path:
    path = home / "renewal" / f"{name}.conf"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"# kept\n[renewalparams]\naccount = {account}\nserver = {server}\n")
    return path


def used(path: Path) -> str:
    return path.read_text().split("account = ")[1].split("\n")[0]


def test_none(home: Path) -> None:
    assert accounts_at(SERVER) == []
    assert account_of(SERVER) is None
    assert account_options(SERVER) == []
    # A folder that certbot had no time to fill is no account.
    (home / "accounts/ca.example.com:14000/dir/half").mkdir(parents=True)
    assert accounts_at(SERVER) == []


def test_of_several_the_one_that_renewals_use(home: Path) -> None:
    account(home, "old", "2025-01-01T00:00:00Z")
    assert account_options(SERVER) == []
    account(home, "new", "2026-01-01T00:00:00Z")
    account(home, "elsewhere", server=OTHER)
    # certbot would ask which, and there is nobody to answer.
    assert account_options(SERVER) == ["--account", "new"]
    renewal(home, "one", "old")
    renewal(home, "two", "new", OTHER)
    assert account_options(SERVER) == ["--account", "old"]


def test_renewals_whose_account_is_gone_get_the_one_that_is_there(home: Path) -> None:
    gone, kept = renewal(home, "one", "gone"), renewal(home, "two", "here")
    other = renewal(home, "three", "gone", OTHER)
    # Where there is no account, the next order makes one.
    assert orphans_at(SERVER) == []
    account(home, "here")
    assert [item.path for item in orphans_at(SERVER)] == [str(gone)]
    assert adopt(SERVER) == ["one"]
    assert [used(gone), used(kept), used(other)] == ["here", "here", "gone"]
    assert gone.read_text().startswith("# kept\n")
    assert adopt(SERVER) == []


def test_recovery(home: Path) -> None:
    old = account(home, "old")
    lineages = [renewal(home, name, "old") for name in ("one", "two")]
    other = renewal(home, "three", "old", OTHER)

    def register() -> None:
        # certbot refuses to register where it has an account already.
        assert not old.exists()
        account(home, "new")

    recover(register, SERVER)
    assert accounts_at(SERVER) == ["new"]
    assert [used(path) for path in (*lineages, other)] == ["new", "new", "old"]
    [kept] = (home / "asgi-deploy" / "forgotten-accounts").iterdir()
    assert (kept / "old" / "private_key.json").exists()
    assert (home / "asgi-deploy" / "forgotten-accounts").stat().st_mode & 0o077 == 0


def refuse(home: Path) -> Words:
    return Words("refused", "the CA refused: no binding")


def half(home: Path) -> Words:
    (home / "accounts/ca.example.com:14000/dir/half").mkdir(parents=True)
    return Words("other", "certbot: disk full")


@pytest.mark.parametrize(("register", "said"), [(refuse, "no binding"), (half, "disk full"), (lambda home: None, "no")])
def test_a_failed_recovery_leaves_all_as_it_was(home: Path, register: t.Callable[[Path], t.Any], said: str) -> None:
    account(home, "old")
    path = renewal(home, "one", "old")
    with pytest.raises(ValueError, match=said):
        recover(lambda: register(home), SERVER)
    assert accounts_at(SERVER) == ["old"]
    assert sorted(item.name for item in (home / "accounts/ca.example.com:14000/dir").iterdir()) == ["old"]
    assert used(path) == "old"


def test_a_recovery_without_an_account(home: Path) -> None:
    """The one before was killed when it had moved the account away."""
    recover(lambda: (account(home, "new"), None)[1], SERVER)
    assert accounts_at(SERVER) == ["new"]
