# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What INPUTS refuses of gunicorn_app, from the user's variables to the line that a user reads."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

Refusal = t.Callable[..., str]
Normalise = t.Callable[..., dict[str, t.Any]]

NAME = "[a-z][a-z0-9_-]*, 32 characters at most"
MODULE = "package.module:attribute"
PATH = "a path that begins with /"

SINGLE: list[tuple[str, t.Any, str, str]] = [
    *(("name", value, shown, NAME) for value, shown in [
        ("Notes", '"Notes"'), ("1a", '"1a"'), ("a" * 33, '"aaaa'), ("a b", '"a b"'), ("../a", '"../a"'),
        ("a\n", '"a\\n"'),
        ("", '""'), ("a;", '"a;"'), ("a@b", '"a@b"'), ("\u00e4", '"\\u00e4"'), ("a.b", '"a.b"'), (7, '"7"'),
    ]),
    ("name", "nginx", '"nginx"', "a name that no user or service of the system has"),
    ("name", "systemd-x", '"systemd-x"', "a name that no user or service of the system has"),
    ("name", "asgi-deploy", '"asgi-deploy"', "a name that no user or service of the system has"),
    ("name", True, "true", "a string (quote it)"),
    ("name", None, "null", "it is required"),
    ("module", None, "null", "it is required"),
    ("source", None, "null", "it is required"),
    ("state", "gone", '"gone"', "one of present, absent"),
    ("applications", "notes", "(hidden)", "a list of dict"),
    ("applications", {"notes": {"env": {"KEY": "hunter2"}}}, "(hidden)", "a list of dict"),
    *(("module", value, shown, MODULE) for value, shown in [
        ("notes", '"notes"'), ("notes.main", '"notes.main"'), ("notes/main.py:app", '"notes/main.py:app"'),
        (":app", '":app"'),
        ("notes:", '"notes:"'), ("notes:app app", '"notes:app app"'), ("notes:app\n", '"notes:app\\n"'),
        ("notes:app;x", '"notes:app;x"'), ("--x:y", '"--x:y"'), ("1a:app", '"1a:app"'), ("a..b:app", '"a..b:app"'),
        ("n\u00f6tes:app", '"n\\u00f6tes:app"'), ("notes:app(1)", '"notes:app(1)"'),
    ]),
    *(("health_path", value, shown, PATH) for value, shown in [
        ("health", '"health"'), ("", '""'), ("/a b", '"/a b"'), ("/a\r\nX: y", '"/a\\r\\nX: y"'),
        ("/a\n", '"/a\\n"'), ("/a#b", '"/a#b"'),
        ("http://a/", '"http://a/"'), ("/\u00e9", '"/\\u00e9"'),
    ]),
    ("health_timeout", 0, "0", "an integer from 1 to 86400"),
    ("health_timeout", True, "true", "a whole number"),
    ("health_timeout", "30s", '"30s"', "a whole number"),
    ("timeout", -1, "-1", "an integer from 1 to 86400"),
    ("timeout", 1.5, "1.5", "a whole number"),
    ("timeout", 120, "", ""),
    ("stop_timeout", 90, "90", "more than gunicorn_app_timeout (90)"),
    ("keepalive", 60, "60", "more than the keep-alive of nginx's upstream (60)"),
    ("keepalive", "75\n", '"75\\n"', "a whole number"),
    ("workload", "fast", '"fast"', "one of io, mixed, sync, cpu"),
    ("workers", 0, "0", "an integer from 1 to 1000"),
    ("workers", -1, "-1", "an integer from 1 to 1000"),
    ("workers", True, "true", "a whole number"),
    ("workers", 2.0, "2.0", "a whole number"),
    ("workers", "\u0664", '"\\u0664"', "a whole number"),
    ("workers", 20, "20", "the host has 2048 MB"),
    ("worker_memory_mb", 0, "0", "an integer from 1 to 1000000"),
    ("releases", 1, "1", "an integer from 2 to 1000"),
    ("python", "python3", '"python3"', "an absolute path"),
    ("python", "/usr/bin/python3 -x", '"/usr/bin/python3 -x"', "an absolute path"),
    ("proxy_group", "www data", '"www data"', "the name of a group"),
    ("proxy_group", "-x", '"-x"', "the name of a group"),
    ("requirements", "/etc/passwd", '"/etc/passwd"', "a path inside the source"),
    ("requirements", "../requirements.txt", '"../requirements.txt"', "a path inside the source"),
    ("requirements", "absent.txt", '"absent.txt"', "a file that is in "),
    ("source", "https://x", '"https://x"', "a dictionary"),
    ("env", ["A=b"], "(hidden)", "a dictionary"),
    ("env", "A=b", "(hidden)", "a dictionary"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "shown", "accepted"), SINGLE)
def test_variable(refusal: Refusal, name: str, value: t.Any, shown: str, accepted: str) -> None:
    line = refusal("gunicorn_app", **{f"gunicorn_app_{name}": value})
    # One contradiction is told at the other end of the chain.
    place = "stop_timeout: 120" if (name, value) == ("timeout", 120) else f"{name}: {shown}"
    assert line.startswith(f"gunicorn_app_{place}")
    assert accepted in line
    assert " is refused; accepted: " in line
    assert "\n" not in line


GIT = {"type": "git", "url": "https://git.example.com/notes.git", "version": "v1"}
URL = "the URL of a git repository"
NO_PASSWORD = "a URL without a password"
VERSION = "a commit, a tag or a branch"

SOURCES: list[tuple[dict[str, t.Any], str, str, str]] = [
    ({}, ".type", "null", "it is required"),
    ({"type": "svn"}, ".type", '"svn"', "one of archive, directory, git, package"),
    ({"type": "git", "url": "https://a/b"}, ".version", "null", "type git needs it"),
    ({"type": "git", "version": "v1"}, ".url", "null", "type git needs it"),
    ({"type": "directory"}, ".path", "null", "type directory needs it"),
    ({**GIT, "path": "/x"}, ".path", '"/x"', "no path with type git"),
    ({"type": "directory", "path": "/", "version": "v1"}, ".version", '"v1"', "no version with type directory"),
    ({**GIT, "ref": "v1"}, ".ref", '"v1"', "only the keys type, path, exclude, url, version"),
    ({**GIT, "branch": "v1", "vesion": "v1"}, ".branch", '"v1"', "only the keys type"),
    ({"type": "directory", "path": "app"}, ".path", '"app"', "an absolute path"),
    ({"type": "directory", "path": "/nowhere/at/all"}, ".path", '"/nowhere/at/all"', "a folder on the controller"),
    ({"type": "directory", "path": ["/a"]}, ".path", '["/a"]', "a string (quote it)"),
    ({"type": "directory", "path": "/", "exclude": ".git"}, ".exclude", '".git"', "a list of str"),
    ({"type": "directory", "path": "/", "exclude": [".git", None]}, ".exclude[1]", "null", "a str"),
    ({**GIT, "url": "notes.git"}, ".url", '"notes.git"', URL),
    ({**GIT, "url": "ext::sh -c x"}, ".url", '"ext::sh -c x"', URL),
    ({**GIT, "url": "--upload-pack=x"}, ".url", '"--upload-pack=x"', URL),
    ({**GIT, "url": "-oX@host:path"}, ".url", '"-oX@host:path"', URL),
    ({**GIT, "url": "ssh://-oProxyCommand=x/y"}, ".url", '"ssh://-oProxyCommand=x/y"', URL),
    ({**GIT, "url": "ssh://u@-oProxyCommand=x/y"}, ".url", '"ssh://***@-oProxyCommand=x/y"', URL),
    ({**GIT, "url": "https://a/b\n"}, ".url", '"https://a/b\\n"', URL),
    ({**GIT, "url": "https://me:hunter2@a/b"}, ".url", "(hidden)", NO_PASSWORD),
    ({**GIT, "url": "https://me:hun/ter2@a/b"}, ".url", "(hidden)", NO_PASSWORD),
    ({**GIT, "url": "https://hunter2@a/b"}, ".url", "(hidden)", NO_PASSWORD),
    ({**GIT, "url": "ssh://me:hunter2@a/b"}, ".url", "(hidden)", NO_PASSWORD),
    ({**GIT, "url": "https://me:hunter2@a/b c"}, ".url", "(hidden)", NO_PASSWORD),
    ({**GIT, "token": "hunter2"}, ".token", "(hidden)", "only the keys type"),
    ({**GIT, "Password": "hunter2"}, ".Password", "(hidden)", "only the keys type"),
    ({**GIT, "version": "--help"}, ".version", '"--help"', VERSION),
    ({**GIT, "version": "v1;x"}, ".version", '"v1;x"', VERSION),
    ({**GIT, "version": "v1\n"}, ".version", '"v1\\n"', VERSION),
    ({**GIT, "version": 1.10}, ".version", "1.1", "a string (quote it)"),
    ({**GIT, "version": ""}, ".version", '""', VERSION),
]  # fmt: skip


@pytest.mark.parametrize(("source", "place", "shown", "accepted"), SOURCES)
def test_source(refusal: Refusal, source: dict[str, t.Any], place: str, shown: str, accepted: str) -> None:
    line = refusal("gunicorn_app", gunicorn_app_source=source)
    assert line.startswith(f"gunicorn_app_source{place}: {shown} is refused; accepted: ")
    assert accepted in line
    assert "hunter2" not in line
    assert "\n" not in line


ENVIRONMENT: list[tuple[t.Any, t.Any, str, str]] = [
    ("A B", "hunter2", '."A B"', "a name of letters, digits and underscores"),
    ("1A", "hunter2", '."1A"', "a name of letters, digits and underscores"),
    ("A-B", "hunter2", ".A-B", "a name of letters, digits and underscores"),
    ("A=", "hunter2", '."A="', "a name of letters, digits and underscores"),
    ("A\n", "hunter2", '."A\\n"', "a name of letters, digits and underscores"),
    ("\u00c4", "hunter2", '."\\u00c4"', "a name of letters, digits and underscores"),
    ("", "hunter2", '.""', "a name of letters, digits and underscores"),
    # `on: …` and `1: …` in YAML.
    (True, "hunter2", ".true", "a name of letters, digits and underscores"),
    (1, "hunter2", ".1", "a name of letters, digits and underscores"),
    ("LISTEN_FDS", "hunter2", ".LISTEN_FDS", "a name that systemd and the slot do not set themselves"),
    ("A", "hunter2\n", ".A", "a value on one line"),
    ("A", "hunter2\rx", ".A", "a value on one line"),
    ("A", "hunter2\0", ".A", "a value on one line"),
    ("A", "hunter2\ud800", ".A", "text that UTF-8 can hold"),
    ("A", True, ".A", "a string or a whole number (quote everything else)"),
    ("A", 1.5, ".A", "a string or a whole number (quote everything else)"),
    ("A", None, ".A", "a string or a whole number (quote everything else)"),
    ("A", ["hunter2"], ".A", "a string or a whole number"),
    ("A", {"hunter2": 1}, ".A", "a string or a whole number"),
]


@pytest.mark.parametrize(("name", "value", "place", "accepted"), ENVIRONMENT)
def test_environment(refusal: Refusal, name: t.Any, value: t.Any, place: str, accepted: str) -> None:
    line = refusal("gunicorn_app", gunicorn_app_env={"RIGHT": "hunter2", name: value})
    assert line.startswith(f"gunicorn_app_env{place}: (hidden) is refused; accepted: {accepted}")
    assert "hunter2" not in line
    assert "\n" not in line


def test_facts_are_needed_only_for_the_count(refusal: Refusal, normalised: Normalise) -> None:
    assert refusal("gunicorn_app", ansible_facts={}) == (
        "gunicorn_app_workers: null is refused; accepted: a number, or the host's facts: the play has not gathered them"
    )
    assert normalised("gunicorn_app", ansible_facts={}, gunicorn_app_workers=3)["workers"] == 3


FETCHED = {**GIT, "signed_by": []}

ODD_BUT_RIGHT: list[tuple[str, t.Any, str, t.Any]] = [
    ("name", "a", "name", "a"),
    ("name", "a" * 32, "name", "a" * 32),
    ("name", "a-b_c9", "socket", "/opt/a-b_c9/current.sock"),
    ("module", "main:app", "module", "main:app"),
    ("module", "a.b_c.d:app", "module", "a.b_c.d:app"),
    ("module", "a:create_app()", "module", "a:create_app()"),
    ("workers", "4", "workers", 4),
    ("workers", 1, "workers", 1),
    ("timeout", "100", "timeout", 100),
    ("releases", 2, "releases", 2),
    ("python", "/opt/python3.13/bin/python3.13", "python", "/opt/python3.13/bin/python3.13"),
    ("env", {"A": 1, "_b": "x y", "C": ""}, "env", {"A": "1", "_b": "x y", "C": ""}),
    ("env", {"KEY": "ä \"$`\\' # ;"}, "env", {"KEY": "ä \"$`\\' # ;"}),
    ("source", GIT, "source", FETCHED),
    ("source", {**GIT, "url": "git@git.example.com:team/notes.git"}, "source",
     {**FETCHED, "url": "git@git.example.com:team/notes.git"}),
    ("source", {**GIT, "url": "ssh://git@git.example.com:2222/notes.git", "version": "feature/x@1+2"}, "source",
     {**FETCHED, "url": "ssh://git@git.example.com:2222/notes.git", "version": "feature/x@1+2"}),
    ("source", {**GIT, "url": "https://git.example.com/@scope/notes"}, "source",
     {**FETCHED, "url": "https://git.example.com/@scope/notes"}),
    ("source", {**GIT, "url": "https://git.example.com:8443/@scope/notes"}, "source",
     {**FETCHED, "url": "https://git.example.com:8443/@scope/notes"}),
    ("source", {**GIT, "url": "https://[2001:db8::1]:8443/@scope/notes"}, "source",
     {**FETCHED, "url": "https://[2001:db8::1]:8443/@scope/notes"}),
    ("source", {**GIT, "version": 20240101}, "source", {**FETCHED, "version": "20240101"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "key", "expected"), ODD_BUT_RIGHT)
def test_odd_but_right(normalised: Normalise, name: str, value: t.Any, key: str, expected: t.Any) -> None:
    assert normalised("gunicorn_app", **{f"gunicorn_app_{name}": value})[key] == expected


def test_gunicorn_imports_simple_names_only(refusal: Refusal, normalised: Normalise) -> None:
    line = refusal("gunicorn_app", gunicorn_app_module="notes.main:make.app")
    assert line == (
        'gunicorn_app_module: "notes.main:make.app" is refused; accepted: package.module:name, Gunicorn knows no '
        "attributes of attributes"
    )
    alone = {"gunicorn_app_server": "uvicorn", "gunicorn_app_module": "notes.main:make.app"}
    assert normalised("gunicorn_app", **alone)["module"] == "notes.main:make.app"


def test_complete(normalised: Normalise, application_folder: Path) -> None:
    structure = normalised("gunicorn_app")
    excluded = structure["source"].pop("exclude")
    assert {".git", ".venv", "__pycache__", ".env"} <= set(excluded)
    # The parts have tests of their own; here stands what each of them leaves of the least that a user writes.
    assert (
        structure
        | {
            "name": "notes",
            "state": "present",
            "root": "/opt/notes",
            "socket": "/opt/notes/current.sock",
            "module": "notes.main:app",
            "source": {"type": "directory", "path": str(application_folder)},
            "requirements": "requirements.txt",
            "env": {},
            "health": {
                "path": "/health",
                "host": "localhost",
                "timeout": 30,
                "status": 200,
                "body": None,
                "successes": 3,
            },
            "smoke": None,
            "hooks": {"before": [], "after": [], "rollback": []},
            "static": [],
            "release": None,
            "warm": 0,
            "server": "gunicorn",
            "memory_max": None,
            "cpu_quota": None,
            "workers": 2,
            "workers_reason": "workload io on 2 CPUs and 2048 MB, 150 MB a worker, 2 slots",
            "timeout": 90,
            "stop_timeout": 120,
            "keepalive": 75,
            "python": "/usr/bin/python3",
            "proxy_group": "www-data",
            "releases": 3,
            "places": {
                name: f"gunicorn_app_{name}"
                for name in ("name", "python", "proxy_group", "port", "port_tls", "release")
            },
        }
        == structure
    )


def site(app: str, *domains: str) -> dict[str, t.Any]:
    return {"name": app, "app": app, "domains": list(domains)}


@pytest.mark.parametrize(
    ("sites", "host"),
    [
        ([], "localhost"),
        ([site("other", "other.example.com")], "localhost"),
        ([site("other", "other.example.com"), site("notes", "notes.example.com")], "notes.example.com"),
        ([site("notes", "*.example.com", "notes.example.com")], "notes.example.com"),
        ([site("notes", "*.example.com")], "localhost"),
        ([site("notes")], "localhost"),
    ],
)
def test_health_is_asked_under_a_name_of_the_site(
    normalised: Normalise, sites: list[dict[str, t.Any]], host: str
) -> None:
    assert normalised("gunicorn_app", nginx_proxy_sites=sites)["health"]["host"] == host
