# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host is asked of a role's variables, and what it is not: every question costs a trip."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.host_questions import host_questions

Normalise = t.Callable[..., dict[str, t.Any]]

NAME = {"kind": "application", "path": "gunicorn_app_name", "value": "notes"}


@pytest.mark.parametrize(
    ("role", "variables", "named"),
    [
        ("nginx_proxy", {}, []),
        ("certbot", {}, []),
        ("certbot", {"certbot_ca_bundle": "/etc/ca.pem"},
         [{"kind": "file", "path": "certbot_ca_bundle", "value": "/etc/ca.pem"}]),
        ("gunicorn_app", {}, [NAME]),
        ("gunicorn_app", {"gunicorn_app_python": "/usr/bin/python3.13"},
         [NAME, {"kind": "interpreter", "path": "gunicorn_app_python", "value": "/usr/bin/python3.13"}]),
        ("gunicorn_app", {"gunicorn_app_proxy_group": "haproxy"},
         [NAME, {"kind": "group", "path": "gunicorn_app_proxy_group", "value": "haproxy"}]),
    ],
)  # fmt: skip
def test_questions(normalised: Normalise, role: str, variables: dict[str, t.Any], named: t.Any) -> None:
    assert host_questions(role, normalised(role, **variables)) == ({"named": named} if named else {})
