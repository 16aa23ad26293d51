# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private keys below certbot's folder are for root, whatever a restored backup made of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.certbot_keys import exposed_keys, protect

KEYS = {
    "archive/shop/privkey1.pem": 0o600,
    "archive/shop/privkey12.pem": 0o600,
    "keys/0000_key-certbot.pem": 0o600,
    "accounts/ca.example.com/directory/0123/private_key.json": 0o400,
}
OTHERS = ("archive/shop/cert1.pem", "archive/shop/fullchain1.pem", "renewal/shop.conf", "accounts/ca/dir/1/regr.json")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, mode in [*KEYS.items(), *dict.fromkeys(OTHERS, 0o644).items()]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
        path.chmod(mode)
    (tmp_path / "live/shop").mkdir(parents=True)
    (tmp_path / "live/shop/privkey.pem").symlink_to("../../archive/shop/privkey1.pem")
    return tmp_path


def exposed(home: Path, owner: int | None = None) -> list[str]:
    found = exposed_keys(str(home), os.geteuid() if owner is None else owner)
    return [str(Path(path).relative_to(home)) for path in found]


def test_as_certbot_has_them(home: Path) -> None:
    assert exposed(home) == []
    assert exposed_keys(str(home / "absent")) == []


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(("mode", "after"), [(0o644, 0o640), (0o604, 0o600), (0o777, 0o770), (0o444, 0o440)])
def test_what_anybody_may_read_is_closed(home: Path, name: str, mode: int, after: int) -> None:
    (home / name).chmod(mode)
    assert exposed(home) == [name]
    protect(exposed_keys(str(home), os.geteuid()), os.geteuid())
    assert (home / name).stat().st_mode & 0o7777 == after
    assert exposed(home) == []


def test_a_group_may_read_keys(home: Path) -> None:
    (home / "archive/shop/privkey1.pem").chmod(0o640)
    assert exposed(home) == []


def test_another_owner_is_found(home: Path) -> None:
    # Whoever runs this is not that user.
    assert exposed(home, owner=os.geteuid() + 1) == sorted(KEYS)
