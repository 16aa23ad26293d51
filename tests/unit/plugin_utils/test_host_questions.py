# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host is asked of a role's variables, and what it is not: every question costs a trip."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.host_questions import all_questions, host_questions
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise

Normalise = t.Callable[..., dict[str, t.Any]]

DNS = {
    "certbot_certificates": [{"name": "all", "domains": ["*.example.com"]}],
    "certbot_challenge": "dns",
    "certbot_dns_plugin": "ovh",
    "certbot_dns_credentials": {"dns_ovh_application_key": "key"},
}
NAME = {"kind": "application", "path": "gunicorn_app_name", "value": "notes"}


@pytest.mark.parametrize(
    ("role", "variables", "named"),
    [
        ("nginx_proxy", {}, []),
        ("certbot", {}, []),
        ("certbot", {"certbot_ca_bundle": "/etc/ca.pem"},
         [{"kind": "authorities", "path": "certbot_ca_bundle", "value": "/etc/ca.pem"}]),
        ("certbot", {"certbot_textfile_dir": "/srv/metrics"},
         [{"kind": "folder", "path": "certbot_textfile_dir", "value": "/srv/metrics"}]),
        ("certbot", {"certbot_profile": "shortlived"},
         [{"kind": "profile", "path": "certbot_profile", "value": "shortlived"}]),
        ("certbot", {"certbot_certificates": [
            {"name": "gone", "state": "absent", "profile": "old"},
            {"name": "here", "domains": ["here.example.com"], "profile": "shortlived"}]},
         [{"kind": "profile", "path": "certbot_certificates[1].profile", "value": "shortlived"}]),
        ("certbot", DNS, [{"kind": "dns_plugin", "path": "certbot_dns_plugin", "value": "ovh"}]),
        # PyPI has them all.
        ("certbot", {**DNS, "certbot_version": "5.8.0"},
         [{"kind": "own_certbot", "path": "certbot_version", "value": "5.8.0"}]),
        # A version of one's own knows profiles; only its place on the host is in question.
        ("certbot", {"certbot_profile": "shortlived", "certbot_version": "5.8.0"},
         [{"kind": "own_certbot", "path": "certbot_version", "value": "5.8.0"}]),
        ("gunicorn_app", {}, [NAME]),
        ("gunicorn_app", {"gunicorn_app_python": "/usr/bin/python3.13"},
         [NAME, {"kind": "interpreter", "path": "gunicorn_app_python", "value": "/usr/bin/python3.13"}]),
        ("gunicorn_app", {"gunicorn_app_proxy_group": "haproxy"},
         [NAME, {"kind": "group", "path": "gunicorn_app_proxy_group", "value": "haproxy"}]),
    ],
)  # fmt: skip
def test_questions(normalised: Normalise, role: str, variables: dict[str, t.Any], named: t.Any) -> None:
    structure = normalised(role, **variables)
    if role == "gunicorn_app":
        structure = {"applications": [structure]}
    assert host_questions(role, structure) == ({"named": named} if named else {})


def test_what_a_trial_would_replace(normalised: Normalise) -> None:
    """Only what is to be there: what is deleted is no trial."""
    certificates = [{"name": "gone", "state": "absent"}, {"name": "here", "domains": ["here.example.com"]}]
    structure = normalised("certbot", certbot_certificates=certificates, certbot_staging=True)
    asked = {"server": structure["server"], "certificates": ["here"]}
    assert host_questions("certbot", structure) == {"staging": asked}


def test_each_application_of_a_list_is_asked_for_at_its_own_place(least: dict[str, dict[str, t.Any]]) -> None:
    """Of one that is to go only the name matters: its interpreter may be gone before it."""
    variables = {**least["gunicorn_app"], "gunicorn_app_python": "/opt/python/bin/python3", "gunicorn_app_workers": 1}
    del variables["gunicorn_app_name"]
    listed = [{"name": "notes"}, {"name": "old", "state": "absent"}, {"name": "api", "proxy_group": "haproxy"}]
    host = Host({**variables, "gunicorn_app_applications": listed}, lambda value: value)
    python = {"kind": "interpreter", "path": "gunicorn_app_python", "value": "/opt/python/bin/python3"}
    place = "gunicorn_app_applications"
    assert host_questions("gunicorn_app", normalise("gunicorn_app", host))["named"] == [
        {"kind": "application", "path": f"{place}[0].name", "value": "notes"},
        python,
        {"kind": "absent", "path": f"{place}[1].name", "value": "old"},
        {"kind": "application", "path": f"{place}[2].name", "value": "api"},
        python,
        {"kind": "group", "path": f"{place}[2].proxy_group", "value": "haproxy"},
    ]


OWN = {"source": "files", "certificate": "/etc/ssl/own.pem", "key": "/etc/ssl/private/own.pem"}
SITE: dict[str, t.Any] = {"name": "own", "domains": ["own.example.com"], "upstream": {"servers": ["127.0.0.1:8000"]}}


def test_a_sites_own_files(normalised: Normalise) -> None:
    """Names that are only redirected are served with the same certificate."""
    redirects = [{"domain": "www.own.example.com", "to": "own.example.com"}]
    site = {**SITE, "tls": {**OWN, "client_ca": "/etc/ssl/clients.pem"}, "redirects": redirects}
    place = "nginx_proxy_sites[0].tls"
    assert host_questions("nginx_proxy", normalised("nginx_proxy", nginx_proxy_sites=[site])) == {
        "pairs": [
            {
                "path": place,
                "certificate": OWN["certificate"],
                "key": OWN["key"],
                "domains": ["own.example.com", "www.own.example.com"],
            }
        ],
        "named": [{"kind": "authorities", "path": f"{place}.client_ca", "value": "/etc/ssl/clients.pem"}],
    }


def test_the_questions_of_all_roles_are_asked_together(normalised: Normalise) -> None:
    structures = {
        "gunicorn_app": {"applications": [normalised("gunicorn_app")]},
        "nginx_proxy": normalised("nginx_proxy"),
        "certbot": normalised("certbot", certbot_ca_bundle="/etc/ca.pem", certbot_staging=True),
    }
    asked = all_questions(structures)
    assert asked["named"] == [NAME, {"kind": "authorities", "path": "certbot_ca_bundle", "value": "/etc/ca.pem"}]
    assert asked["staging"] == host_questions("certbot", structures["certbot"])["staging"]
    assert set(asked) == {"named", "staging"}


def test_a_port_is_asked_for_where_it_is_to_be_open(least: dict[str, dict[str, t.Any]]) -> None:
    """One that is open with TLS is not changed to plain HTTP, nor back, and one that is not ours is not opened."""
    known = {"inventory_hostname": "app1", "groups": {"apps": ["app1"], "proxies": ["proxy1"]}, **least["gunicorn_app"]}
    structure = normalise("gunicorn_app", Host({**known, "gunicorn_app_workers": 1}, lambda value: value))
    asked = {"kind": "plain_port", "path": "gunicorn_app_port", "value": "8000", "application": "notes"}
    assert asked in host_questions("gunicorn_app", structure)["named"]
    structure["applications"][0]["hop"]["tls"] = {"name": "notes"}
    assert {**asked, "kind": "tls_port"} in host_questions("gunicorn_app", structure)["named"]


def test_a_proxy_that_the_host_cannot_resolve_is_found_before_the_release(least: dict[str, dict[str, t.Any]]) -> None:
    """Its fence knows addresses only. Asked once for all applications, and not where networks were given."""
    shared = {**least["gunicorn_app"], "gunicorn_app_workers": 1}
    del shared["gunicorn_app_name"]
    known = {
        "inventory_hostname": "app1",
        "groups": {"apps": ["app1"], "proxies": ["proxy1", "proxy2"]},
        "hostvars": {"proxy1": {"ansible_host": "proxy1.example.com"}, "proxy2": {"ansible_host": "192.0.2.2"}},
        **shared,
        "gunicorn_app_applications": [{"name": "notes"}, {"name": "shop", "port": 8001}],
    }

    def asked(**more: t.Any) -> list[dict[str, str]]:
        structure = normalise("gunicorn_app", Host({**known, **more}, lambda value: value))
        return [one for one in host_questions("gunicorn_app", structure)["named"] if one["kind"] == "host"]

    assert asked() == [{"kind": "host", "path": "gunicorn_app_proxies", "value": "proxy1.example.com"}]
    assert asked(gunicorn_app_proxies=["192.0.2.0/28"]) == []
    assert asked(gunicorn_app_applications=[{"name": "notes", "state": "absent"}]) == []
