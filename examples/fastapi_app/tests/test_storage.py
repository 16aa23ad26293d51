from __future__ import annotations

import fcntl
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing
from pathlib import Path

import pytest

from notes.storage import Storage


def test_opening_together_and_writing_together(tmp_path: Path) -> None:
    storages = [Storage(tmp_path / "new ?#%.sqlite3") for _index in range(8)]

    def work(storage: Storage) -> None:
        storage.open()
        for number in range(10):
            storage.add(f"note {number}", "")

    with ThreadPoolExecutor(len(storages)) as pool:
        list(pool.map(work, storages))
    rows = storages[0].newest(100)
    assert [row["id"] for row in rows] == list(range(80, 0, -1))
    for storage in storages:
        storage.close()


def test_only_one_process_creates_the_file(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "notes.sqlite3")
    with ThreadPoolExecutor(1) as pool:
        with (tmp_path / "notes.sqlite3.lock").open("w") as neighbour:
            fcntl.flock(neighbour, fcntl.LOCK_EX)
            opened = pool.submit(storage.open)
            with pytest.raises(FutureTimeoutError):
                opened.result(timeout=0.2)
            assert not storage.path.exists()
        opened.result(timeout=5)
    storage.ping()
    storage.close()


def test_readers_and_a_writer_do_not_wait_for_each_other(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "notes.sqlite3")
    storage.open()
    storage.add("before", "")
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM notes").fetchall() == [(1,)]
        storage.add("meanwhile", "")
        assert reader.execute("SELECT count(*) FROM notes").fetchall() == [(1,)]
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO notes VALUES (9, 'uncommitted', '', '', '')")
        assert [row["title"] for row in storage.newest(10)] == ["meanwhile", "before"]
        storage.ping()
    storage.close()


def test_notes_survive_a_restart(tmp_path: Path) -> None:
    for expected in (1, 2):
        storage = Storage(tmp_path / "notes.sqlite3")
        storage.open()
        storage.add("kept", "")
        assert len(storage.newest(10)) == expected
        storage.close()


@pytest.mark.parametrize("kind", ["missing folder", "a folder", "not a database"])
def test_a_start_that_fails_names_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "notes.sqlite3"
    if kind == "missing folder":
        path = tmp_path / "missing" / "notes.sqlite3"
    elif kind == "a folder":
        path.mkdir()
    else:
        path.write_text("this is no database" * 100)
    with pytest.raises(RuntimeError, match=r"cannot open the database .*notes\.sqlite3: "):
        Storage(path).open()


def test_a_removed_file_is_an_error_and_not_an_empty_database(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "notes.sqlite3")
    storage.open()
    storage.path.unlink()
    with pytest.raises(sqlite3.OperationalError):
        storage.ping()
    assert not storage.path.exists()
    storage.close()
