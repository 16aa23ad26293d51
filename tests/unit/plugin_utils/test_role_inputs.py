# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's variables, templated only where they are asked for."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise, options_of


class Text(str):
    """Stands for the tagged strings of ansible-core."""


def host(**variables: t.Any) -> tuple[Host, list[t.Any]]:
    """Return a host, and the list in which what was templated is written down."""
    asked: list[t.Any] = []

    def template(value: t.Any) -> t.Any:
        asked.append(value)
        known = {"{{ name }}": Text("notes"), "{{ nothing }}": None}
        return known.get(value, value) if isinstance(value, str) else value

    return Host(variables, template), asked


def test_get_templates_and_makes_plain() -> None:
    web, asked = host(a="{{ name }}", b="{{ other }}")
    assert web.get("a") == "notes"
    assert {type(web.get("a"))} == {str}
    assert asked == ["{{ name }}"] * 2
    assert web.get("c", 5) == 5


def test_values_are_those_of_the_spec() -> None:
    web, asked = host(certbot_email="{{ name }}", certbot_ca_bundle="{{ nothing }}", other="{{ broken")
    values = web.values("certbot")
    assert set(values) == set(options_of("certbot"))
    assert values["certbot_email"] == "notes"
    # What has no default may resolve to nothing.
    assert values["certbot_ca_bundle"] is None
    assert values["certbot_webroot"] == "/var/www/acme"
    assert "{{ broken" not in asked


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"groups": {"proxies": ["web1"]}}, None),
        ({"groups": {"apps": ["web1"]}}, True),
        ({"groups": {"apps": ["web2"]}}, False),
        ({"groups": {"apps": []}}, False),
    ],
)
def test_in_group(variables: dict[str, t.Any], expected: bool | None) -> None:
    web, _asked = host(inventory_hostname="web1", **variables)
    assert web.in_group("apps") is expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"ansible_facts": None}, None),
        ({"ansible_facts": {}}, None),
        ({"ansible_facts": {"memtotal_mb": 2048}}, 2048),
    ],
)
def test_fact(variables: dict[str, t.Any], expected: int | None) -> None:
    assert host(**variables)[0].fact("memtotal_mb") == expected


@pytest.mark.parametrize(
    ("facts", "workers"),
    [
        ({"processor_nproc": 2, "processor_vcpus": 8, "memtotal_mb": 8192}, 2),
        ({"processor_vcpus": 3, "memtotal_mb": 8192}, 3),
        ({"processor_nproc": 8, "memtotal_mb": 512}, 1),
    ],
)
def test_workers_follow_from_the_facts(least: dict[str, t.Any], facts: dict[str, int], workers: int) -> None:
    web, _asked = host(**least["gunicorn_app"], ansible_facts=facts)
    [application] = normalise("gunicorn_app", web)["applications"]
    assert application["workers"] == workers


def test_an_application_elsewhere_is_not_held_against_the_proxy(least: dict[str, t.Any]) -> None:
    site = {"name": "notes", "domains": ["a.example.com"], "upstream": {"servers": ["a:80"]}}
    # The proxy's host has the application's variables too, but broken: they are not its own.
    web, _asked = host(
        **{**least["gunicorn_app"], "gunicorn_app_timeout": "long"},
        inventory_hostname="web1",
        groups={"apps": ["web2"]},
        nginx_proxy_sites=[{**site, "timeouts": {"read": "10m"}}],
    )
    assert normalise("nginx_proxy", web)["sites"][0]["locations"][0]["timeouts"]["read"] == "10m"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gunicorn_app_worker", "gunicorn_app_workers"),
        ("gunicorn_app_healt_path", "gunicorn_app_health_path"),
        ("gunicorn_app_requirement", "gunicorn_app_requirements"),
    ],
)
def test_a_misspelt_variable_is_refused(name: str, meant: str) -> None:
    web, _asked = host(**{name: "s3cret"})
    with pytest.raises(ValueError, match=rf"^{name}: \(hidden\) is refused; accepted: {meant};") as caught:
        web.values("gunicorn_app")
    assert "s3cret" not in str(caught.value)


def test_a_variable_of_the_users_own_is_not() -> None:
    web, _asked = host(gunicorn_app_secret_key="x", gunicorn_app_database="y", gunicorn_apps="z", certbot_token="")
    assert set(web.values("gunicorn_app")) == set(options_of("gunicorn_app"))


SITES = [{"name": "notes", "domains": ["notes.example.com"], "app": "notes"}]


@pytest.mark.parametrize(
    ("role", "groups", "message"),
    [
        ("nginx_proxy", {"proxies": ["web1"], "app": ["web1"]}, r'^nginx_proxy_sites\[0\]\.app: "notes" is refused;'),
        ("gunicorn_app", {"apps": ["web1"], "proxy": ["web1"]}, r"^groups\.proxies: null is refused;"),
    ],
)
def test_a_misspelt_group_is_refused(
    least: dict[str, dict[str, t.Any]], role: str, groups: dict[str, list[str]], message: str
) -> None:
    variables = {**least["gunicorn_app"], "nginx_proxy_sites": SITES, "groups": groups, "inventory_hostname": "web1"}
    with pytest.raises(ValueError, match=message):
        normalise(role, host(**variables)[0])
