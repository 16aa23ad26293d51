# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switches of sites on a host, and the question whether nginx heeds them."""

from __future__ import annotations

import errno
import os
import socket
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import maintenance
from ansible_collections.asgi.deploy.plugins.module_utils.atomic import write_file
from ansible_collections.asgi.deploy.plugins.module_utils.maintenance import (
    NOTE,
    Answer,
    Site,
    Switches,
    ask,
    confirm,
    live_site,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import Refusal
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import HostFacts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

Fixture = t.Any

NGINX = "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.17 1 Jul 2025\n"
SITE = Site("shop", "shop.example.com", True, False, False, "300", 20, [], False)


@pytest.fixture
def live(tmp_path: Path) -> t.Callable[..., Site | None]:
    """Return the site `shop` as it is read from a tree that the templates made."""

    def read(host: dict[str, t.Any] | None = None, **site: t.Any) -> Site | None:
        given = {"name": "shop", "domains": ["shop.example.com"], "upstream": {"servers": ["a:80"]}, **site}
        known = {"inventory_hostname": "web1", "nginx_proxy_sites": [given], **(host or {})}
        proxy = normalise("nginx_proxy", Host(known, lambda value: value))
        render = renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")
        for name, text in build_tree(render, proxy, nginx_version(NGINX), HostFacts(ipv6=True)).files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return live_site(str(tmp_path), "shop")

    return read


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ({}, {}),
        ({"domains": ["*.example.com", "a.example.com"]}, {"domain": "asgi-deploy.example.com"}),
        ({"tls": {"source": "none"}}, {"https": False}),
        ({"maintenance": {"enabled": True, "retry_after": "1h"}}, {"enabled": True, "pause": "3600"}),
        ({"maintenance": {"page": "<p>Früh</p>"}}, {"size": len("<p>Früh</p>\n".encode())}),
        # Of several pages that of 503.
        ({"error_pages": [{"statuses": [502, 503, 504], "content": "x"}, {"statuses": [404], "content": "yy"}]},
         {"size": 2}),
        ({"maintenance": {"allow": ["127.0.0.1", "2001:db8::/32"]}}, {"guests": ["127.0.0.1", "2001:db8::/32"]}),
        ({"tls": {"client_ca": "/etc/ca.pem"}}, {"closed": True}),
        ({"tls": {"client_ca": "/etc/ca.pem", "client_certificates": "optional"}}, {}),
        ({"host": {"nginx_proxy_client_address": {"trusted": ["10.0.0.0/8"], "proxy_protocol": True}}},
         {"proxy_protocol": True}),
    ],
)  # fmt: skip
def test_live_site(live: Fixture, site: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    plain = live()
    assert plain.size > 100
    assert plain._replace(size=20) == SITE
    found = live(**site)
    assert found == plain._replace(**expected)


def test_no_such_site(tmp_path: Path) -> None:
    assert live_site(str(tmp_path), "shop") is None


@pytest.mark.parametrize(
    ("guests", "closed", "source", "unproven"),
    [
        ([], False, "127.0.0.1", None),
        (["192.0.2.0/24", "2001:db8::/32"], False, "127.0.0.1", None),
        (["127.0.0.1/32"], False, "127.0.0.2", None),
        (["127.0.0.0/16", "127.0.0.9/32"], False, "127.254.254.254", None),
        (["127.0.0.0/8"], False, None, "maintenance.allow has all of 127.0.0.0/8"),
        ([], True, "127.0.0.1", "it answers nobody without a client certificate (tls.client_ca)"),
    ],
)
def test_who_asks(guests: list[str], closed: bool, source: str | None, unproven: str | None) -> None:
    site = SITE._replace(guests=guests, closed=closed)
    assert (site.source(), site.unproven()) == (source, unproven)


PAGE = b"HTTP/1.1 503 Service Temporarily Unavailable\r\nRetry-After: 300\r\nContent-Length: 20\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (PAGE, Answer(True, "status 503")),
        # An application's own.
        (PAGE.replace(b"300", b"60"), Answer(False, "status 503")),
        (PAGE.replace(b": 20", b": 21"), Answer(False, "status 503")),
        (b"HTTP/1.1 503 Busy\r\n\r\n", Answer(False, "status 503")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", Answer(False, "status 200")),
        (b"HTTP/1.1 502 Bad Gateway\r\nRetry-After: 300\r\nContent-Length: 20\r\n\r\n", Answer(False, "status 502")),
        # It would not be an answer of nginx's own that takes so long.
        (None, Answer(False, "no answer within 0.2 s, which is the application's")),
    ],
)
@pytest.mark.parametrize("proxy_protocol", [False, True])
def test_ask(
    serve: Fixture,
    tcp_server: tuple[socket.socket, int],
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes | None,
    expected: Answer,
    proxy_protocol: bool,
) -> None:
    server, port = tcp_server
    connect = maintenance._connect
    monkeypatch.setattr(maintenance, "_TIMEOUT", 0.2)
    monkeypatch.setattr(maintenance, "_connect", lambda site, _port: connect(site, port))
    with serve(server, answer) as requests:
        found = ask(SITE._replace(https=False, guests=["127.0.0.1/32"], proxy_protocol=proxy_protocol))
    assert found == expected
    lines = requests[0].decode("ascii").split("\r\n")
    if proxy_protocol:
        assert lines.pop(0).split()[:4] == ["PROXY", "TCP4", "127.0.0.2", "127.0.0.1"]
    if lines != [""]:
        assert lines[0] == "HEAD / HTTP/1.1"
        assert "Host: shop.example.com" in lines


def test_ask_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = maintenance._connect
    monkeypatch.setattr(maintenance, "_connect", lambda site, _port: connect(site, 1))
    answer = ask(SITE)
    assert answer.away is None
    assert "refused" in answer.said


AWAY, THERE, NOBODY = Answer(True, "status 503"), Answer(False, "status 200"), Answer(None, "refused")


@pytest.mark.parametrize(
    ("answers", "away", "problem"),
    [
        ([AWAY], True, None),
        ([THERE, NOBODY, AWAY], True, None),
        ([AWAY, THERE], False, None),
        ([THERE], True, "shop: nginx on this host does not answer shop.example.com with the maintenance page within "
                        "0.3 s; the last answer: status 200"),
        ([AWAY], False, "shop: nginx on this host does not answer shop.example.com with anything but the maintenance "
                        "page within 0.3 s; the last answer: status 503"),
    ],
)  # fmt: skip
def test_confirm(monkeypatch: pytest.MonkeyPatch, answers: list[Answer], away: bool, problem: str | None) -> None:
    left = list(answers)
    monkeypatch.setattr(maintenance, "_PATIENCE", 0.3)
    monkeypatch.setattr(maintenance, "ask", lambda _site: left.pop(0) if len(left) > 1 else left[0])
    assert confirm(SITE, away) == problem


class FakeHost:
    """A host with two sites, whose nginx heeds the files but for those of the sites that are `deaf`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.deaf: set[str] = set()
        self.sites = [SITE, SITE._replace(name="blog")]

    def ask(self, site: Site) -> Answer:
        there = site.enabled or (self.folder / site.name).is_file()
        return AWAY if there is not (site.name in self.deaf) else THERE

    def switches(self, *names: str) -> Switches:
        return Switches(str(self.folder), [site for site in self.sites if not names or site.name in names])

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text(encoding="utf-8") for path in self.folder.iterdir() if path.is_file()}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    folder = tmp_path / "maintenance"
    folder.mkdir(mode=0o755)
    found = FakeHost(folder)
    monkeypatch.setattr(maintenance, "ask", found.ask)
    monkeypatch.setattr(maintenance, "_PATIENCE", 0.1)
    monkeypatch.setattr(maintenance, "_REMEMBERED", 0)
    # Whoever runs the tests may not be nginx's user's neighbour.
    monkeypatch.setattr(
        maintenance, "due_folders", lambda items: [one for one in items if not Path(one["path"]).is_dir()]
    )
    monkeypatch.setattr(maintenance, "make_folders", lambda items: folder.mkdir())
    return found


@pytest.mark.parametrize(
    ("there", "state", "due", "then"),
    [
        ({}, "on", ["shop", "blog"], {"shop": NOTE, "blog": NOTE}),
        # What somebody wrote into it stays.
        ({"shop": "ann, since noon\n"}, "on", ["blog"], {"shop": "ann, since noon\n", "blog": NOTE}),
        ({"shop": ""}, "on", ["blog"], {"shop": "", "blog": NOTE}),
        ({"shop": "x", "other": "y"}, "off", ["shop"], {"other": "y"}),
        ({"shop": "x", "blog": "y"}, "off", ["shop", "blog"], {}),
        ({}, "off", [], {}),
    ],
)
def test_switch_and_back(
    host: FakeHost, there: dict[str, str], state: str, due: list[str], then: dict[str, str]
) -> None:
    for name, text in there.items():
        (host.folder / name).write_text(text, encoding="utf-8")
    switches = host.switches()
    targets = switches.targets(state)
    assert switches.due(targets) == due
    assert [item["before_header"] for item in switches.diff(targets)] == [str(host.folder / one) for one in sorted(due)]
    switches.refuse(targets)
    switches.switch(targets)
    assert host.files() == then
    again = host.switches()
    assert again.due(again.targets(state)) == []
    # As the playbook does where another proxy failed.
    if due:
        host.switches(*due).switch({name: switches.before[name] for name in due})
    assert host.files() == there


@pytest.mark.parametrize("state", ["on", "off"])
def test_what_nginx_does_not_heed_is_undone(host: FakeHost, state: str) -> None:
    (host.folder / "shop").write_text("ann\n", encoding="utf-8")
    before = host.files()
    host.deaf = {"blog"} if state == "on" else {"shop"}
    switches = host.switches()
    with pytest.raises(Refusal, match=r"^(blog|shop): nginx on this host does not answer shop\.example\.com with "):
        switches.switch(switches.targets(state))
    assert host.files() == before


def test_what_cannot_be_written_is_undone(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, text: str) -> None:
        if path.endswith("blog"):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        write_file(path, text)

    monkeypatch.setattr(maintenance, "write_file", full)
    switches = host.switches()
    with pytest.raises(OSError, match="No space left"):
        switches.switch(switches.targets("on"))
    assert host.files() == {}


def test_a_site_that_nobody_can_ask_for_is_switched_all_the_same(host: FakeHost) -> None:
    host.sites = [SITE._replace(closed=True)]
    host.deaf = {"shop"}
    switches = host.switches()
    switches.refuse(switches.targets("on"))
    switches.switch(switches.targets("on"))
    assert host.files() == {"shop": NOTE}


def test_the_folder_is_made(host: FakeHost) -> None:
    host.folder.rmdir()
    switches = host.switches()
    assert not switches.opens_folder(switches.targets("off"))
    assert switches.opens_folder(switches.targets("on"))
    switches.refuse(switches.targets("on"))
    switches.switch(switches.targets("on"))
    assert set(host.files()) == {"shop", "blog"}


def refusal(switches: Switches, state: str) -> str:
    with pytest.raises(Refusal) as caught:
        switches.refuse(switches.targets(state))
    return str(caught.value)


def test_refused_before_any_change(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.folder / "blog").mkdir()
    assert refusal(host.switches(), "on").startswith(f"{host.folder}/blog is a folder, and has no effect; accepted: ")
    (host.folder / "blog").rmdir()
    host.sites = [SITE._replace(enabled=True)]
    assert refusal(host.switches(), "off").startswith('state: "off" is refused; accepted: on, as long as ')
    host.switches().refuse(host.switches().targets("on"))
    host.sites = [SITE]
    monkeypatch.setattr(maintenance, "ask", lambda _site: NOBODY)
    assert refusal(host.switches(), "on") == (
        "shop: nginx on this host does not answer shop.example.com, and nothing could be confirmed: refused"
    )
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert refusal(host.switches(), "on") == f"{host.folder} cannot be written to: its file system is read-only"
    assert host.files() == {}
