# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Floating addresses: what is refused, how the proxies know each other, and keepalived's files for a host."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.floating_needs import (
    CHECK_PROGRAM,
    CONFIG,
    DROP_IN,
    HostNetwork,
    files,
    holders_problem,
    host_network,
    probe,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.host_questions import host_questions
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

Values = dict[str, t.Any]

ROLE = "floating_address"
ADDRESS = "192.0.2.10/24"
KEYS = ("addresses", "interface", "peers", "router_id", "state")


def structure(*, hosts: dict[str, Values] | None = None, grouped: bool = True, **values: t.Any) -> Values:
    """Return the structure of web1, which has the ``values`` besides the address.

    :param hosts: what the inventory says of the others, by name
    """
    others: dict[str, Values] = {"web2": {}} if hosts is None else hosts
    said: Values = {"floating_address_addresses": [ADDRESS]}
    said.update({f"{ROLE}_{name}" if name in KEYS else name: value for name, value in values.items()})
    own = {"inventory_hostname": "web1", **said}
    known = {"web1": own, **{name: {"inventory_hostname": name, **said, **more} for name, more in others.items()}}
    around: Values = {"groups": {"proxies": list(known)}, "hostvars": known} if grouped else {}
    return normalise(ROLE, Host({**own, **around}, lambda value: value))


def refusal(**values: t.Any) -> str:
    with pytest.raises(Refused) as caught:
        structure(**values)
    return str(caught.value)


def test_the_least_that_is_said() -> None:
    assert structure(hosts={"web2": {"ansible_host": "10.0.0.12"}, "web3": {}}) == {
        "state": "present",
        "addresses": [ADDRESS],
        "interface": None,
        "router_id": 51,
        "peers": ["10.0.0.12", "web3"],
        "peers_path": "groups.proxies",
        "known_as": "web1",
        "priority": 250,
        "status_port": 8099,
    }


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("2001:DB8:0::10/64", "2001:db8::10/64"),
        ("192.0.2.10/32", "192.0.2.10/32"),
        ("192.0.2.0/31", "192.0.2.0/31"),
        ("2001:db8::ffff:ffff:ffff:ffff/64", "2001:db8::ffff:ffff:ffff:ffff/64"),
    ],
)
def test_an_address_is_written_as_the_host_shows_it(written: str, address: str) -> None:
    assert structure(addresses=[written])["addresses"] == [address]


WITH_PREFIX = "an address with the prefix length of its network, such as 192.0.2.10/24 or 2001:db8::10/64"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"addresses": []}, "floating_address_addresses: [] is refused; accepted: at least one address;"),
        ({"addresses": None}, "floating_address_addresses: [] is refused; accepted: at least one address;"),
        ({"addresses": ["192.0.2.10"]}, f'[0]: "192.0.2.10" is refused; accepted: {WITH_PREFIX}'),
        ({"addresses": ["192.0.2.10/255.255.255.0"]}, f"is refused; accepted: {WITH_PREFIX}"),
        ({"addresses": ["192.0.2.10/33"]}, f"is refused; accepted: {WITH_PREFIX}"),
        ({"addresses": ["192.0.2.300/24"]}, f"is refused; accepted: {WITH_PREFIX}"),
        ({"addresses": ["shop.example.com/24"]}, f"is refused; accepted: {WITH_PREFIX}"),
        ({"addresses": ["fe80::1%eth0/64"]}, f"is refused; accepted: {WITH_PREFIX}"),
        ({"addresses": ["192.0.2.10/24\n}"]}, f"is refused; accepted: {WITH_PREFIX}"),
        ({"addresses": ["192.0.2.10/\u0662\u0664"]}, f"is refused; accepted: {WITH_PREFIX}"),
        ({"addresses": ["127.0.0.2/8"]}, "an address that a host can have, and others reach"),
        ({"addresses": ["0.0.0.0/24"]}, "an address that a host can have, and others reach"),
        ({"addresses": ["224.0.0.18/24"]}, "an address that a host can have, and others reach"),
        ({"addresses": ["fe80::1/64"]}, "an address that a host can have, and others reach"),
        ({"addresses": ["192.0.2.10/0"]}, "an address that a host can have, and others reach"),
        ({"addresses": ["192.0.2.0/24"]}, "this one is the network itself, and no host's"),
        ({"addresses": ["192.0.2.255/24"]}, "this one is the network itself, and no host's"),
        ({"addresses": ["2001:db8::/64"]}, "this one is the network itself, and no host's"),
        ({"addresses": [ADDRESS, "192.0.2.10/32"]}, 'addresses[1]: "192.0.2.10/32" is refused; accepted: each'),
        ({"addresses": ADDRESS}, "floating_address_addresses: "),
        ({"hosts": {"web2": {"ansible_host": "192.0.2.10"}}}, "has for itself; this one is that of web2"),
        ({"ansible_host": "192.0.2.10"}, "has for itself; this one is that of web1"),
        ({"peers": ["192.0.2.10"]}, "has for itself; this one is that of 192.0.2.10"),
        ({"router_id": 0}, "floating_address_router_id: 0 is refused; accepted: an integer from 1 to 255"),
        ({"router_id": 256}, "floating_address_router_id: 256 is refused; accepted: an integer from 1 to 255"),
        ({"state": "here"}, "floating_address_state: "),
        ({"interface": "lo"}, 'floating_address_interface: "lo" is refused; accepted: the name of a network interface'),
        ({"interface": "eth0:1"}, "accepted: the name of a network interface"),
        ({"interface": "eth0 }"}, "accepted: the name of a network interface"),
        ({"interface": "a" * 16}, "accepted: the name of a network interface"),
        ({"hosts": {}}, 'groups.proxies: ["web1"] is refused; accepted: two hosts or more with these addresses'),
        ({"hosts": {"web2": {"floating_address_state": "absent"}}}, 'groups.proxies: ["web1"] is refused; accepted:'),
        ({"grouped": False}, "groups.proxies: null is refused; accepted: a group of this name with this host in it"),
        ({"peers": []}, "floating_address_peers: [] is refused; accepted: at least one host"),
        ({"peers": ["web2:80"]}, 'floating_address_peers[0]: "web2:80" is refused; accepted: a host name'),
        ({"peers": ["[::1]"]}, "accepted: a host name, or an address"),
        ({"peers": ["web2; reboot"]}, "accepted: a host name, or an address"),
        ({"peers": ["web2", "web2"]}, 'floating_address_peers[1]: "web2" is refused; accepted: each host once'),
        ({"peers": ["web1"]}, 'floating_address_peers[0]: "web1" is refused; accepted: another host'),
        (
            {"hosts": {"web2": {"floating_address_addresses": ["192.0.2.11/24"]}}},
            f'addresses: ["{ADDRESS}"] is refused; accepted: the same on all hosts of the group proxies; web2',
        ),
        (
            {"hosts": {"web2": {"floating_address_router_id": 52}}},
            "floating_address_router_id: 51 is refused; accepted: the same on all hosts of the group proxies; web2",
        ),
        ({"nginx_proxy_status_port": 0}, "nginx_proxy_status_port: 0 is refused; accepted: an integer from 1 to 65535"),
        ({"floating_address_adresses": []}, "accepted: floating_address_addresses;"),
    ],
)  # fmt: skip
def test_refused(values: Values, message: str) -> None:
    assert message in refusal(**values)


def test_an_absent_one_needs_nothing_else() -> None:
    for found in (structure(state="absent", addresses=None), structure(state="absent", grouped=False)):
        assert found["state"] == "absent"
        assert found["peers"] == []
        assert host_questions(ROLE, found) == {}


def test_a_host_that_is_taken_out_is_nobodys_partner() -> None:
    found = structure(hosts={"web2": {"floating_address_state": "absent"}, "web3": {}})
    assert found["peers"] == ["web3"]


def test_variables_of_a_play_are_not_held_against_the_inventorys() -> None:
    """What a play says of web2 is not known on web1."""
    known: Values = {"web1": {"inventory_hostname": "web1"}, "web2": {"inventory_hostname": "web2"}}
    variables = {"inventory_hostname": "web1", "groups": {"proxies": ["web1", "web2"]}, "hostvars": known}
    host = Host({**variables, "floating_address_addresses": [ADDRESS]}, lambda value: value)
    assert normalise(ROLE, host)["peers"] == ["web2"]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(2, [250, 200]), (3, [250, 200, 150]), (6, [250, 210, 170, 130, 90, 50]), (300, None)],
)
def test_no_two_hosts_wait_equally_long(count: int, expected: list[int] | None) -> None:
    names = [f"web{number}" for number in range(1, count + 1)]
    known = {name: {"inventory_hostname": name, "floating_address_addresses": [ADDRESS]} for name in names}
    around: Values = {"groups": {"proxies": names}, "hostvars": known}
    found = [normalise(ROLE, Host({**known[name], **around}, lambda value: value))["priority"] for name in names]
    assert expected is None or found == expected
    assert all(1 <= priority <= 254 for priority in found)


def test_the_host_is_asked_what_only_it_knows() -> None:
    found = host_questions(ROLE, structure(interface="eth1", addresses=[ADDRESS, "2001:db8::1/64"]))
    assert found["named"] == [
        {"kind": "interface", "path": "floating_address_interface", "value": "eth1"},
        {"kind": "free_address", "path": "floating_address_addresses[0]", "value": "192.0.2.10"},
        {"kind": "free_address", "path": "floating_address_addresses[1]", "value": "2001:db8::1"},
        {"kind": "host", "path": "groups.proxies", "value": "web2"},
    ]


PRINTED = """\
route default via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.11 metric 100
route default via 192.0.2.2 dev eth1 metric 200
link 1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN\\    link/loopback 00:00:00:00:00:00
link 12: eth0@if13: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500\\    link/ether 02:42:ac:17:00:02
link 14: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500\\    link/ether 02:42:ac:17:00:03
address 1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
address 12: eth0    inet 192.0.2.11/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever
address 12: eth0    inet6 2001:db8::11/64 scope global \\       valid_lft forever preferred_lft forever
name web2 192.0.2.12
source 192.0.2.12 192.0.2.12 dev eth0 src 192.0.2.11 uid 0 \\    cache
name web2 2001:db8::12
source 2001:db8::12 2001:db8::12 from :: dev eth0 src 2001:db8::11 metric 256 pref medium
name web2 fe80::12%eth0
source fe80::12%eth0
name web1 127.0.1.1
source 127.0.1.1 local 127.0.1.1 dev lo src 127.0.0.1 uid 0
"""

NETWORK = HostNetwork(
    default_interface="eth0",
    interfaces=("lo", "eth0", "eth1"),
    own=frozenset(["127.0.0.1", "192.0.2.11", "2001:db8::11"]),
    resolved={"web2": ("192.0.2.12", "2001:db8::12"), "web1": ("127.0.1.1",)},
    sources={"192.0.2.12": "192.0.2.11", "2001:db8::12": "2001:db8::11", "127.0.1.1": "127.0.0.1"},
)


def test_what_the_host_says_is_understood() -> None:
    assert host_network(PRINTED) == NETWORK
    assert host_network("") == HostNetwork(None, (), frozenset(), {}, {})


def test_the_host_is_asked_for_the_others_and_itself() -> None:
    assert "for name in web2 web1; do" in probe(structure())
    assert "for name in 10.0.0.12; do" in probe(structure(peers=["10.0.0.12"]))


def rendered(found: Values, **network: t.Any) -> str:
    render = renderer(str(ROLES / ROLE), ROLE)
    written = files(found, NETWORK._replace(**network), render)
    # The test of the configuration looks for the program that it names.
    assert list(written) == [CHECK_PROGRAM, DROP_IN, CONFIG]
    assert [written[path]["mode"] for path in written] == ["0755", "0644", "0644"]
    assert "Managed by Ansible (asgi.deploy, role floating_address)" in written[CONFIG]["text"].splitlines()[0]
    return written[CONFIG]["text"]


def block(text: str, name: str) -> list[str]:
    """Return the lines of a block inside the instance, without its braces."""
    return [line.strip() for line in text.partition(f"    {name} {{\n")[2].partition("    }\n")[0].splitlines()]


def test_configuration() -> None:
    text = rendered(structure(addresses=[ADDRESS, "2001:db8::10/64", "192.0.2.20/32"], router_id=7))
    for line in (
        "interface eth0",
        "virtual_router_id 7",
        "priority 250",
        "state BACKUP",
        "nopreempt",
        "advert_int 0.5",
    ):
        assert f"\n    {line}\n" in text
    assert f'script "{CHECK_PROGRAM} 8099"' in text
    # Of IPv6 packets it would be 64, and others are not believed.
    assert "\n    unicast_ttl 255\n" in text
    assert "unicast_src_ip 192.0.2.11\n" in text
    assert block(text, "unicast_peer") == ["192.0.2.12 min_ttl 255"]
    assert block(text, "virtual_ipaddress") == [ADDRESS, "192.0.2.20/32"]
    assert block(text, "virtual_ipaddress_excluded") == ["2001:db8::10/64 preferred_lft 0"]


def test_addresses_of_ipv6_alone_are_talked_about_over_ipv6() -> None:
    text = rendered(structure(addresses=["2001:db8::10/64"]))
    assert "unicast_src_ip 2001:db8::11\n" in text
    assert block(text, "unicast_peer") == ["2001:db8::12 min_ttl 255"]
    assert block(text, "virtual_ipaddress") == ["2001:db8::10/64 preferred_lft 0"]
    assert "virtual_ipaddress_excluded" not in text


def test_a_host_is_the_address_that_the_others_know() -> None:
    """Of several that it has: the inventory's. Where the hosts were named for this, the one on the way to them."""
    own = frozenset([*NETWORK.own, "192.0.2.13"])
    known = {**NETWORK.resolved, "web1": ("192.0.2.13",)}
    assert "unicast_src_ip 192.0.2.13\n" in rendered(structure(), own=own, resolved=known)
    assert "unicast_src_ip 192.0.2.11\n" in rendered(structure(peers=["web2"]), own=own, resolved=known)
    # Not one that a router in between gives it.
    known["web1"] = ("203.0.113.9",)
    assert "unicast_src_ip 192.0.2.11\n" in rendered(structure(), resolved=known)


def test_a_name_has_the_same_address_in_each_run() -> None:
    several = {"web2": ("192.0.2.14", "192.0.2.12", "192.0.2.100")}
    assert block(rendered(structure(), resolved=several), "unicast_peer") == ["192.0.2.12 min_ttl 255"]


@pytest.mark.parametrize(
    ("values", "network", "message"),
    [
        ({}, {"default_interface": None}, "floating_address_interface: null is refused; accepted: a network"),
        ({"interface": "eth7"}, {}, "accepted: an interface that the host has: eth0, eth1"),
        ({}, {"resolved": {}}, 'groups.proxies: "web2" is refused; accepted: hosts whose names this host can resolve'),
        ({"peers": ["web3"]}, {}, 'floating_address_peers: "web3" is refused; accepted: hosts whose names this host'),
        ({}, {"resolved": {"web2": ("127.0.0.1",)}}, "hosts that reach each other over IPv4, as the address"),
        ({}, {"resolved": {"web2": ("2001:db8::12",)}}, "hosts that reach each other over IPv4, as the address"),
        ({}, {"sources": {}}, 'groups.proxies: "192.0.2.12" is refused; accepted: hosts that this host has a route to'),
        ({"addresses": ["192.0.2.12/24"]}, {}, "an address that no host has for itself; this one is that of web2"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_network_is_refused(values: Values, network: Values, message: str) -> None:
    with pytest.raises(Refused) as caught:
        rendered(structure(**values), **network)
    assert message in str(caught.value)


HELD = {"held": ["192.0.2.10", "192.0.2.20"]}
NOTHING: Values = {"held": []}


@pytest.mark.parametrize(
    ("results", "problem"),
    [
        ({"web1": HELD, "web2": NOTHING}, None),
        ({"web1": NOTHING, "web2": HELD}, None),
        # A play with --limit: the other one may have them.
        ({"web1": NOTHING}, None),
        ({"web1": HELD, "web2": HELD}, "192.0.2.10 is held by web1 and web2 at once"),
        ({"web1": NOTHING, "web2": NOTHING}, "192.0.2.10 is held by none of web1, web2"),
        ({"web1": {"held": ["192.0.2.10"]}, "web2": NOTHING}, "192.0.2.20 is held by none of web1, web2"),
        ({"web1": HELD, "web2": {"failed": True, "msg": "no"}}, "web2 could not take the configuration, and all"),
        ({"web1": HELD, "web2": {}}, None),
        ({"web1": NOTHING, "web2": {}}, None),
    ],
)
def test_exactly_one_host_holds_each_address(results: dict[str, Values], problem: str | None) -> None:
    found = holders_problem(results, [ADDRESS, "192.0.2.20/32"], ["web1", "web2"])
    assert (found is None) if problem is None else problem in str(found)
