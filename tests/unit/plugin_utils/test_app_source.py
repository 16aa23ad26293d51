# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources, installers and package indexes: from the user's variables to what the host gets, or to a line."""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_source import DEFAULT_EXCLUDE
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import options_of

Refusal = t.Callable[..., str]
Normalise = t.Callable[..., dict[str, t.Any]]

GIT = {"type": "git", "url": "https://git.example.com/notes.git", "version": "v1"}
PACKAGE = {"type": "package", "name": "notes", "version": "1.4.2"}
SUM = "sha256:" + 64 * "a"
URL = {"type": "archive", "url": "https://files.example.com/notes.tar.gz", "checksum": SUM}
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----\n"

NO_USER = "a URL without a user"
WEB = "an http or https URL"
DIGITS = "sha256: and 64 hexadecimal digits"
NAME = "the name of a distribution"
EXACT = "an exact version such as 1.4.2, without an operator"

SOURCES: list[tuple[dict[str, t.Any], str, str, str]] = [
    ({"type": "archive"}, ".path", "null", "a file on the controller here, or url"),
    ({**URL, "path": "/a.zip"}, ".path", '"/a.zip"', "either path or url"),
    ({"type": "archive", "path": "a.zip"}, ".path", '"a.zip"', "an absolute path"),
    ({"type": "archive", "path": "/nowhere/a.zip"}, ".path", '"/nowhere/a.zip"', "a file on the controller"),
    ({"type": "archive", "path": "/etc"}, ".path", '"/etc"', "a file on the controller"),
    ({"type": "archive", "url": URL["url"]}, ".checksum", "null", "a URL needs it"),
    ({**URL, "checksum": 64 * "a"}, ".checksum", '"aaaa', DIGITS),
    ({**URL, "checksum": "sha256:" + 63 * "a"}, ".checksum", '"sha256:aaaa', DIGITS),
    ({**URL, "checksum": "md5:" + 32 * "a"}, ".checksum", '"md5:aaaa', DIGITS),
    ({**URL, "checksum": SUM + "\n"}, ".checksum", '"sha256:aaaa', DIGITS),
    ({**URL, "url": "https://me:hunter2@files.example.com/a"}, ".url", "(hidden)", NO_USER),
    ({**URL, "url": "https://hunter2@files.example.com/a"}, ".url", "(hidden)", NO_USER),
    ({**URL, "url": "ftp://files.example.com/a"}, ".url", '"ftp://files.example.com/a"', WEB),
    ({**URL, "url": "file:///etc/passwd"}, ".url", '"file:///etc/passwd"', WEB),
    ({**URL, "url": "https:///a"}, ".url", '"https:///a"', WEB),
    ({**URL, "url": "https://files.example.com/a b"}, ".url", '"https://files.example.com/a b"', WEB),
    ({**URL, "url": "ftp://a/b?token=hunter2"}, ".url", '"ftp://a/b?***"', WEB),
    ({**GIT, "checksum": SUM}, ".checksum", '"sha256:aaaa', "no checksum with type git"),
    ({**GIT, "exclude": ["*.md"]}, ".exclude", '["*.md"]', "no exclude with type git"),
    ({**GIT, "extras": ["x"]}, ".extras", '["x"]', "no extras with type git"),
    ({**GIT, "signed_by": ["ABCD"]}, ".signed_by[0]", "(hidden)", "an OpenPGP public key"),
    ({**GIT, "signed_by": [KEY, KEY.replace("PUBLIC", "PRIVATE")]}, ".signed_by[1]", "(hidden)", "public key"),
    ({**PACKAGE, "signed_by": [KEY]}, ".signed_by", '["-----BEGIN', "no signed_by with type package"),
    ({**PACKAGE, "url": "https://a/?hunter2"}, ".url", '"https://a/?***"', "no url with type package"),
    ({"type": "package", "name": "notes"}, ".version", "null", "type package needs it"),
    ({"type": "package", "version": "1"}, ".name", "null", "type package needs it"),
    ({**PACKAGE, "name": "notes==1"}, ".name", '"notes==1"', NAME),
    ({**PACKAGE, "name": "--index-url"}, ".name", '"--index-url"', NAME),
    ({**PACKAGE, "name": "notes-"}, ".name", '"notes-"', NAME),
    ({**PACKAGE, "name": "n\u00f6tes"}, ".name", '"n\\u00f6tes"', NAME),
    ({**PACKAGE, "version": ">=1"}, ".version", '">=1"', EXACT),
    ({**PACKAGE, "version": "1.*"}, ".version", '"1.*"', EXACT),
    ({**PACKAGE, "version": "latest"}, ".version", '"latest"', EXACT),
    ({**PACKAGE, "version": "1.0\n"}, ".version", '"1.0\\n"', EXACT),
    ({**PACKAGE, "extras": ["a b"]}, ".extras[0]", '"a b"', NAME),
]  # fmt: skip


@pytest.mark.parametrize(("source", "place", "shown", "accepted"), SOURCES)
def test_source(refusal: Refusal, source: dict[str, t.Any], place: str, shown: str, accepted: str) -> None:
    line = refusal("gunicorn_app", gunicorn_app_source=source)
    assert line.startswith(f"gunicorn_app_source{place}: {shown}")
    assert accepted in line.split(" is refused; accepted: ")[1]
    assert "hunter2" not in line
    assert "\n" not in line


INDEX = {"url": "https://index.example.com/simple", "username": "me", "password": "hunter2"}
WORD = "visible ASCII characters but quotes, backslash and #"
REQUIREMENT = "a requirement (PEP 508) such as gunicorn>=23, no option and no path"

OTHERS: list[tuple[str, t.Any, str, str, str]] = [
    ("installer", "poetry", "", '"poetry"', "one of pip, uv"),
    ("installer", "uv", "", '"uv"', "pip; uv needs pyproject.toml, which is not in "),
    ("index", {"username": "me", "password": "hunter2"}, ".url", "null", "a value; username needs it"),
    ("index", {"ca_bundle": "/etc/ca.pem"}, ".url", "null", "a value; ca_bundle needs it"),
    ("index", {**INDEX, "url": "https://me:hunter2@a/simple"}, ".url", "(hidden)", "an address without credentials"),
    ("index", {**INDEX, "url": "https://hunter2@a/simple"}, ".url", "(hidden)", "an address without credentials"),
    ("index", {**INDEX, "url": "ftp://a/simple"}, ".url", '"ftp://a/simple"', "an http or https address"),
    ("index", {**INDEX, "url": "https://a/?t=hunter2"}, ".url", '"https://a/"', "an http or https address"),
    ("index", {**INDEX, "url": "https://a/ --x"}, ".url", '"https://a/ --x"', "an http or https address"),
    ("index", {**INDEX, "password": None}, ".password", "null", "a value; username needs it"),
    ("index", {**INDEX, "username": None}, ".username", "null", "a value; password needs it"),
    ("index", {**INDEX, "password": ["hunter2"]}, ".password", "(hidden)", "a string (quote it)"),
    *(("index", {**INDEX, "password": value}, ".password", "(hidden)", WORD) for value in [
        "hunter2 x", "hunter2\n", 'hunter2"', "hunter2'", "hunter2\\", "hunter2#", "", "hunter2\u00e4",
    ]),
    ("index", {**INDEX, "username": "me you"}, ".username", "(hidden)", WORD),
    ("index", {**INDEX, "ca_bundle": "ca.pem"}, ".ca_bundle", '"ca.pem"', "an absolute path"),
    ("index", {**INDEX, "pasword": "hunter2"}, ".pasword", "(hidden)", "only the keys url"),
    ("index", "https://me:hunter2@a/simple", "", "", "a dictionary"),
    *(("server_packages", ["gunicorn", value], "[1]", shown, REQUIREMENT) for value, shown in [
        ("--index-url=https://a", '"--index-url=https://a"'), ("-e .", '"-e ."'), ("./notes", '"./notes"'),
        ("/notes", '"/notes"'), ("gunicorn uvicorn", '"gunicorn uvicorn"'), ("gunicorn\n-e .", '"gunicorn\\n-e ."'),
        ("gunicorn >= 23 --hash=x", '"gunicorn >= 23 --hash=x"'), ("", '""'), ("gunicorn>23,", '"gunicorn>23,"'),
    ]),
    ("server_packages", ["a @ https://me:hunter2@b/a.whl"], "[0]", "(hidden)", "a requirement without credentials"),
    ("server_packages", "gunicorn", "", '"gunicorn"', "a list of str"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "place", "shown", "accepted"), OTHERS)
def test_installers_and_indexes(
    refusal: Refusal, name: str, value: t.Any, place: str, shown: str, accepted: str
) -> None:
    line = refusal("gunicorn_app", **{f"gunicorn_app_{name}": value})
    assert line.startswith(f"gunicorn_app_{name}{place}: {shown}")
    assert accepted in line.split(" is refused; accepted: ")[1]
    assert "hunter2" not in line
    assert "\n" not in line


def test_uv_has_no_lock_for_a_package(refusal: Refusal) -> None:
    line = refusal("gunicorn_app", gunicorn_app_source=PACKAGE, gunicorn_app_installer="uv")
    assert line.startswith('gunicorn_app_installer: "uv" is refused; accepted: pip, ')


def test_the_folder_has_what_uv_needs(refusal: Refusal, normalised: Normalise, application_folder: Path) -> None:
    (application_folder / "pyproject.toml").touch()
    line = refusal("gunicorn_app", gunicorn_app_installer="uv")
    assert line.startswith('gunicorn_app_installer: "uv" is refused; accepted: pip; uv needs uv.lock')
    (application_folder / "uv.lock").touch()
    (application_folder / "requirements.txt").unlink()
    structure = normalised("gunicorn_app", gunicorn_app_installer="uv")
    assert (structure["installer"], structure["requirements"]) == ("uv", None)
    source = {"type": "directory", "path": str(application_folder), "exclude": ["*.lock"]}
    line = refusal("gunicorn_app", gunicorn_app_installer="uv", gunicorn_app_source=source)
    assert line.startswith('gunicorn_app_source.exclude[0]: "*.lock" is refused; accepted: patterns that leave uv.lock')


def test_the_checksum_of_a_file_on_the_controller(refusal: Refusal, normalised: Normalise, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"x")
    right = "sha256:" + hashlib.sha256(b"x").hexdigest()
    source = {"type": "archive", "path": str(path)}
    for given, expected in ((None, None), (right, right), (right.upper().replace("SHA", "sha"), right)):
        structure = normalised("gunicorn_app", gunicorn_app_source={**source, "checksum": given})
        assert structure["source"] == {"type": "archive", "path": str(path), "url": None, "checksum": expected}
    line = refusal("gunicorn_app", gunicorn_app_source={**source, "checksum": SUM})
    assert line.startswith('gunicorn_app_source.checksum: "sha256:aaaa')
    assert line.endswith(f"accepted: that of {path}, which is {right}")


KEPT: list[tuple[dict[str, t.Any], dict[str, t.Any]]] = [
    (GIT, {**GIT, "signed_by": []}),
    ({**GIT, "signed_by": [KEY], "exclude": DEFAULT_EXCLUDE}, {**GIT, "signed_by": [KEY]}),
    (URL, {**URL, "path": None}),
    ({**URL, "checksum": SUM.upper().replace("SHA", "sha")}, {**URL, "path": None}),
    (
        {**URL, "url": "https://a.example.com:8443/b?token=x&y=%20"},
        {**URL, "url": "https://a.example.com:8443/b?token=x&y=%20", "path": None},
    ),
    (PACKAGE, {**PACKAGE, "extras": []}),
    (
        {
            **PACKAGE,
            "name": "My.Notes__App",
            "version": "1!2.0rc1.post3.dev4+local.5",
            "extras": ["Web_A", "b", "web-a"],
        },
        {"type": "package", "name": "my-notes-app", "version": "1!2.0rc1.post3.dev4+local.5", "extras": ["b", "web-a"]},
    ),
]


@pytest.mark.parametrize(("given", "expected"), KEPT)
def test_what_the_host_gets(normalised: Normalise, given: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    assert normalised("gunicorn_app", gunicorn_app_source=given)["source"] == expected


def test_what_is_not_used_is_not_there(normalised: Normalise) -> None:
    package = normalised("gunicorn_app", gunicorn_app_source=PACKAGE)
    assert package["requirements"] is None
    assert package["server_packages"] == ["gunicorn>=23", "uvicorn>=0.30", "uvicorn-worker>=0.2"]
    assert package["index"] is None
    git = normalised("gunicorn_app", gunicorn_app_source=GIT)
    assert (git["requirements"], git["server_packages"]) == ("requirements.txt", [])


@pytest.mark.parametrize(
    "packages",
    [
        ["gunicorn"],
        ["gunicorn[gevent, setproctitle] >= 23, < 28 ; python_version >= '3.11'"],
        ["uvicorn (==0.30.*)", "a~=1.0", "b===1"],
        ["uvicorn @ https://files.example.com/uvicorn-1.whl#sha256=ab", "a @ git+https://git.example.com/a.git@v1"],
    ],
)
def test_requirements_of_the_server(normalised: Normalise, packages: list[str]) -> None:
    structure = normalised("gunicorn_app", gunicorn_app_source=PACKAGE, gunicorn_app_server_packages=packages)
    assert structure["server_packages"] == packages


@pytest.mark.parametrize(
    "index",
    [
        {"url": "http://localhost:3141/root/pypi/+simple/"},
        {"url": "https://[2001:db8::1]:8443/simple", "ca_bundle": "/etc/ssl/own.pem"},
        {"url": "https://a/simple", "username": "__token__", "password": "pypi-Ab/+=$%&!?@:;"},
    ],
)
def test_index(normalised: Normalise, index: dict[str, str]) -> None:
    expected = {"username": None, "password": None, "ca_bundle": None, **index}
    assert normalised("gunicorn_app", gunicorn_app_index=index)["index"] == expected


def test_what_nobody_has_said_of_exclude_is_what_the_spec_says() -> None:
    assert options_of("gunicorn_app")["gunicorn_app_source"]["options"]["exclude"]["default"] == DEFAULT_EXCLUDE
