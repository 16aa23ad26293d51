# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the groups apps and proxies to the servers of an upstream, the ports of a host, and who may reach them."""

from __future__ import annotations

import subprocess
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_hop import hop_files, names_to_allow
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet import is_name, lookup, resolved
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import FLEET, ROLES, Host, fleet_of, normalise
from ansible_collections.asgi.deploy.plugins.plugin_utils.site_upstreams import names_of, with_addresses

Variables = dict[str, t.Any]

SITE = {"name": "notes", "app": "notes", "domains": ["notes.example.com"]}
NOTES = {"gunicorn_app_name": "notes"}
LIST = "gunicorn_app_applications"


def host_of(name: str, apps: dict[str, Variables], proxies: list[str], **variables: t.Any) -> Host:
    """Return the host ``name`` of an inventory. :param apps: the variables of each host of that group"""
    everybody = {**{proxy: {} for proxy in proxies}, **apps}
    known = {
        "inventory_hostname": name,
        "groups": {"apps": list(apps), "proxies": proxies},
        "hostvars": everybody,
        **everybody[name],
        **variables,
    }
    return Host(known, lambda value: value)


def proxy_of(apps: dict[str, Variables], more: Variables | None = None) -> dict[str, t.Any]:
    host = host_of("proxy1", apps, ["proxy1", "proxy2"], nginx_proxy_sites=[SITE], **(more or {}))
    return normalise("nginx_proxy", host)


def servers_of(proxy: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    [block] = proxy["sites"][0]["upstreams"]
    return t.cast("list[dict[str, t.Any]]", block["servers"])


@pytest.mark.parametrize(
    ("apps", "addresses"),
    [
        ({"app1": NOTES, "app2": NOTES}, ["app1:8000", "app2:8000"]),
        ({"app1": {**NOTES, "ansible_host": "10.0.0.1"}}, ["10.0.0.1:8000"]),
        ({"app1": {**NOTES, "ansible_host": "2001:db8::1", "gunicorn_app_port": "9000"}}, ["[2001:db8::1]:9000"]),
        # Ansible's way to a host is not always that of the proxies.
        ({"app1": {**NOTES, "ansible_host": "203.0.113.1", "gunicorn_app_address": "10.0.0.1"}}, ["10.0.0.1:8000"]),
        # Not every host has every application.
        ({"app1": NOTES, "app2": {"gunicorn_app_name": "shop"}, "app3": NOTES}, ["app1:8000", "app3:8000"]),
        ({"app1": NOTES, "app2": {**NOTES, "gunicorn_app_state": "absent"}}, ["app1:8000"]),
        (
            {"app1": {LIST: [{"name": "shop", "port": 8001}, {"name": "notes", "port": 8002}]}, "app2": NOTES},
            ["app1:8002", "app2:8000"],
        ),
        # The proxy's own by its socket, the others over the network.
        ({"proxy1": NOTES, "app2": NOTES}, ["unix:/opt/notes/current.sock", "app2:8000"]),
        ({"proxy1": NOTES}, ["unix:/opt/notes/current.sock"]),
    ],
)
def test_an_application_is_asked_for_on_all_hosts_that_have_it(
    apps: dict[str, Variables], addresses: list[str]
) -> None:
    proxy = proxy_of(apps)
    assert [server["address"] for server in servers_of(proxy)] == addresses
    # What was found once for all hosts of a play is the same.
    found = {name: [list(place) for place in places] for name, places in fleet_of(host_list(apps)).items()}
    assert servers_of(proxy_of(apps, {FLEET: found})) == servers_of(proxy)


def test_hosts_that_are_proxies_all_serve_themselves(least: dict[str, Variables]) -> None:
    both = dict.fromkeys(("web1", "web2"), least["gunicorn_app"])
    facts = {"processor_nproc": 2, "memtotal_mb": 2048}
    host = host_of("web1", both, ["web1", "web2"], nginx_proxy_sites=[SITE], ansible_facts=facts)
    assert [server["address"] for server in servers_of(normalise("nginx_proxy", host))] == [
        "unix:/opt/notes/current.sock"
    ]
    assert normalise("gunicorn_app", host)["applications"][0]["hop"] is None
    # One more proxy, which has none of its own: it asks both, they go on asking themselves.
    host = host_of("web1", both, ["proxy1", "web1", "web2"], nginx_proxy_sites=[SITE], ansible_facts=facts)
    assert len(servers_of(normalise("nginx_proxy", host))) == 1
    assert normalise("gunicorn_app", host)["applications"][0]["hop"]["allow"] == ["proxy1"]
    proxy = host_of("proxy1", both, ["proxy1", "web1", "web2"], nginx_proxy_sites=[SITE])
    assert [server["address"] for server in servers_of(normalise("nginx_proxy", proxy))] == ["web1:8000", "web2:8000"]


def host_list(apps: dict[str, Variables]) -> list[Host]:
    return [Host({"inventory_hostname": name, **variables}, lambda value: value) for name, variables in apps.items()]


def test_a_host_that_is_gone_is_noticed_soon_and_no_post_meets_a_closing_connection() -> None:
    proxy = proxy_of({"app1": NOTES, "app2": NOTES})
    [block] = proxy["sites"][0]["upstreams"]
    assert {(server["max_fails"], server["fail_timeout"]) for server in block["servers"]} == {(1, "5s")}
    assert block["keepalive_timeout"] == "2s"
    assert proxy["sites"][0]["locations"][0]["timeouts"]["connect"] == "1s"
    # On the same host nothing of it is due.
    [block] = proxy_of({"proxy1": NOTES})["sites"][0]["upstreams"]
    assert block["keepalive_timeout"] == "60s"


def test_what_a_site_says_of_timeouts_holds() -> None:
    site = {**SITE, "timeouts": {"connect": "3s"}}
    host = host_of("proxy1", {"app1": NOTES}, ["proxy1"], nginx_proxy_sites=[site])
    assert normalise("nginx_proxy", host)["sites"][0]["locations"][0]["timeouts"]["connect"] == "3s"


@pytest.mark.parametrize(
    ("apps", "line"),
    [
        ({"app1": {"gunicorn_app_name": "shop"}}, 'nginx_proxy_sites[0].app: "notes" is refused; accepted: shop, the'),
        ({}, 'nginx_proxy_sites[0].app: "notes" is refused; accepted: an application that a host of the group apps'),
        (
            {"app1": {**NOTES, "ansible_host": "127.0.0.1"}},
            'gunicorn_app_address of app1: "127.0.0.1" is refused; accepted: an address by which other hosts reach it',
        ),
        (
            {"app1": {**NOTES, "ansible_host": "10.0.0.1"}, "app2": {**NOTES, "ansible_host": "10.0.0.1"}},
            'gunicorn_app_address of app2: "10.0.0.1" is refused; accepted: another one than that of app1',
        ),
        ({"app1": {**NOTES, "gunicorn_app_address": "a;b"}}, 'gunicorn_app_address of app1: "a;b:8000" is refused'),
        ({"app1": {**NOTES, "gunicorn_app_port": 0}}, "gunicorn_app_port of app1: 0 is refused"),
        ({"app1": {**NOTES, "gunicorn_app_port": "x"}}, 'gunicorn_app_port: "x" is refused'),
    ],
)
def test_what_a_proxy_cannot_pass_on_to(apps: dict[str, Variables], line: str) -> None:
    with pytest.raises(Refused) as caught:
        proxy_of(apps)
    assert str(caught.value).startswith(line)


def test_nginx_gets_addresses_and_never_names() -> None:
    proxy = proxy_of({"proxy1": NOTES, "app2": NOTES, "app3": {**NOTES, "ansible_host": "10.0.0.3"}, "app4": NOTES})
    blocks = proxy["sites"][0]["upstreams"]
    assert names_of(blocks) == ["app2", "app4"]
    # And the other proxy, for challenges.
    assert proxy["looked_up"] == ["app2", "app4", "proxy2"]
    addressed = with_addresses(blocks[0], {"app2": ["10.0.0.2", "2001:db8::2"], "app4": ["2001:db8::4"]})
    assert [server["address"] for server in addressed["servers"]] == [
        "unix:/opt/notes/current.sock",
        "10.0.0.2:8000",
        "10.0.0.3:8000",
        "[2001:db8::4]:8000",
    ]
    with pytest.raises(Refused, match='gunicorn_app_address: "app4" is refused'):
        with_addresses(blocks[0], {"app2": ["10.0.0.2"], "app4": []})


def test_names_of_the_user_s_own_upstreams_stay_nginx_s_business() -> None:
    site = {"name": "notes", "domains": ["a.example.com"], "upstream": {"servers": ["backend:8000"]}}
    host = host_of("proxy1", {"app1": NOTES}, ["proxy1"], nginx_proxy_sites=[site])
    assert normalise("nginx_proxy", host)["looked_up"] == []


def test_a_lookup_by_the_shell() -> None:
    command = ["sh", "-c", lookup(["localhost", "no-such-host.invalid"])]
    text = subprocess.run(command, capture_output=True, text=True, check=True)
    found = resolved("ipv6\ncpus=2\n" + text.stdout)
    assert set(found) == {"localhost", "no-such-host.invalid"}
    assert found["no-such-host.invalid"] == []
    assert set(found["localhost"]) <= {"127.0.0.1", "::1"}
    assert lookup([]) == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("address=app1 2001:db8::1 10.0.0.1", {"app1": ["10.0.0.1", "2001:db8::1"]}),
        # Another host cannot reach it by that.
        ("address=app1 fe80::1 10.0.0.1", {"app1": ["10.0.0.1"]}),
        ("address=app1", {"app1": []}),
        ("nginx version: nginx/1.22.1", {}),
    ],
)
def test_what_a_lookup_says(text: str, found: dict[str, list[str]]) -> None:
    assert resolved(text) == found


@pytest.mark.parametrize(
    ("address", "name"),
    [("app1", True), ("10.0.0.1", False), ("[2001:db8::1]", False), ("10.0.0.0/8", False), ("a.example.com", True)],
)
def test_which_addresses_are_names(address: str, name: bool) -> None:
    assert is_name(address) is name


def application_of(
    least: dict[str, Variables], variables: Variables | None = None, proxies: t.Sequence[str] = ("proxy1",)
) -> dict[str, t.Any]:
    own = {**least["gunicorn_app"], **(variables or {})}
    host = host_of("app1", {"app1": own}, list(proxies), ansible_facts={"processor_nproc": 2, "memtotal_mb": 2048})
    return t.cast("dict[str, t.Any]", normalise("gunicorn_app", host)["applications"][0])


def test_a_port_is_open_only_where_another_host_has_a_proxy(least: dict[str, Variables]) -> None:
    assert application_of(least)["hop"] == {"port": 8000, "allow": ["proxy1"], "tls": None}
    assert application_of(least, proxies=["app1"])["hop"] is None
    assert application_of(least, proxies=["app1", "proxy2"])["hop"] == {"port": 8000, "allow": ["proxy2"], "tls": None}
    networks = application_of(least, {"gunicorn_app_proxies": ["10.0.0.0/24"], "gunicorn_app_port": 9000})["hop"]
    assert networks == {"port": 9000, "allow": ["10.0.0.0/24"], "tls": None}


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"gunicorn_app_port": 443}, "gunicorn_app_port: 443 is refused; accepted: a port that no site listens on"),
        ({"gunicorn_app_port": 65536}, "gunicorn_app_port: 65536 is refused"),
        ({"gunicorn_app_proxies": []}, "gunicorn_app_proxies: [] is refused; accepted: at least one network"),
        ({"gunicorn_app_proxies": ["0.0.0.0/0"]}, 'gunicorn_app_proxies[0]: "0.0.0.0/0" is refused'),
        ({"gunicorn_app_proxies": ["10.0.0.1/8"]}, 'gunicorn_app_proxies[0]: "10.0.0.1/8" is refused'),
        ({"gunicorn_app_proxies": ["proxy1"]}, 'gunicorn_app_proxies[0]: "proxy1" is refused'),
    ],
)
def test_a_port_that_is_refused(least: dict[str, Variables], variables: Variables, line: str) -> None:
    with pytest.raises(Refused) as caught:
        application_of(least, variables)
    assert str(caught.value).startswith(line)


def test_two_applications_need_a_port_each_where_ports_are_open(least: dict[str, Variables]) -> None:
    entries = [{"name": "notes"}, {"name": "shop"}]
    variables = {**{key: value for key, value in least["gunicorn_app"].items() if key != "gunicorn_app_name"}}
    least["gunicorn_app"] = variables
    with pytest.raises(Refused) as caught:
        application_of(least, {LIST: entries})
    assert str(caught.value) == "gunicorn_app_port: 8000 is refused; accepted: a port of its own; notes has this one"
    entries[1]["port"] = 8000  # type: ignore[assignment]
    with pytest.raises(Refused, match=r"gunicorn_app_applications\[1\]\.port: 8000 is refused"):
        application_of(least, {LIST: entries})
    entries[1]["port"] = 8001  # type: ignore[assignment]
    assert application_of(least, {LIST: entries})["hop"]["port"] == 8000
    # Alone on its host nobody minds.
    assert application_of(least, {LIST: [{"name": "notes"}, {"name": "shop"}]}, proxies=["app1"])["hop"] is None


def test_a_release_behind_other_hosts_proxies_is_confirmed_at_its_port(least: dict[str, Variables]) -> None:
    application = application_of(least, {"nginx_proxy_sites": [SITE]})
    smoke = {
        "path": "/health",
        "domain": "notes.example.com",
        "https": False,
        "timeout": 4,
        "port": 8000,
        "socket": None,
    }
    assert application["smoke"] == smoke
    # The site is known by the proxy's variables as well: applications refuse names that they do not know.
    own = least["gunicorn_app"]
    known = host_of("app1", {"app1": own}, ["proxy1"])
    known = Host(
        {**host_variables(known), "hostvars": {"app1": own, "proxy1": {"nginx_proxy_sites": [SITE]}}},
        lambda value: value,
    )
    assert normalise("gunicorn_app", known)["applications"][0]["health"]["host"] == "notes.example.com"


def host_variables(host: Host) -> Variables:
    return {**dict(host._variables), "ansible_facts": {"processor_nproc": 2, "memtotal_mb": 2048}}


def test_the_fence_lets_the_proxies_in_and_nobody_else(least: dict[str, Variables]) -> None:
    application = application_of(least, proxies=["proxy1", "proxy2"])
    assert names_to_allow([application]) == ["proxy1", "proxy2"]
    render = renderer(str(ROLES / "gunicorn_app"), "gunicorn_app")
    addresses = {"proxy1": ["10.0.0.9", "2001:db8::9"], "proxy2": ["10.0.0.10"]}
    files = hop_files(render, application, addresses)
    rules = [line.strip() for line in files["/etc/asgi-deploy/fences/notes-8000.nft"]["text"].splitlines()]
    chain = rules[rules.index("chain fence {") + 1 :]
    assert chain[: chain.index("}")] == [
        "iif lo accept",
        "ip saddr 10.0.0.9 accept",
        "ip saddr 10.0.0.10 accept",
        "ip6 saddr 2001:db8::9 accept",
        "meta l4proto tcp reject with tcp reset",
    ]
    with pytest.raises(Refused, match='gunicorn_app_proxies: "proxy2" is refused'):
        hop_files(render, application, {"proxy1": ["10.0.0.9"]})


def test_proxies_that_ansible_reaches_over_loopback_have_to_be_named(least: dict[str, Variables]) -> None:
    own = least["gunicorn_app"]
    known = host_of("app1", {"app1": own}, ["proxy1"])
    known = Host(
        {**host_variables(known), "hostvars": {"app1": own, "proxy1": {"ansible_host": "127.0.0.1"}}},
        lambda value: value,
    )
    with pytest.raises(Refused, match="gunicorn_app_proxies: null is refused; accepted: the addresses from which"):
        normalise("gunicorn_app", known)
