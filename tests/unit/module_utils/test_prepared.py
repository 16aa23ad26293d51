# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which roles' tasks may leave a host alone, because it was seen before that they have nothing to do there."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import app_prepare
from ansible_collections.asgi.deploy.plugins.module_utils.call import Call
from ansible_collections.asgi.deploy.plugins.module_utils.prepared import already_prepared

Fixture = t.Any


def unchanged(call: Call) -> dict[str, t.Any]:
    assert call.check_mode
    return {"changed": False, "install": call.params["packages"], "diff": [{"before": "", "after": ""}]}


def changed(call: Call) -> dict[str, t.Any]:
    return {**unchanged(call), "changed": True}


def warned(call: Call) -> dict[str, t.Any]:
    call.warn("somebody else renews too")
    return unchanged(call)


def refused(call: Call) -> dict[str, t.Any]:
    raise ValueError("masked")


def unreadable(call: Call) -> dict[str, t.Any]:
    raise PermissionError("no")


@pytest.mark.parametrize(
    ("does", "found"),
    [
        (unchanged, {"role": {"changed": False, "install": ["nginx"]}}),
        (changed, {}),
        # Nobody would read it: only the role's own task shows warnings and refusals.
        (warned, {}),
        (refused, {}),
        (unreadable, {}),
    ],
)
def test_only_a_role_with_nothing_to_do_or_say_is_done(
    fake_run: Fixture, does: t.Callable[[Call], dict[str, t.Any]], found: dict[str, t.Any]
) -> None:
    assert already_prepared({"role": {"packages": ["nginx"]}}, fake_run(), {"role": does}) == found


def test_one_role_is_none_of_the_others_business(fake_run: Fixture) -> None:
    wanted: dict[str, dict[str, t.Any]] = {"one": {"packages": []}, "two": {"packages": []}}
    assert list(already_prepared(wanted, fake_run(), {"one": changed, "two": unchanged})) == ["two"]


@pytest.mark.parametrize(
    ("users", "prepared"),
    [([], True), (["root"], True), (["root", "asgi-deploy-nobody"], False)],
)
def test_an_application_needs_its_user(fake_run: Fixture, users: list[str], prepared: bool) -> None:
    run = fake_run({"dpkg-query": (0, "python3-venv ii \n", "")})
    found = already_prepared({"gunicorn_app": {"packages": ["python3-venv", "git"], "users": users}}, run)
    assert ("gunicorn_app" in found) is prepared
    if prepared:
        # apt is the role's own task: that there is something to install is no change of this one.
        assert found["gunicorn_app"]["install"] == ["git"]


def test_a_user_that_cannot_be_made_is_told(fake_run: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_prepare, "is_there", lambda _name: False)
    run = fake_run({"useradd": (1, "", "useradd: cannot lock /etc/passwd\n")})
    with pytest.raises(ValueError, match=r"^useradd failed: useradd: cannot lock /etc/passwd$"):
        app_prepare.prepare_applications(Call({"users": ["notes"], "packages": []}, False, run, print))


def test_a_file_of_certbots_surroundings_that_differs_is_something_to_do(fake_run: Fixture, tmp_path: Path) -> None:
    params = {
        "host": "web1",
        "folders": {str(tmp_path): oct(tmp_path.stat().st_mode & 0o7777)},
        "files": "{}",
        "private": {str(tmp_path / "secret"): "s3cret\n"},
        "packages": [],
        "environment": {"version": None, "plugin": None, "drop_in": ""},
    }
    assert already_prepared({"certbot": params}, fake_run()) == {}
