# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Challenges that another proxy is asked for: whom a proxy asks, and that one proxy alone has nothing of it."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.challenge_peers import names_of, peers_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import HostFacts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

Values = dict[str, t.Any]

NGINX = "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.17 1 Jul 2025\n"
SITE = {"name": "notes", "domains": ["notes.example.com"], "static": [{"path": "/", "folder": "/srv/notes/"}]}
#: As it was before there were several proxies.
ALONE = """\
location ^~ /.well-known/acme-challenge/ {
    root /var/www/acme;
    default_type text/plain;

    # Its file is there from one moment to the next.
    open_file_cache off;
}
"""
HOSTS = {
    "web1": {"ansible_host": "10.0.0.11"},
    "web2": {"ansible_host": "10.0.0.12"},
    "web3": {},
    "web4": {"ansible_host": "2001:db8::14"},
}


def proxy(hosts: dict[str, Values], **variables: t.Any) -> Values:
    known = {name: {"inventory_hostname": name, **said} for name, said in hosts.items()}
    around: Values = {"groups": {"proxies": list(hosts), "apps": []}, "hostvars": known}
    own = {"inventory_hostname": "web1", "nginx_proxy_sites": [SITE], **hosts.get("web1", {})}
    return normalise("nginx_proxy", Host({**own, **around, **variables}, lambda value: value))


def files(structure: Values, addresses: t.Mapping[str, t.Sequence[str]]) -> dict[str, str]:
    render = renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")
    return build_tree(render, structure, nginx_version(NGINX), HostFacts(True, 2, addresses)).files


def asked(found: dict[str, str]) -> list[str]:
    return re.findall(r"^    server (\S+):80 max_fails=0;$", found["http/challenges.conf"], re.MULTILINE)


def test_all_other_proxies_are_asked() -> None:
    structure = proxy(HOSTS)
    assert structure["other_proxies"] == ["10.0.0.12", "web3", "2001:db8::14"]
    # The host resolves what is no address.
    assert structure["looked_up"] == ["web3"]
    found = files(structure, {"web3": ["10.0.0.13", "2001:db8::13"]})
    assert asked(found) == ["10.0.0.12", "10.0.0.13", "[2001:db8::14]"]
    assert "include deploy/current/http/challenges.conf;" in found["main.conf"]


@pytest.mark.parametrize(
    ("hosts", "variables"),
    [
        ({"web1": {}}, {}),
        ({}, {"groups": {}}),
        # A host of somebody else's group.
        ({"web2": {}, "web3": {}}, {}),
        (
            HOSTS,
            {"nginx_proxy_client_address": {"trusted": ["192.0.2.0/24"], "proxy_protocol": True}},
        ),
    ],
)
def test_one_proxy_alone_is_as_ever(hosts: dict[str, Values], variables: Values) -> None:
    structure = proxy(hosts, **variables)
    assert structure["other_proxies"] == []
    found = files(structure, {})
    assert found["snippets/acme_challenge.conf"].endswith(f"\n\n{ALONE}")
    assert "http/challenges.conf" not in found
    assert "challenge" not in found["main.conf"]


def test_a_proxy_that_cannot_be_resolved_is_left_out() -> None:
    """nginx would not start."""
    assert asked(files(proxy(HOSTS), {})) == ["10.0.0.12", "[2001:db8::14]"]
    found = files(proxy({"web1": {}, "web3": {}}), {"web3": []})
    assert found["snippets/acme_challenge.conf"].endswith(f"\n\n{ALONE}")


@pytest.mark.parametrize(
    ("host", "addresses", "peer"),
    [
        ("10.0.0.12", {}, "10.0.0.12"),
        ("2001:db8::12", {}, "[2001:db8::12]"),
        ("web2", {"web2": ["10.0.0.12"]}, "10.0.0.12"),
        ("web2", {"web2": ["2001:db8::12"]}, "[2001:db8::12]"),
        # Its own name in a Debian's /etc/hosts, or a tunnel.
        ("web2", {"web2": ["127.0.1.1"]}, None),
        ("web2", {"web2": ["127.0.1.1", "10.0.0.12"]}, "10.0.0.12"),
        ("127.0.0.1", {}, None),
        ("localhost", {"localhost": ["::1"]}, None),
        ("web2", {}, None),
    ],
)
def test_peer(host: str, addresses: dict[str, list[str]], peer: str | None) -> None:
    assert peers_of([host], addresses) == ({} if peer is None else {host: peer})


@pytest.mark.parametrize("host", ["10.0.0.12", "2001:db8::12", "an alias", "web2; reboot", "$(reboot)", "-x", ""])
def test_what_is_no_name_is_not_looked_up(host: str) -> None:
    assert names_of([host, "web2"]) == ["web2"]


MAP = re.compile(r'"~(\^.*\$)" yes;')


@pytest.mark.parametrize(
    ("question", "passed_on"),
    [
        (":GET:/.well-known/acme-challenge/aZ09-_x", True),
        (":HEAD:/.well-known/acme-challenge/x", True),
        ("yes:GET:/.well-known/acme-challenge/x", False),
        (":POST:/.well-known/acme-challenge/x", False),
        (":GET:/.well-known/acme-challenge/", False),
        (":GET:/.well-known/acme-challenge/x?y", False),
        (":GET:/.well-known/acme-challenge/x/y", False),
        (":GET:/.well-known/acme-challenge/../x", False),
        (":GET:/.well-known/acme-challenge/x%20", False),
        (":GET:/xwell-known/acme-challenge/x", False),
    ],
)
def test_what_is_passed_on(question: str, passed_on: bool) -> None:
    (expression,) = MAP.findall(files(proxy(HOSTS), {})["http/challenges.conf"])
    assert bool(re.search(expression, question)) is passed_on
