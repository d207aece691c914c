from __future__ import annotations

import hashlib
import itertools
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobs.contents import ContentCache, unchanged
from jobs.errors import InputError


def old_file(path: Path, data: bytes) -> Path:
    """A file that was last touched a minute ago, as far as its times can say so."""
    path.write_bytes(data)
    return path


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.contents._SETTLED_NS", 0)
    path = old_file(tmp_path / "f", b"one")
    database = tmp_path / "cache" / "c.sqlite"
    for expected_reads in (1, 0):
        with ContentCache(database) as cache:
            assert cache.look([path])[path].sha256 == hashlib.sha256(b"one").hexdigest()
            assert cache.files_read == expected_reads
    old_file(path, b"two")
    with ContentCache(database) as cache:
        assert cache.look([path])[path].sha256 == hashlib.sha256(b"two").hexdigest()
        assert cache.files_read == 1


def test_a_file_of_this_moment_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.contents._SETTLED_NS", 3_600 * 10**9)
    path = old_file(tmp_path / "f", b"one")
    for _ in range(2):
        with ContentCache(tmp_path / "c.sqlite") as cache:
            cache.look([path])
            assert cache.files_read == 1


def test_a_damaged_database_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = tmp_path / "c.sqlite"
    database.write_bytes(b"no database" * 100)
    path = old_file(tmp_path / "f", b"1")
    with ContentCache(database) as cache:
        assert cache.look([path])[path].size == 1
    assert "is damaged" in caplog.text
    with ContentCache(database) as cache:
        cache.look([path])


def pages_overwritten(database: Path) -> None:
    """The header is sound, and so the database opens."""
    size = database.stat().st_size
    with database.open("r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(size - 4096))


def hash_of_another_kind(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE contents SET sha256 = CAST(x'ff' AS TEXT)")
        connection.commit()


def table_of_another_shape(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE contents")
        connection.execute("CREATE TABLE contents (path BLOB)")
        connection.commit()


@pytest.mark.parametrize(
    "damage", [pages_overwritten, hash_of_another_kind, table_of_another_shape]
)
def test_damage_that_is_met_later_costs_reading_the_files_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
) -> None:
    monkeypatch.setattr("jobs.contents._SETTLED_NS", 0)
    paths = [old_file(tmp_path / f"file {number}", b"%d" % number) for number in range(200)]
    database = tmp_path / "c.sqlite"
    with ContentCache(database) as cache:
        right = cache.look(paths)
    damage(database)
    for expected_reads in (len(paths), 0):
        with ContentCache(database) as cache:
            assert cache.look(paths) == right
            assert cache.files_read == expected_reads
    assert [record.getMessage() for record in caplog.records if "is damaged" in record.msg] == [
        record.getMessage() for record in caplog.records
    ]
    assert len(caplog.records) == 1
    assert {path.name for path in tmp_path.iterdir()} == {database.name, *(p.name for p in paths)}


def test_a_database_that_is_busy_when_it_is_asked_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("jobs.contents._SETTLED_NS", 0)
    path, database = old_file(tmp_path / "f", b"one"), tmp_path / "c.sqlite"

    def connect(*arguments: Any, **options: Any) -> Any:
        return real(*arguments, **{**options, "timeout": 0})

    real = sqlite3.connect
    monkeypatch.setattr("jobs.memory.sqlite3.connect", connect)
    with ContentCache(database) as cache:
        cache.look([path])
    with closing(real(database, isolation_level=None)) as holder, ContentCache(database) as cache:
        holder.execute("BEGIN IMMEDIATE")
        old_file(path, b"two")
        assert cache.look([path])[path].sha256 == hashlib.sha256(b"two").hexdigest()
        holder.execute("ROLLBACK")
    assert "hashes are not remembered: database is locked" in caplog.text
    with closing(real(database)) as connection:
        assert connection.execute("SELECT sha256 FROM contents").fetchall() == [
            (hashlib.sha256(b"one").hexdigest(),)
        ]


def test_ctrl_c_ends_the_reading_of_a_large_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heeded = threading.Event()
    blocks = itertools.count(1)
    read: list[int] = []

    class Joined(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            heeded.set()
            super().join(timeout)

    class Digest:
        def update(self, _block: bytes) -> None:
            read.append(next(blocks))
            if read == [1]:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                assert heeded.wait(60)

        def hexdigest(self) -> str:
            return ""

    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(64 << 20)
    monkeypatch.setattr(threading, "Thread", Joined)
    monkeypatch.setattr("jobs.contents.hashlib.sha256", Digest)
    with ContentCache(None) as cache, pytest.raises(KeyboardInterrupt):
        cache.look([path])
    assert read == [1]


def test_all_unreadable_files_are_named(tmp_path: Path) -> None:
    with ContentCache(None) as cache, pytest.raises(InputError) as caught:
        cache.look([tmp_path / "a", tmp_path / "b"])
    assert "a cannot be read: No such file" in str(caught.value)
    assert "b cannot be read: No such file" in str(caught.value)


def test_a_change_of_contents_with_the_same_size_and_mtime_is_seen(tmp_path: Path) -> None:
    path = old_file(tmp_path / "f", b"one")
    with ContentCache(None) as cache:
        contents = cache.look([path])[path]
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    assert unchanged(path, contents)
    os.rename(old_file(tmp_path / "g", b"two"), path)  # noqa: PTH104 - what an editor does
    os.utime(path, ns=times)
    assert not unchanged(path, contents)
