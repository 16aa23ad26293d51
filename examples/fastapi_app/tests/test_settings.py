from __future__ import annotations

import re
from pathlib import Path

import pytest

import notes
from notes.settings import Settings


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "notes.sqlite3"),
        ({"STATE_DIRECTORY": "/var/lib/notes"}, "/var/lib/notes/notes.sqlite3"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a/notes.sqlite3"),
        ({"STATE_DIRECTORY": "/var/lib/notes", "NOTES_DATABASE": "/srv/n.db"}, "/srv/n.db"),
        ({"NOTES_DATABASE": ""}, "notes.sqlite3"),
    ],
)
def test_database(environ: dict[str, str], expected: str) -> None:
    assert Settings.from_environment(environ).database == Path(expected)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("localhost", "127.0.0.1", "testserver")),
        ({"NOTES_ALLOWED_HOSTS": " a.example , *.b.example,"}, ("a.example", "*.b.example")),
        ({"NOTES_ALLOWED_HOSTS": "*"}, ("*",)),
    ],
)
def test_allowed_hosts(environ: dict[str, str], expected: tuple[str, ...]) -> None:
    assert Settings.from_environment(environ).allowed_hosts == expected


@pytest.mark.parametrize("value", ["", " , ", "a.*", "*example.com", "*.*.example.com", "**"])
def test_refused_hosts(value: str) -> None:
    with pytest.raises(ValueError, match="NOTES_ALLOWED_HOSTS"):
        Settings.from_environment({"NOTES_ALLOWED_HOSTS": value})


def test_version_and_secret() -> None:
    plain = Settings.from_environment({})
    assert (plain.version, plain.secret) == (notes.__version__, None)
    given = Settings.from_environment({"NOTES_VERSION": "2", "NOTES_SECRET": "hush"})
    assert (given.version, given.secret) == ("2", "hush")
    assert "hush" not in repr(given)


def test_the_two_places_of_the_version_agree() -> None:
    pyproject = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert re.findall(r'^version = "(.+)"$', pyproject, re.M) == [notes.__version__]
