# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot's renewal files, read and changed in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.renewal_file import RenewalFile

# As certbot 2.1 and 4.0 write it.
WRITTEN = """\
# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/one
fullchain = /etc/letsencrypt/live/one/fullchain.pem

# Options used in the renewal process
[renewalparams]
account = 410c56c99b24f5b930bdfec111faaecc
server = https://localhost:14000/dir
authenticator = webroot
webroot_path = /var/www/acme,
key_type = ecdsa
[[webroot_map]]
b.example.test = /var/www/acme
a.example.test = /var/www/acme
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "one.conf").write_text(WRITTEN)
    return str(tmp_path / "one.conf")


def test_values(path: str) -> None:
    read = RenewalFile(path)
    assert read.get("server") == "https://localhost:14000/dir"
    assert read.get("webroot_path") == "/var/www/acme,"
    assert read.get("archive_dir") == "/etc/letsencrypt/archive/one"
    # What is commented out is no setting, and a host name is none either.
    assert read.get("renew_before_expiry") is None
    assert read.get("a.example.test") is None
    assert read.webroots() == {"a.example.test": "/var/www/acme", "b.example.test": "/var/www/acme"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("server=x", "x"), ("  server  =   x  ", "x"), ('server = "x, y"', "x, y"), ("server = 'x'", "x"),
        ("server = x # why", "x"), ("server = x#y", "x#y"), ("server =", ""), ("#server = x", None),
    ],
)  # fmt: skip
def test_syntax(tmp_path: Path, line: str, value: str | None) -> None:
    (tmp_path / "one.conf").write_text("[renewalparams]\n" + line + "\n")
    assert RenewalFile(str(tmp_path / "one.conf")).get("server") == value


def test_nothing_changes_by_itself(path: str) -> None:
    read = RenewalFile(path)
    assert read.text == WRITTEN
    read.set("server", "https://localhost:14000/dir")
    read.set_webroots(read.webroots())
    assert not read.write()


def test_a_changed_value_stays_in_its_place(path: str) -> None:
    read = RenewalFile(path)
    read.set("account", r"new \1")
    assert read.write()
    assert Path(path).read_text() == WRITTEN.replace("410c56c99b24f5b930bdfec111faaecc", r"new \1")
    assert not read.write()


def test_a_comment_behind_a_value_stays(tmp_path: Path) -> None:
    path = tmp_path / "one.conf"
    path.write_text("[renewalparams]\naccount = old  # of the test\n")
    read = RenewalFile(str(path))
    read.set("account", "new")
    assert read.text == "[renewalparams]\naccount = new  # of the test\n"


def test_the_threshold_comes_before_the_sections(path: str) -> None:
    read = RenewalFile(path)
    read.set("renew_before_expiry", "720 hours", None)
    lines = read.text.splitlines()
    assert lines.index("renew_before_expiry = 720 hours") < lines.index("[renewalparams]")
    assert read.get("renew_before_expiry") == "720 hours"


def test_from_webroot_to_dns_and_back(path: str) -> None:
    read = RenewalFile(path)
    read.set("authenticator", "dns-rfc2136")
    read.set("dns_rfc2136_credentials", "/etc/letsencrypt/asgi-deploy/dns-rfc2136.ini")
    read.remove("webroot_path")
    read.set_webroots({})
    head, _params = WRITTEN.split("[renewalparams]\n")
    assert read.text == head + (
        "[renewalparams]\n"
        "account = 410c56c99b24f5b930bdfec111faaecc\n"
        "server = https://localhost:14000/dir\n"
        "authenticator = dns-rfc2136\n"
        "key_type = ecdsa\n"
        "dns_rfc2136_credentials = /etc/letsencrypt/asgi-deploy/dns-rfc2136.ini\n"
    )
    read.set("authenticator", "webroot")
    read.remove("dns_rfc2136_credentials")
    read.set("webroot_path", "/srv/acme,")
    read.set_webroots({"b.example.test": "/srv/acme", "a.example.test": "/srv/acme"})
    assert sorted(read.text.splitlines()) == sorted(WRITTEN.replace("/var/www/acme", "/srv/acme").splitlines())
    assert read.text.endswith("[[webroot_map]]\nb.example.test = /srv/acme\na.example.test = /srv/acme\n")


def test_the_settings_of_certbot_stay_before_its_map(path: str) -> None:
    """In ConfigObj what follows a section's head belongs to it: behind the map, it would be a host name."""
    read = RenewalFile(path)
    read.set("preferred_profile", "shortlived")
    assert read.get("preferred_profile") == "shortlived"
    assert "preferred_profile" not in read.webroots()


def test_quotes_where_the_syntax_needs_them(tmp_path: Path) -> None:
    path = tmp_path / "one.conf"
    for value in ("a, b", "a # b", "it's", 'say "a"'):
        path.write_text("[renewalparams]\nserver = x\n")
        read = RenewalFile(str(path))
        read.set("server", value)
        read.write()
        assert RenewalFile(str(path)).get("server") == value


def test_mode_stays_and_absent_is_empty(path: str, tmp_path: Path) -> None:
    Path(path).chmod(0o600)
    read = RenewalFile(path)
    read.set("account", "new")
    read.write()
    assert Path(path).stat().st_mode & 0o777 == 0o600
    absent = RenewalFile(str(tmp_path / "two.conf"))
    assert absent.get("server") is None
    assert not absent.write()
    assert not (tmp_path / "two.conf").exists()
