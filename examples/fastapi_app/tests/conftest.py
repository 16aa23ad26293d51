"""Fixtures: the application in this process, on a database of its own."""

from __future__ import annotations

import io
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

# Before notes.main is imported, which builds `app` from the environment: the outcome must not
# depend on what the person who runs the tests has exported.
for _name in [name for name in os.environ if name.startswith("NOTES_")]:
    del os.environ[_name]
os.environ.pop("STATE_DIRECTORY", None)

from starlette.testclient import TestClient  # noqa: E402

from notes.logs import JsonFormatter  # noqa: E402
from notes.main import create_app  # noqa: E402
from notes.settings import Settings  # noqa: E402


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database=tmp_path / "notes.sqlite3",
        allowed_hosts=("testserver", "*.example.com"),
        version="1.2.3",
        secret="do-not-show",
    )


@pytest.fixture(autouse=True)
def _put_logging_back(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))


@pytest.fixture
def log() -> io.StringIO:
    """What the application of `client` logs once it runs."""
    return io.StringIO()


@pytest.fixture
def client(settings: Settings, log: io.StringIO) -> Iterator[TestClient]:
    """The running application."""
    with TestClient(create_app(settings)) as client:
        for handler in logging.getLogger().handlers:
            if isinstance(handler.formatter, JsonFormatter):
                # pytest replaces stderr between a test's phases, and closes the one before.
                cast("logging.StreamHandler[io.StringIO]", handler).setStream(log)
        yield client


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for unix sockets, whose whole path may have 107 characters: tmp_path is longer."""
    with tempfile.TemporaryDirectory(prefix="notes-") as folder:
        yield Path(folder)
