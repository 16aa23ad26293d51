"""Bad inputs through a real play, one of each class: refused before anything on the host changes, in one line.

Each input has a host of its own in the inventory, and these hosts are the scenario's two containers by other names:
one run refuses them all. The unit tests have every other input of each class.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from machine import Machine
from playbook import Outcome, Playbook
from proxy_sites import only, sites

FOLDERS = ("/etc", "/usr/local", "/var/lib/dpkg", "/var/www", "/var/cache/nginx")
SITES = "nginx_proxy_sites"
SECRET = "se-cr\net"


def site(**changes: Any) -> dict[str, Any]:
    return {SITES: [{**sites_by_name()["smallest"], **changes}]}


def sites_by_name() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in sites()}


def upstream(*servers: Any, **changes: Any) -> dict[str, Any]:
    return site(upstream={"servers": list(servers), **changes})


def limit(**rules: Any) -> dict[str, Any]:
    return site(limits=[rules])


def trusted(network: str, **more: Any) -> dict[str, Any]:
    return {"nginx_proxy_client_address": {"trusted": [network], **more}}


def pair(certificate: str, key: str) -> dict[str, Any]:
    folder = "/etc/asgi-tests"
    return site(tls={"source": "files", "certificate": f"{folder}/{certificate}", "key": f"{folder}/{key}"})


TWO = [
    {**sites_by_name()["smallest"], "name": "one"},
    {**sites_by_name()["smallest"], "name": "two"},
]
DOMAINS = ["a; return 200", "a b", "https://a.test", "a.test:80", "a.test/x", "ä.test", "a.test.", "", "a.*.test"]

#: In two parts: a test holds every name of this form against the argument specs.
MISSPELT = "_".join(["nginx_proxy", "site"])

#: Variables, the place in the message, and the value as it is shown.
INPUTS: list[tuple[dict[str, Any], str, str]] = [
    *((site(domains=[name]), f"{SITES}[0].domains[0]", json.dumps(name)) for name in DOMAINS),
    ({SITES: TWO}, f"{SITES}[1].domains[0]", '"smallest.example.test"'),
    ({SITES: [TWO[0], {**TWO[0], "domains": ["b.example.test"]}]}, f"{SITES}[1].name", '"one"'),
    (site(name="Up"), f"{SITES}[0].name", '"Up"'),
    (site(headers={"X-A": "a\nb"}), f"{SITES}[0].headers.X-A", '"a\\nb"'),
    (site(headers={"X A": "a"}), f'{SITES}[0].headers."X A"', '"X A"'),
    (site(headers={"X-A": 'a"b'}), f"{SITES}[0].headers.X-A", '"a\\"b"'),
    (site(headers={"X-A": "$nothing"}), f"{SITES}[0].headers.X-A", '"$nothing"'),
    (site(locations=[{"path": "/a/", "allow": None}]), f"{SITES}[0].locations[0].allow", "null"),
    (site(locations=[{"path": "/a/", "basic_auth": None}]), f"{SITES}[0].locations[0].basic_auth", "null"),
    (limit(rate="10"), f"{SITES}[0].limits[0].rate", '"10"'),
    (limit(rate="0r/s"), f"{SITES}[0].limits[0].rate", '"0r/s"'),
    (limit(rate="1r/s", burst=1, delay=2), f"{SITES}[0].limits[0].delay", "2"),
    (limit(rate="1r/s", burst=-1), f"{SITES}[0].limits[0].burst", "-1"),
    (limit(rate="1r/s", key="header", header="X-User"), f"{SITES}[0].limits[0].header", '"X-User"'),
    (upstream("127.0.0.1"), f"{SITES}[0].upstream.servers[0]", '"127.0.0.1"'),
    (upstream("127.0.0.1:70000"), f"{SITES}[0].upstream.servers[0]", '"127.0.0.1:70000"'),
    (upstream("unix:a.sock"), f"{SITES}[0].upstream.servers[0]", '"unix:a.sock"'),
    (upstream("127.0.0.1:1", "127.0.0.1:1"), f"{SITES}[0].upstream.servers[1]", '"127.0.0.1:1"'),
    (upstream({"address": "127.0.0.1:1", "down": True}), f"{SITES}[0].upstream.servers", "127.0.0.1:1"),
    (upstream({"address": "127.0.0.1:1", "backup": True}), f"{SITES}[0].upstream.servers", "127.0.0.1:1"),
    (upstream({"address": "127.0.0.1:1", "weight": 0}), f"{SITES}[0].upstream.servers[0].weight", "0"),
    (upstream("127.0.0.1:1", method="least_time"), f"{SITES}[0].upstream.method", '"least_time"'),
    (upstream("127.0.0.1:1", method="hash"), f"{SITES}[0].upstream.hash_key", "null"),
    (upstream("127.0.0.1:1", keepalive=0), f"{SITES}[0].upstream.keepalive", "0"),
    (upstream("127.0.0.1:1", zone_size="8k"), f"{SITES}[0].upstream.zone_size", '"8k"'),
    (trusted("0.0.0.0/0"), "nginx_proxy_client_address.trusted[0]", '"0.0.0.0/0"'),
    (trusted("::/0"), "nginx_proxy_client_address.trusted[0]", '"::/0"'),
    (trusted("10.0.0.1/8"), "nginx_proxy_client_address.trusted[0]", '"10.0.0.1/8"'),
    (
        trusted("10.0.0.1", proxy_protocol=True, headers=["X-Tenant"]),
        "nginx_proxy_client_address.headers",
        '["X-Tenant"]',
    ),
    (site(static=[{"path": "/s", "folder": "/srv/s/"}]), f"{SITES}[0].static[0].path", '"/s"'),
    (site(static=[{"path": "/s/", "folder": "/srv/s"}]), f"{SITES}[0].static[0].folder", '"/srv/s"'),
    (site(static=[{"path": "/s/", "folder": "/srv/../s/"}]), f"{SITES}[0].static[0].folder", '"/srv/../s'),
    ({"nginx_proxy_tls_protocols": ["TLSv1.1"]}, "nginx_proxy_tls_protocols", "TLSv1.1"),
    ({"nginx_proxy_tls_ciphers": ["ECDHE-RSA-AES128-GCM-SHA256", "RC4"]}, "nginx_proxy_tls_ciphers[1]", '"RC4"'),
    ({"nginx_proxy_tls_curves": ["X25519", "P-999"]}, "nginx_proxy_tls_curves[1]", '"P-999"'),
    (site(timeouts={"read": "0"}), f"{SITES}[0].timeouts.read", '"0"'),
    (site(timeouts={"read": "60sec"}), f"{SITES}[0].timeouts.read", '"60sec"'),
    (site(timeouts={"read": "60 s"}), f"{SITES}[0].timeouts.read", '"60 s"'),
    (site(body_size="10mb"), f"{SITES}[0].body_size", '"10mb"'),
    (site(body_size="0"), f"{SITES}[0].body_size", '"0"'),
    (pair("absent.pem", "site.key"), f"{SITES}[0].tls", "/etc/asgi-tests/absent.pem"),
    (pair("site.pem", "alice.key"), f"{SITES}[0].tls", "/etc/asgi-tests/site.pem"),
    (pair("alice.pem", "alice.key"), f"{SITES}[0].tls", "smallest.example.test"),
    (site(tls={**TWO[0]["tls"], "client_ca": "/etc/no.pem"}), f"{SITES}[0].tls.client_ca", "/etc/no.pem"),
    (site(basic_auth={"users": {"alice": SECRET}}), f"{SITES}[0].basic_auth.users.alice", "hidden"),
    (site(extra="}"), f"{SITES}[0].extra", '"}"'),
    (site(limts=[]), f"{SITES}[0].limts", "[]"),
    ({MISSPELT: []}, MISSPELT, "nginx_proxy_sites"),
]
NAMES = [f"input{index}" for index in range(len(INPUTS))]


@pytest.fixture(scope="module")
def refused(machines: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    hosts = {
        name: {
            **only("smallest"),
            **variables,
            "ansible_connection": "community.docker.docker",
            "ansible_host": machines[index % len(machines)].name,
        }
        for index, (name, (variables, _place, _value)) in enumerate(zip(NAMES, INPUTS, strict=True))
    }
    inventory = tmp_path_factory.mktemp("inventory") / "hosts.json"
    inventory.write_text(json.dumps({"proxies": {"hosts": hosts}}), encoding="utf-8")
    before = [machine.files(*FOLDERS) for machine in machines]
    outcome = Playbook(NAMES, [inventory])(code=2)
    assert [machine.files(*FOLDERS) for machine in machines] == before
    return outcome


@pytest.mark.parametrize(("name", "place", "value"), [(n, p, v) for n, (_v, p, v) in zip(NAMES, INPUTS, strict=True)])
def test_a_bad_input_is_refused_before_any_change(refused: Outcome, name: str, place: str, value: str) -> None:
    tasks = refused.hosts[name]
    assert tasks.changed == []
    message = tasks.message.strip()
    assert "\n" not in message
    assert message.startswith(place), message
    assert value in message
    assert "accepted: " in message


def test_no_secret_is_shown(refused: Outcome) -> None:
    assert "se-cr" not in refused.output


ODD: list[dict[str, Any]] = [
    {"name": "wild", "domains": ["*.wild.example.test", "a.b", "xn--gre-joa5i.example.test"]},
    {"name": "six", "domains": ["six.example.test"], "upstream": {"servers": ["[2001:db8::1]:8000"]}},
    {"name": "hsts", "domains": ["hsts.example.test"], "tls": {"source": "self_signed", "hsts_max_age": 0}},
    {"name": "large", "domains": ["large.example.test"], "body_size": "2g", "timeouts": {"read": "1h30m"}},
    {
        "name": "csp",
        "domains": ["csp.example.test"],
        "headers": {"Content-Security-Policy": "default-src 'self'; report-to \\\"x\\\"", "X-Empty": ""},
    },
    {"name": "unlimited", "domains": ["unlimited.example.test"], "body_size": "unlimited"},
]


def test_odd_but_right_inputs_are_taken(machines: list[Machine], play: Playbook) -> None:
    general = {"upstream": {"servers": ["127.0.0.1:9000"]}, "tls": {"source": "self_signed"}}
    outcome = play("--check", extra={SITES: [{**general, **one} for one in ODD]}, code=0)
    for machine in machines:
        assert outcome.hosts[machine.name].changed == ["Put the configuration live"]
