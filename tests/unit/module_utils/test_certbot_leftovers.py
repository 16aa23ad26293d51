# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials that nothing needs any more, and what renews beside the timer."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.certbot_leftovers import (
    other_renewers,
    remove_unused_credentials,
    unused_credentials,
)

Write = t.Callable[[Path, str], Path]

FILES = ("dns-rfc2136.ini", "dns-google.json", "dns-route53.ini", "eab.ini", "dns-rfc2136.ini.bak")


@pytest.mark.parametrize(
    ("keep", "authenticators", "unused"),
    [
        ([], [], ["dns-google.json", "dns-rfc2136.ini", "dns-route53.ini"]),
        (["dns-rfc2136.ini"], [], ["dns-google.json", "dns-route53.ini"]),
        # A lineage that the inventory does not have any more goes on to be renewed.
        ([], ["dns-rfc2136", "webroot"], ["dns-google.json", "dns-route53.ini"]),
        # The renewal file of this one does not name its credentials: the unit does.
        (["dns-google.json"], ["dns-route53"], ["dns-rfc2136.ini"]),
    ],
)
def test_credentials(
    tmp_path: Path, write: Write, keep: list[str], authenticators: list[str], unused: list[str]
) -> None:
    folder, renewal = tmp_path / "credentials", tmp_path / "renewal"
    for name in FILES:
        write(folder / name, "secret")
    for authenticator in authenticators:
        write(renewal / f"{authenticator}.conf", f"[renewalparams]\nauthenticator = {authenticator}\nserver = x\n")
    kept = [str(folder / name) for name in keep]
    assert unused_credentials(kept, str(folder), str(renewal)) == [str(folder / name) for name in unused]
    assert remove_unused_credentials(kept, str(folder), str(renewal)) is True
    assert {path.name for path in folder.iterdir()} == set(FILES) - set(unused)
    assert remove_unused_credentials(kept, str(folder), str(renewal)) is False


def test_a_host_without_any(tmp_path: Path) -> None:
    assert remove_unused_credentials([], str(tmp_path / "none"), str(tmp_path / "none either")) is False


DEBIANS = (
    "# certbot renew, twice a day\n"
    "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew\n"
)


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("etc/cron.d/certbot", DEBIANS, []),
        ("etc/cron.d/certbot", "0 3 * * * root certbot renew -q\n", ["/etc/cron.d/certbot"]),
        ("etc/crontab", "17 * * * * root cd / && run-parts /etc/cron.hourly\n", []),
        ("etc/crontab", "@daily root /opt/certbot/bin/certbot -q renew\n", ["/etc/crontab"]),
        ("var/spool/cron/crontabs/root", "1 1 * * * certbot-auto renew\n", ["/var/spool/cron/crontabs/root"]),
        ("var/spool/cron/crontabs/root", "#1 1 * * * certbot renew\n", []),
        ("var/spool/cron/crontabs/root", "1 1 * * * certbot certificates\n", []),
        ("etc/cron.weekly/letsencrypt", "#!/bin/sh\nexec certbot renew\n", ["/etc/cron.weekly/letsencrypt"]),
        ("etc/systemd/system/timers.target.wants/certbot.timer", "", []),
        ("etc/systemd/system/timers.target.wants/snap.certbot.renew.timer", "", ["snap.certbot.renew.timer"]),
        # Not enabled.
        ("etc/systemd/system/snap.certbot.renew.timer", "", []),
    ],
)
def test_what_renews_beside_the_timer(tmp_path: Path, write: Write, path: str, text: str, found: list[str]) -> None:
    write(tmp_path / path, text)
    assert other_renewers(str(tmp_path)) == found
