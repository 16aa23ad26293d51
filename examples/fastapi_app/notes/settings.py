"""What the environment decides, read once and checked at the start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from notes import __version__

DEFAULT_HOSTS = "localhost,127.0.0.1,testserver"


@dataclass(frozen=True)
class Settings:
    """The application's settings; a wrong one stops the start, not the first request."""

    database: Path
    allowed_hosts: tuple[str, ...]
    version: str
    # Out of the repr: settings end up in tracebacks and debug output, a secret must not.
    secret: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; raise ValueError naming the variable that is wrong."""
        environ = os.environ if environ is None else environ
        return cls(
            database=_database(environ),
            allowed_hosts=_hosts(environ.get("NOTES_ALLOWED_HOSTS", DEFAULT_HOSTS)),
            version=environ.get("NOTES_VERSION") or __version__,
            secret=environ.get("NOTES_SECRET") or None,
        )


def _database(environ: Mapping[str, str]) -> Path:
    if explicit := environ.get("NOTES_DATABASE"):
        return Path(explicit)
    # systemd sets STATE_DIRECTORY for a unit with StateDirectory=, as a colon-separated list.
    # It outlives releases; the working directory is replaced with each of them.
    state = environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(state or ".") / "notes.sqlite3"


def _hosts(value: str) -> tuple[str, ...]:
    hosts = tuple(host.strip() for host in value.split(",") if host.strip())
    if not hosts:
        raise ValueError("NOTES_ALLOWED_HOSTS: names no host, every request would be refused")
    for host in hosts:
        if host != "*" and "*" in host.removeprefix("*."):
            raise ValueError(
                f"NOTES_ALLOWED_HOSTS: {host!r} is not a host name, '*.example.com' or '*'"
            )
    return hosts
