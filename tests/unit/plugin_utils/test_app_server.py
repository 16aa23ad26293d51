# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user says of the server: what comes of it, and what contradicts itself or would break the slot."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils import gunicorn_settings

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]


def named(variables: dict[str, t.Any]) -> dict[str, t.Any]:
    return {f"gunicorn_app_{name}": value for name, value in variables.items()}


def test_complete(normalised: Normalise) -> None:
    application = normalised("gunicorn_app")
    expected = {
        "server": "gunicorn",
        "loop": "auto",
        "http": "auto",
        "preload": False,
        "max_requests": 0,
        "max_requests_jitter": 0,
        "limits": {"line": 8190, "fields": 100, "field_size": 8190},
        "timeout": 90,
        "drain": 30,
        "stop_timeout": 120,
        "keepalive": 75,
        "settings": {},
        "log": {"level": "info", "format": "text", "access": False},
    }
    assert {name: application[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("variables", "name", "expected"),
    [
        ({"max_requests": 1000}, "max_requests_jitter", 100),
        ({"max_requests": 9}, "max_requests_jitter", 0),
        ({"max_requests": 1000, "max_requests_jitter": 0}, "max_requests_jitter", 0),
        ({"max_requests": 1000, "max_requests_jitter": 2000}, "max_requests_jitter", 2000),
        ({"max_requests_jitter": 0}, "max_requests", 0),
        ({"drain": 0}, "drain", 0),
        ({"drain": 89}, "drain", 89),
        ({"settings": {"proc_name": "x", "backlog": 5}}, "settings", {"backlog": 5, "proc_name": "x"}),
        ({"server": "uvicorn"}, "server", "uvicorn"),
        ({"server": "uvicorn", "preload": False, "max_requests": 0, "settings": {}}, "max_requests", 0),
    ],
)
def test_accepted(normalised: Normalise, variables: dict[str, t.Any], name: str, expected: t.Any) -> None:
    assert normalised("gunicorn_app", **named(variables))[name] == expected


SETTINGS = [
    ("bind", "settings without bind: the slot's unit of systemd sets it"),
    ("daemon", "the slot's unit of systemd sets it"),
    ("worker_class", "the release is proven with the role's own value"),
    ("control_socket", "the release is proven with the role's own value"),
    ("reload", "a release never changes"),
    ("on_starting", "no hook here"),
    ("post_fork", "no hook here"),
    ("certfile", "nginx speaks plain HTTP to the socket"),
    ("logconfig_dict", "gunicorn_app_log_format"),
    ("workers", "gunicorn_app_workers instead"),
    ("preload_app", "gunicorn_app_preload instead"),
    ("accesslog", "gunicorn_app_access_log instead"),
    ("raw_env", "gunicorn_app_env instead"),
    ("graceful_timeout", "gunicorn_app_timeout instead"),
    ("backlogs", "by its name in the configuration file, such as backlog"),
]

REFUSED: list[tuple[dict[str, t.Any], str, str]] = [
    ({"drain": 90}, "drain: 90", "less than gunicorn_app_timeout (90)"),
    ({"timeout": 20}, "drain: 30", "less than gunicorn_app_timeout (20)"),
    ({"drain": -1}, "drain: -1", "an integer from 0 to 86400"),
    ({"stop_timeout": 90}, "stop_timeout: 90", "more than gunicorn_app_timeout (90)"),
    ({"keepalive": 60}, "keepalive: 60", "more than the keep-alive of nginx's upstream (60)"),
    ({"max_requests": -1}, "max_requests: -1", "an integer from 0 to 1000000000"),
    ({"max_requests": 1, "max_requests_jitter": -1}, "max_requests_jitter: -1", "an integer from 0"),
    ({"max_requests_jitter": 10}, "max_requests_jitter: 10", "while gunicorn_app_max_requests is 0"),
    ({"limit_request_line": 0}, "limit_request_line: 0", "an integer from 256 to 65536"),
    ({"limit_request_fields": 31}, "limit_request_fields: 31", "an integer from 32 to 1000"),
    ({"limit_request_field_size": 65537}, "limit_request_field_size: 65537", "an integer from 256 to 65536"),
    ({"loop": "gevent"}, 'loop: "gevent"', "one of auto, asyncio, uvloop"),
    ({"http": "h2"}, 'http: "h2"', "one of auto, h11, httptools"),
    ({"log_level": "INFO"}, 'log_level: "INFO"', "one of debug, info"),
    ({"log_format": "logfmt"}, 'log_format: "logfmt"', "one of text, json"),
    ({"server": "uvicorn", "preload": True}, "preload: true", "with gunicorn_app_server=uvicorn false"),
    ({"server": "uvicorn", "max_requests": 5}, "max_requests: 5", "with gunicorn_app_server=uvicorn 0"),
    ({"server": "uvicorn", "settings": {"backlog": 5}}, 'settings: {"backlog": 5}', "they are Gunicorn's"),
    *(({"settings": {name: 1}}, f"settings.{name}: 1", said) for name, said in SETTINGS),
    ({"settings": {"import os\nx": 1}}, 'settings."import os\\nx": 1', "a setting of Gunicorn by its name"),
    ({"settings": {"backlog": float("inf")}}, "settings.backlog: Infinity", "a number that Python's source can hold"),
    ({"settings": {"statsd_host": {"a": [{1: 2}]}}}, "settings.statsd_host.a[0].1: 2", "a key that is a string"),
    ({"settings": {"http_protocols": [1, {"a": b"x"}]}}, "settings.http_protocols[1].a", "a string, a number, true"),
]


@pytest.mark.parametrize(("variables", "shown", "accepted"), REFUSED)
def test_refused(refusal: Refusal, variables: dict[str, t.Any], shown: str, accepted: str) -> None:
    line = refusal("gunicorn_app", **named(variables))
    assert line.startswith(f"gunicorn_app_{shown}")
    assert accepted in line
    assert "\n" not in line


def test_levels_within_levels_end(refusal: Refusal) -> None:
    deep: list[t.Any] = []
    for _level in range(30):
        deep = [deep]
    assert "at most 20 levels" in refusal("gunicorn_app", gunicorn_app_settings={"statsd_host": deep})


def test_no_setting_is_both_free_and_refused() -> None:
    assert not gunicorn_settings._FREE & gunicorn_settings._REFUSED.keys()
