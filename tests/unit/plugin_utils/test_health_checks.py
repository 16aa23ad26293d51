# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health checks of a proxy: what may be said of them, whom they ask for what, and where the marks go."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import (
    FILE,
    Server,
    marks_of,
    servers_of,
    with_marks,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.health_checks import config_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import HostFacts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

Variables = dict[str, t.Any]

NOTES = {"gunicorn_app_name": "notes"}
LIST = "gunicorn_app_applications"
SITE = {"name": "notes", "app": "notes", "domains": ["*.example.com", "notes.example.com"]}
NGINX = nginx_version("nginx version: nginx/1.26.3\nbuilt with OpenSSL 3.5.0 8 Apr 2025\n")
HEALTH = {"path": "/health", "status": 200, "body": None}
OWN = {"gunicorn_app_health_path": "/ready?all", "gunicorn_app_health_status": 204, "gunicorn_app_health_body": "ok"}


def proxy_of(checks: t.Any, apps: dict[str, Variables], sites: t.Sequence[Variables] = (SITE,)) -> dict[str, t.Any]:
    proxies = ["proxy1", "proxy2"]
    known = {
        "inventory_hostname": "proxy1",
        "groups": {"apps": list(apps), "proxies": proxies},
        "hostvars": {**{proxy: {} for proxy in proxies}, **apps},
        "nginx_proxy_sites": list(sites),
        **apps.get("proxy1", {}),
    }
    if checks != "absent":
        known["nginx_proxy_health_checks"] = checks
    return normalise("nginx_proxy", Host(known, lambda value: value))


def files_of(proxy: dict[str, t.Any], **addresses: list[str]) -> dict[str, str]:
    return build_tree(
        renderer(str(ROLES / "nginx_proxy"), "nginx_proxy"), proxy, NGINX, HostFacts(True, 2, addresses)
    ).files


APPS: dict[str, Variables] = {"app1": {**NOTES, "ansible_host": "10.0.0.1"}, "app2": NOTES}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"interval": 5, "timeout": 2.0, "fall": 2, "rise": 2}),
        ({"interval": 2, "timeout": 1.9}, {"interval": 2, "timeout": 1.9, "fall": 2, "rise": 2}),
        ({"interval": "3600", "timeout": "0.1", "fall": 1, "rise": 100},
         {"interval": 3600, "timeout": 0.1, "fall": 1, "rise": 100}),
    ],
)  # fmt: skip
def test_accepted(given: Variables, expected: Variables) -> None:
    checks = proxy_of(given, APPS)["health_checks"]
    assert {key: checks[key] for key in expected} == expected


LESS = "a number from 0.1 to less than the interval"


@pytest.mark.parametrize(
    ("given", "place", "shown", "accepted"),
    [
        ({"interval": 1}, ".interval", "1", "2 to 3600"),
        ({"interval": 3601}, ".interval", "3601", "2 to 3600"),
        ({"interval": "5s"}, ".interval", '"5s"', "a whole number"),
        ({"interval": 2}, ".timeout", "2", f"{LESS} (2)"),
        ({"interval": 5, "timeout": 7.5}, ".timeout", "7.5", f"{LESS} (5)"),
        ({"timeout": 0}, ".timeout", "0", f"{LESS} (5)"),
        ({"timeout": -1}, ".timeout", "-1", f"{LESS} (5)"),
        ({"timeout": "2s"}, ".timeout", '"2s"', "a number"),
        ({"fall": 0}, ".fall", "0", "1 to 100"),
        ({"rise": 101}, ".rise", "101", "1 to 100"),
        ({"rise": True}, ".rise", "true", "a whole number"),
        ({"path": "/health"}, ".path", '"/health"', "only the keys interval, timeout, fall, rise"),
        (True, "", "true", "a dictionary"),
        ([5, 2], "", "[5, 2]", "a dictionary"),
    ],
)
def test_refused(given: t.Any, place: str, shown: str, accepted: str) -> None:
    with pytest.raises(Refused) as caught:
        proxy_of(given, APPS)
    message = str(caught.value)
    assert message.startswith(f"nginx_proxy_health_checks{place}: {shown}")
    assert accepted in message


@pytest.mark.parametrize(
    ("checks", "apps"),
    [
        ("absent", APPS),
        (None, APPS),
        # Nobody to ask: the application is on the proxy itself, and reached by its socket.
        ({}, {"proxy1": NOTES}),
    ],
)
def test_off(checks: t.Any, apps: dict[str, Variables]) -> None:
    proxy = proxy_of(checks, apps)
    assert proxy["health_checks"] is None
    files = files_of(proxy, app2=["10.0.0.2"])
    assert FILE not in files
    assert "site__notes" in files["sites/notes/upstream.conf"]
    assert "/marks" not in files["http/status.conf"]


@pytest.mark.parametrize(
    ("apps", "hosts"),
    [
        ({"app1": NOTES, "app2": NOTES}, {"app1": HEALTH, "app2": HEALTH}),
        # Each host's own, as its port is.
        ({"app1": NOTES, "app2": {**NOTES, **OWN}},
         {"app1": HEALTH, "app2": {"path": "/ready?all", "status": 204, "body": "ok"}}),
        ({"proxy1": NOTES, "app2": NOTES}, {"app2": HEALTH}),
        ({"app1": NOTES, "app2": {**NOTES, "gunicorn_app_state": "absent"}}, {"app1": HEALTH}),
        ({"app1": {LIST: [{"name": "notes", "health_path": "/a"}, {"name": "shop", "port": 8001}]}},
         {"app1": {**HEALTH, "path": "/a"}}),
    ],
)  # fmt: skip
def test_whom_they_ask_for_what(apps: dict[str, Variables], hosts: dict[str, Variables]) -> None:
    config = json.loads(config_of(proxy_of({}, apps)["health_checks"]))
    assert config == {
        "timeout": 2.0,
        "fall": 2,
        "rise": 2,
        "upstreams": {"site__notes": "notes"},
        "applications": {"notes": {"domain": "notes.example.com", "https": True, "hosts": hosts, "tls_name": None}},
    }


def test_a_path_that_is_none_is_refused_as_the_application_s() -> None:
    with pytest.raises(Refused, match=r'^gunicorn_app_health_path: "health" is refused; accepted: a path that begins'):
        proxy_of({}, {"app1": {**NOTES, "gunicorn_app_health_path": "health"}})


PART = {
    "name": "part",
    "domains": ["part.example.com"],
    "upstream": {"servers": ["10.9.9.9:80"]},
    "tls": {"source": "none"},
    "locations": [{"path": "/notes/", "app": "notes"}],
}


@pytest.mark.parametrize(
    ("sites", "domain", "https"),
    [
        # The domain of the site that has the application whole, as a release is asked.
        ([PART, SITE], "notes.example.com", True),
        ([SITE, PART], "notes.example.com", True),
        ([PART], "part.example.com", False),
        ([{**SITE, "domains": ["*.example.com"]}], "localhost", True),
    ],
)
def test_under_which_name(sites: list[Variables], domain: str, https: bool) -> None:
    checks = proxy_of({}, APPS, sites)["health_checks"]
    app = json.loads(config_of(checks))["applications"]["notes"]
    assert (app["domain"], app["https"]) == (domain, https)


def test_the_hosts_are_in_one_file_and_the_user_s_servers_where_they_were() -> None:
    files = files_of(proxy_of({}, {**APPS, "proxy1": NOTES}, [SITE, PART]), app2=["2001:db8::2"])
    hosts = [("10.0.0.1:8000", "app1"), ("[2001:db8::2]:8000", "app2"), ("unix:/opt/notes/current.sock", "proxy1")]
    assert servers_of(files[FILE]) == [
        Server(block, address, host, False) for block in ("site__notes", "site__part__notes") for address, host in hosts
    ]
    assert "sites/notes/upstream.conf" not in files
    assert "10.9.9.9:80" in files["sites/part/upstream.conf"]
    assert "site__part__notes" not in files["sites/part/upstream.conf"]
    assert files["main.conf"].count("http/applications.conf") == 1
    assert 'return 200 "$health_marks\\n";' in files["http/status.conf"]
    # What the template writes is what the marks are put into.
    marked = with_marks(files[FILE], {"10.0.0.1:8000"})
    assert marks_of(marked) == {"10.0.0.1:8000"}
    assert marked.count(" down; # app1\n") == 2
    assert "{ default none; }" not in marked
    assert with_marks(marked, set()) == files[FILE]
