"""Notes in one SQLite file that all worker processes share.

Every method blocks. Callers run in a thread (a plain `def` route, or asyncio.to_thread): on the
event loop, one slow disk would stop every other request of the worker.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

# How long a writer waits for another one. Below the health check's and nginx's patience, so a
# stuck database becomes an answer with a reason instead of a timeout without one.
BUSY_SECONDS = 5.0

# During a release the old and the new version use the file at the same time, and a rollback
# returns to the old one: changes here may add tables and columns, never rename or drop.
SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
)
"""

Row = dict[str, Any]


class Storage:
    """The notes table. Creating the object touches nothing; open() does."""

    def __init__(self, path: Path) -> None:
        """Remember where the database is."""
        self.path = path
        self._anchor: sqlite3.Connection | None = None

    def open(self) -> None:
        """Create what is missing; raise RuntimeError naming the file if that fails.

        One connection stays open, unused: when the last one closes, SQLite takes the whole
        file to fold its write-ahead log, and a neighbour process would see "database is locked".
        """
        try:
            with self._one_at_a_time():
                self._anchor = self._connect("rwc")
                # Readers do not wait for the writer; the mode stays with the file.
                self._anchor.execute("PRAGMA journal_mode = WAL")
                self._anchor.execute(SCHEMA)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise RuntimeError(f"cannot open the database {self.path}: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None

    def ping(self) -> None:
        """Raise sqlite3.Error unless the file is there and holds the table."""
        self._query("SELECT id FROM notes LIMIT 1")

    def add(self, title: str, body: str) -> Row:
        """Store a note and return it."""
        now = _now()
        return self._query(
            "INSERT INTO notes (title, body, created_at, updated_at) VALUES (?, ?, ?, ?)"
            " RETURNING *",
            (title, body, now, now),
        )[0]

    def newest(self, limit: int) -> list[Row]:
        """Return at most `limit` notes, the newest first."""
        return self._query("SELECT * FROM notes ORDER BY id DESC LIMIT ?", (limit,))

    def get(self, note_id: int) -> Row | None:
        """Return one note, or None."""
        return _first(self._query("SELECT * FROM notes WHERE id = ?", (note_id,)))

    def replace(self, note_id: int, title: str, body: str) -> Row | None:
        """Replace a note's text and return it, or None if there is no such note."""
        return _first(
            self._query(
                "UPDATE notes SET title = ?, body = ?, updated_at = ? WHERE id = ? RETURNING *",
                (title, body, _now(), note_id),
            )
        )

    def remove(self, note_id: int) -> bool:
        """Remove a note; False if there is no such note."""
        return bool(self._query("DELETE FROM notes WHERE id = ? RETURNING id", (note_id,)))

    def _query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        # A connection each time costs a fraction of a millisecond. In return no thread shares
        # one, and a file that was removed or replaced is noticed at once; "rw" rather than
        # "rwc", because a file that vanished must be an error and not an empty database.
        with closing(self._connect("rw")) as connection:
            return [dict(row) for row in connection.execute(sql, parameters).fetchall()]

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            # Autocommit: every operation here is one statement, and atomic by itself.
            isolation_level=None,
            # The anchor is opened and closed by whichever thread the event loop picks.
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
        return connection

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        # Workers start together, and SQLite does not wait (busy timeout or not) for another
        # process that is switching the same new file to WAL: it fails with "locked".
        with self.path.with_name(f"{self.path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _first(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
