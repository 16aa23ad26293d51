# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All roles of a host seen to at once: what it is asked, and what it is told."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.nginx_proven import digest_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.preflight import answer, host_parameters, question
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import host_facts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise, options_of

Normalise = t.Callable[..., dict[str, t.Any]]

PROBE = "ipv6\ncpus=2\nnginx version: nginx/1.26.3\nbuilt with OpenSSL 3.5.1\n"
SITE = {"name": "notes", "domains": ["a.example.com"], "upstream": {"servers": ["127.0.0.1:9000"]}}
RENDER = renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")


@pytest.mark.parametrize(
    ("roles", "size", "nginx"),
    [
        (["gunicorn_app"], True, False),
        (["nginx_proxy", "certbot"], False, True),
        (["gunicorn_app", "nginx_proxy", "certbot"], True, True),
        (["certbot"], False, False),
    ],
)
def test_a_host_is_asked_what_its_roles_need(roles: list[str], size: bool, nginx: bool) -> None:
    asked = question(roles, ["db.example.com"])
    assert ("MemTotal" in asked) is size
    assert ("nginx -V" in asked) is nginx
    assert ("db.example.com" in asked) is nginx


SIZE = "2\nvcpus=4\nMemTotal:  2048000 kB\n"
FACTS = {"processor_nproc": 2, "processor_vcpus": 4, "memtotal_mb": 2000}


@pytest.mark.parametrize(
    ("printed", "facts", "probe"),
    [
        (f"{SIZE}-- nginx --\n{PROBE}", FACTS, PROBE),
        # From a terminal.
        (f"{SIZE}-- nginx --\n{PROBE}".replace("\n", "\r\n"), FACTS, PROBE),
        (f"{SIZE}-- nginx --\n", FACTS, ""),
        # The CPUs of nginx's part are no facts.
        (f"-- nginx --\n{PROBE}", {}, PROBE),
    ],
)
def test_both_answers_are_told_apart(printed: str, facts: dict[str, int], probe: str) -> None:
    assert answer(printed) == (facts, probe)


@pytest.mark.parametrize("printed", ["", "sudo: a password is required\n", "This account is not available.\r\n"])
def test_a_host_that_cannot_be_asked_is_no_small_one(printed: str) -> None:
    assert answer(printed) is None


@pytest.fixture
def structures(least: dict[str, dict[str, t.Any]]) -> t.Callable[..., dict[str, t.Any]]:
    def make(*roles: str, **variables: t.Any) -> dict[str, t.Any]:
        facts = {"processor_nproc": 2, "memtotal_mb": 2048}
        known = {**least["gunicorn_app"], "nginx_proxy_sites": [SITE], "ansible_facts": facts, **variables}
        host = Host({"inventory_hostname": "web1", **known}, lambda value: value)
        return {role: normalise(role, host) for role in roles}

    return make


def parameters(found: dict[str, t.Any], probe: str = PROBE) -> dict[str, t.Any]:
    return host_parameters(found, "web1", probe, RENDER)


def test_the_live_configuration_is_held_against_the_very_one_that_would_be_put(
    structures: t.Callable[..., dict[str, t.Any]],
) -> None:
    auth = {"users": {"ann": "$6$salt$hash"}}
    found = structures("nginx_proxy", nginx_proxy_sites=[{**SITE, "basic_auth": auth}])
    tree = build_tree(RENDER, found["nginx_proxy"], nginx_version(PROBE), host_facts(PROBE))
    told = parameters(found)["nginx"]
    assert tree.private
    assert told["digest"] == digest_of({**tree.files, **tree.private}, RENDER("nginx.conf.j2"))
    assert "[Service]" in told["drop_in"]


@pytest.mark.parametrize(
    ("variables", "probe"),
    [
        ({"nginx_proxy_generation": "previous"}, PROBE),
        ({}, "cpus=2\n  Candidate: 1.26.3-3\n"),
        ({}, f"masked\n{PROBE}"),
    ],
    ids=["another one is wanted", "not installed", "masked"],
)
def test_there_is_nothing_to_compare(
    structures: t.Callable[..., dict[str, t.Any]], variables: dict[str, t.Any], probe: str
) -> None:
    assert "nginx" not in parameters(structures("nginx_proxy", **variables), probe)


def test_an_nginx_that_is_too_old_is_refused_before_anything_changes(
    structures: t.Callable[..., dict[str, t.Any]],
) -> None:
    with pytest.raises(ValueError, match=r'^nginx: "1\.16\.1" is refused; accepted: nginx 1\.18\.0 or later$'):
        parameters(structures("nginx_proxy"), PROBE.replace("1.26.3", "1.16.1"))


def test_each_role_is_asked_whether_it_has_anything_to_prepare(structures: t.Callable[..., dict[str, t.Any]]) -> None:
    told = parameters(structures("gunicorn_app", "nginx_proxy", "certbot"))
    prepare = json.loads(told["prepare"])
    assert list(prepare) == ["gunicorn_app", "nginx_proxy", "certbot"]
    assert prepare["gunicorn_app"] == {"packages": ["python3-venv"], "users": ["notes"]}
    assert told["named"] == [{"kind": "application", "path": "gunicorn_app_name", "value": "notes"}]


def test_an_application_that_is_to_go_gets_no_user(structures: t.Callable[..., dict[str, t.Any]]) -> None:
    found = structures("gunicorn_app", gunicorn_app_state="absent", nginx_proxy_sites=[])
    assert json.loads(parameters(found)["prepare"])["gunicorn_app"] == {"packages": [], "users": []}


def test_a_repository_with_a_key_to_fetch_is_left_to_the_role(structures: t.Callable[..., dict[str, t.Any]]) -> None:
    found = structures("nginx_proxy", nginx_proxy_repository="nginx", nginx_proxy_repository_fingerprints=["A" * 40])
    assert "prepare" not in parameters(found)


def test_the_specs_are_read_when_a_plugin_is_imported() -> None:
    # Before Ansible forks: in each of its processes it would be done again, for each task of each host.
    before = options_of.cache_info().misses
    for role in ("certbot", "floating_address", "gunicorn_app", "nginx_proxy"):
        options_of(role)
    assert options_of.cache_info().misses == before == 4
