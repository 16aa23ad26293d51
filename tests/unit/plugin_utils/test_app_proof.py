# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves and confirms a release, from the user's variables to what the host is told."""

from __future__ import annotations

import typing as t

import pytest

Refusal = t.Callable[..., str]
Normalise = t.Callable[..., dict[str, t.Any]]

PATH = "a path that begins with /"
WORDS = "a program and its arguments, each an item of the list"
PLAIN = "text on one line, without control characters"
INSIDE = "a folder inside the source, without '..'"
NAME = "letters, digits, dots, hyphens and underscores, no dot in front"
RELEASE = "previous, or the name of a release on the host"


def hook(*command: t.Any, **keys: t.Any) -> dict[str, t.Any]:
    return {"before": [{"command": list(command), **keys}]}


REFUSED: list[tuple[str, t.Any, str, str]] = [
    *(("health_timeout", value, f": {value}", "an integer from 1 to 86400") for value in (0, -1, 86401)),
    *(("health_status", value, f": {value}", "an integer from 200 to 599") for value in (0, 199, 600)),
    ("health_status", "OK", ': "OK"', "a whole number"),
    ("health_body", "", ': ""', "some text; leave it out"),
    ("health_body", {"status": "ok"}, ': {"status": "ok"}', "a string (quote it)"),
    ("health_body", True, ": true", "a string (quote it)"),
    *(("health_successes", value, f": {value}", "an integer from 1 to 100") for value in (0, 101)),
    *(("smoke_path", value, f": {shown}", PATH) for value, shown in [
        ("login", '"login"'), ("", '""'), ("/a b", '"/a b"'), ("/a\r\nX: y", '"/a\\r\\nX: y"'),
        ("https://a/", '"https://a/"'),
    ]),
    *(("smoke_timeout", value, f": {value}", "an integer from 1 to 60") for value in (0, 61)),
    *(("warm", value, f": {value}", "an integer from 0 to 86400") for value in (-1, 86401)),
    *(("release", value, f": {shown}", RELEASE) for value, shown in [
        ("", '""'), ("v1", '"v1"'), ("../x", '"../x"'), ("20260101T000000Z-0123456789AB", '"20260101T000000Z-0123'),
        ("20260101T000000Z-0123456789ab\n", '"20260101T000000Z-0123'), ("previous ", '"previous "'),
    ]),
    ("hooks", {"befor": []}, ".befor: []", "only the keys before, after, rollback; did you mean before?"),
    ("hooks", {"before": None}, ".before: null", "leave it out for the default"),
    ("hooks", {"before": ["alembic upgrade head"]}, '.before[0]: "alembic upgrade head"', "a dictionary"),
    ("hooks", {"before": [{"command": "alembic upgrade head"}]}, '.before[0].command: "alembic upgrade head"',
     "a list of str"),
    ("hooks", {"before": [{"timeout": 5}]}, ".before[0].command: null", "it is required"),
    ("hooks", hook(), ".before[0].command: []", WORDS),
    ("hooks", hook(""), '.before[0].command: [""]', WORDS),
    ("hooks", hook("a", None), ".before[0].command[1]: null", "a str"),
    ("hooks", hook("a", "b\nc"), '.before[0].command[1]: "b\\nc"', PLAIN),
    ("hooks", hook("a\0"), '.before[0].command[0]: "a\\u0000"', PLAIN),
    ("hooks", hook("a", "\ud800"), '.before[0].command[1]: "\\ud800"', PLAIN),
    ("hooks", hook("a", timeout=0), ".before[0].timeout: 0", "an integer from 1 to 86400"),
    ("hooks", hook("a", once="maybe"), '.before[0].once: "maybe"', "true or false"),
    ("hooks", hook("a", user="root"), '.before[0].user: "root"', "only the keys command, timeout, once"),
    ("hooks", {"after": [{"command": ["a"]}, {"command": []}]}, ".after[1].command: []", WORDS),
    ("hooks", {"rollback": [{"command": []}]}, ".rollback[0].command: []", WORDS),
    ("static", {"folder": "static"}, ': {"folder": "static"}', "a list of dict"),
    ("static", ["static"], '[0]: "static"', "a dictionary"),
    ("static", [{"as": "static"}], "[0].folder: null", "it is required"),
    *(("static", [{"folder": value}], f'[0].folder: "{value}"', INSIDE) for value in (
        "", "/", "/static", "..", "../static", "app/../../etc", "./static", "a//b", "a b", "a;b",
    )),
    *(("static", [{"folder": "static", "as": value}], f'[0].as: "{value}"', NAME) for value in (
        "", ".", "..", ".git", "a/b", "a b", "/a",
    )),
    ("static", [{"folder": "static"}, {"folder": "app/static"}], '[1].as: "static"', "each name once"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "place", "accepted"), REFUSED)
def test_refused(refusal: Refusal, name: str, value: t.Any, place: str, accepted: str) -> None:
    line = refusal("gunicorn_app", **{f"gunicorn_app_{name}": value})
    assert line.startswith(f"gunicorn_app_{name}{place}")
    assert accepted in line
    assert "\n" not in line


def test_what_the_host_fetches_is_looked_at_there(normalised: Normalise) -> None:
    git = {"type": "git", "url": "https://git.example.com/notes.git", "version": "v1"}
    variables = {"gunicorn_app_source": git, "gunicorn_app_static": [{"folder": "not/here"}]}
    assert normalised("gunicorn_app", **variables)["static"] == [{"folder": "not/here", "as": "here"}]


DIGITS = "20260101T000000Z-0123456789ab"

ACCEPTED: list[tuple[str, t.Any, str, t.Any]] = [
    ("warm", 86400, "warm", 86400),
    ("release", "previous", "release", "previous"),
    ("release", DIGITS, "release", DIGITS),
    ("static", [{"folder": "app/static/"}], "static", [{"folder": "app/static", "as": "static"}]),
    ("static", [{"folder": "static"}, {"folder": "app/static", "as": "more"}], "static",
     [{"folder": "static", "as": "static"}, {"folder": "app/static", "as": "more"}]),
    ("hooks", {}, "hooks", {"before": [], "after": [], "rollback": []}),
    # Of migrations one host is enough, and two at a time may be harmful; what warms a cache is for each.
    ("hooks", {when: [{"command": ["a"]}] for when in ("before", "after", "rollback")}, "hooks", {
        "before": [{"command": ["a"], "timeout": 300, "once": True}],
        "after": [{"command": ["a"], "timeout": 300, "once": False}],
        "rollback": [{"command": ["a"], "timeout": 300, "once": False}],
    }),
    ("hooks", {"before": [{"command": ["python", "-c", "print('x;$y')", "", 3], "timeout": "9", "once": "no"}]},
     "hooks",
     {"before": [{"command": ["python", "-c", "print('x;$y')", "", "3"], "timeout": 9, "once": False}],
      "after": [], "rollback": []}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "key", "expected"), ACCEPTED)
def test_accepted(normalised: Normalise, name: str, value: t.Any, key: str, expected: t.Any) -> None:
    assert normalised("gunicorn_app", **{f"gunicorn_app_{name}": value})[key] == expected


@pytest.mark.parametrize(
    ("name", "value", "key", "expected"),
    [
        ("health_path", "/", "path", "/"),
        ("health_path", "/a/b?x=1&y=%20", "path", "/a/b?x=1&y=%20"),
        ("health_timeout", 1, "timeout", 1),
        # An application that wants a login says so, and lives.
        ("health_status", 401, "status", 401),
        ("health_body", '"status":"ok"', "body", '"status":"ok"'),
        ("health_body", " ", "body", " "),
        ("health_successes", 1, "successes", 1),
    ],
)
def test_health(normalised: Normalise, name: str, value: t.Any, key: str, expected: t.Any) -> None:
    assert normalised("gunicorn_app", **{f"gunicorn_app_{name}": value})["health"][key] == expected


def site(**keys: t.Any) -> dict[str, t.Any]:
    return {"name": "notes", "app": "notes", "domains": ["*.example.com", "notes.example.com"], **keys}


BELOW = site(app=None, upstream={"servers": ["10.0.0.1:80"]}, locations=[{"path": "/api/", "app": "notes"}])


@pytest.mark.parametrize(
    ("sites", "path", "expected"),
    [
        ([], None, None),
        ([], "/login", None),
        ([site()], None, {"path": "/health", "domain": "notes.example.com", "https": True}),
        ([site()], "/login?next=/", {"path": "/login?next=/", "domain": "notes.example.com", "https": True}),
        ([site(tls={"source": "none"})], None, {"path": "/health", "domain": "notes.example.com", "https": False}),
        # Under a wildcard there is no name to ask for.
        ([site(domains=["*.example.com"])], "/login", None),
        ([site(app="other")], None, None),
        # Where it has single locations alone, nobody but the user knows a path that leads to it.
        ([BELOW], None, None),
        ([BELOW], "/api/health", {"path": "/api/health", "domain": "notes.example.com", "https": True}),
        # A site that it has whole comes first.
        ([BELOW, site(name="two", domains=["two.example.com"])], None,
         {"path": "/health", "domain": "two.example.com", "https": True}),
    ],
)  # fmt: skip
def test_smoke(normalised: Normalise, sites: list[t.Any], path: str | None, expected: dict[str, t.Any] | None) -> None:
    variables = {"nginx_proxy_sites": sites, "gunicorn_app_smoke_path": path, "gunicorn_app_smoke_timeout": 9}
    smoke = normalised("gunicorn_app", **variables)["smoke"]
    assert smoke == (None if expected is None else {**expected, "timeout": 9, "port": None, "socket": None})


PACKAGE = {"type": "package", "name": "notes", "version": "1.0"}


@pytest.mark.parametrize(
    ("variables", "accepted"),
    [
        ({"gunicorn_app_static": [{"folder": "assets"}]}, "a folder that is in "),
        (
            {"gunicorn_app_static": [{"folder": "assets"}], "gunicorn_app_source": PACKAGE},
            "no static folders with type",
        ),
    ],
)
def test_a_source_without_the_folder(refusal: Refusal, variables: dict[str, t.Any], accepted: str) -> None:
    line = refusal("gunicorn_app", **variables)
    assert line.startswith('gunicorn_app_static[0].folder: "assets" is refused; accepted: ' + accepted)
