# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hand-made nginx: what it served, and what its owner is told."""

from __future__ import annotations

import hashlib
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import nginx_entry
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_entry import Entry, Found, adoption_notice, find_served

Fixture = t.Any

SHOP = "server { listen 80; server_name shop.example.com www.shop.example.com; return 200 shop; }\n"
BLOG = "server {\n    # server_name old.example.com;\n    server_name blog.example.com;\n}\n"
UNNAMED = "server {\n    listen 8080;\n}\n"
PACKAGED = "server {\n    server_name _;\n}\n"
SNIPPET = "gzip on; # server { server_name none.example.com; }\n"


@pytest.fixture
def etc(tmp_path: Path, write: Fixture) -> Path:
    write(tmp_path / "nginx.conf", "http {\n    include conf.d/*.conf;\n}\n")
    write(tmp_path / "conf.d/shop.conf", SHOP)
    write(tmp_path / "conf.d/blog.conf", BLOG)
    write(tmp_path / "conf.d/unnamed.conf", UNNAMED)
    write(tmp_path / "conf.d/gzip.conf", SNIPPET)
    write(tmp_path / "sites-available/default", PACKAGED)
    (tmp_path / "sites-enabled").mkdir()
    (tmp_path / "sites-enabled/default").symlink_to("../sites-available/default")
    return tmp_path


def listing(etc: Path) -> str:
    names = ["nginx.conf", *(f"conf.d/{name}.conf" for name in ("blog", "gzip", "shop", "unnamed"))]
    files = [etc / name for name in [*names, "sites-enabled/default"]]
    return "".join(f"# configuration file {path}:\n{path.read_text(encoding='utf-8')}\n" for path in files)


def served(
    etc: Path, fake_run: Fixture, listed: str | None, files: dict[str, str] | None = None, packaged: str = PACKAGED
) -> list[Found]:
    # dpkg knows what the file had been, under its own name.
    digest = hashlib.md5(packaged.encode(), usedforsecurity=False).hexdigest()
    run = fake_run({"dpkg-query": (0, f"nginx\n {etc}/sites-available/default {digest}\n", "")})
    return find_served(run, listed, files or {}, Entry("# asgi.deploy\n", f"{etc}/deploy", f"{etc}/nginx.conf"))


def test_what_is_served(etc: Path, fake_run: Fixture) -> None:
    assert served(etc, fake_run, listing(etc)) == [
        Found(f"{etc}/nginx.conf", []),
        Found(f"{etc}/conf.d/blog.conf", ["blog.example.com"]),
        # Without a server, and perhaps needed by the other files.
        Found(f"{etc}/conf.d/gzip.conf", []),
        Found(f"{etc}/conf.d/shop.conf", ["shop.example.com", "www.shop.example.com"]),
        Found(f"{etc}/conf.d/unnamed.conf", []),
    ]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ('"a b.test" c.test', ["a b.test", "c.test"]),
        ("'a;b.test'", ["a;b.test"]),
        ("~^(www\\.)?(?<name>.+)$\n  other.test", ["~^(www\\.)?(?<name>.+)$", "other.test"]),
    ],
)
def test_names(etc: Path, fake_run: Fixture, write: Fixture, written: str, names: list[str]) -> None:
    write(etc / "conf.d/shop.conf", f"server {{ server_name {written}; }}\n")
    assert Found(f"{etc}/conf.d/shop.conf", names) in served(etc, fake_run, listing(etc))


def test_files_of_ours_are_not_found(etc: Path, fake_run: Fixture, write: Fixture) -> None:
    """A hand that removed the first line of our entry has not made the tree beside it."""
    path = write(etc / "deploy/current/sites/a/site.conf", SHOP)
    listed = f"# configuration file {etc}/nginx.conf:\nx\n# configuration file {path}:\n{SHOP}"
    assert served(etc, fake_run, listed) == [Found(f"{etc}/nginx.conf", [])]


def test_what_an_included_file_includes_goes_on_being_read(etc: Path, fake_run: Fixture, write: Fixture) -> None:
    write(etc / "conf.d/shop.conf", 'server { include conf.d/gzip.conf; include "conf.d/blog.conf"; }\n')
    files = {"main.conf": f"include {etc}/conf.d/shop.conf;\n"}
    assert [one.path for one in served(etc, fake_run, listing(etc), files)] == [
        f"{etc}/nginx.conf",
        f"{etc}/conf.d/unnamed.conf",
    ]


def test_what_loads_a_module_is_the_packages(etc: Path, fake_run: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_entry, "_SHARED", f"{os.path.realpath(etc)}/conf.d/")
    assert served(etc, fake_run, listing(etc)) == [Found(f"{etc}/nginx.conf", [])]


def test_an_edited_file_of_the_package_counts(etc: Path, fake_run: Fixture) -> None:
    found = served(etc, fake_run, listing(etc), packaged="as it came\n")
    assert found[-1] == Found(f"{etc}/sites-enabled/default", ["_"])


def test_what_goes_on_being_included_is_no_news(etc: Path, fake_run: Fixture) -> None:
    files = {"main.conf": f"http {{\n    include {etc}/conf.d/*.conf;\n    include mime.types;\n}}\n"}
    assert served(etc, fake_run, listing(etc), files) == [Found(f"{etc}/nginx.conf", [])]


def test_a_broken_configuration_is_looked_for_where_debian_has_it(
    etc: Path, fake_run: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nginx_entry, "_USUAL", (f"{etc}/conf.d/*.conf", f"{etc}/sites-enabled/*"))
    (etc / "sites-enabled/gone").symlink_to("nothing")
    assert served(etc, fake_run, None) == served(etc, fake_run, listing(etc))


@pytest.mark.parametrize(
    ("found", "notice"),
    [
        ([], None),
        (
            [Found("/etc/nginx/nginx.conf", [])],
            "web1: nginx has a configuration that this collection did not make. Its /etc/nginx/nginx.conf is kept as "
            "/home/nginx.conf.before.",
        ),
        (
            [Found("/etc/nginx/conf.d/a.conf", ["a", "b"]), Found("/etc/nginx/conf.d/c.conf", [])],
            "web1: nginx has a configuration that this collection did not make. Left as they are, and not part of what "
            "this run puts live: /etc/nginx/conf.d/a.conf (a, b); /etc/nginx/conf.d/c.conf (no server_name). To go on "
            'including a file: nginx_proxy_includes: ["/etc/nginx/conf.d/a.conf"].',
        ),
        (
            [Found("/etc/nginx/nginx.conf", ["a"])],
            "web1: nginx has a configuration that this collection did not make. Its /etc/nginx/nginx.conf is kept as "
            "/home/nginx.conf.before. Left as they are, and not part of what this run puts live: /etc/nginx/nginx.conf "
            '(a). To go on including a file: nginx_proxy_includes: ["/etc/nginx/conf.d/*.conf"].',
        ),
    ],
)
def test_notice(found: list[Found], notice: str | None) -> None:
    assert adoption_notice("web1", found, Entry("# asgi.deploy\n", "/home")) == notice


def test_the_notice_names_the_copy_that_is_made(tmp_path: Path, write: Fixture) -> None:
    write(tmp_path / "deploy/nginx.conf.before", "# the first\n")
    path = str(write(tmp_path / "nginx.conf", "# the second\n"))
    entry = Entry("# asgi.deploy\n", str(tmp_path / "deploy"), path)
    notice = adoption_notice("web1", [Found(path, ["a b.test"])], entry) or ""
    assert f"is kept as {tmp_path}/deploy/nginx.conf.before.2." in notice
    assert '("a b.test")' in notice
    entry.put()
    assert (tmp_path / "deploy/nginx.conf.before.2").read_text(encoding="utf-8") == "# the second\n"


@pytest.mark.parametrize(
    ("live", "foreign"),
    [("# by hand\n", True), ("", True), ("# Managed by Ansible (asgi.deploy)\nedited by hand\n", False), (None, False)],
)
def test_foreign(tmp_path: Path, live: str | None, foreign: bool) -> None:
    if live is not None:
        (tmp_path / "nginx.conf").write_text(live, encoding="utf-8")
    entry = Entry("# asgi.deploy\n", str(tmp_path), str(tmp_path / "nginx.conf"))
    assert entry.is_foreign() is foreign
    assert entry.differs()
    entry.put()
    assert (tmp_path / "nginx.conf.before").exists() is foreign
    assert entry.is_aside() is (live is not None)
    entry.settle()
    assert not entry.is_aside()
    assert not Entry("# asgi.deploy\n", str(tmp_path), str(tmp_path / "nginx.conf")).differs()
