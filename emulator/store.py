"""What survives a restart: accounts and records, in one SQLite file.

WAL, one transaction for all that changed since the last: a change is in the file (and
so survives `kill -9`) before the client hears that it was made. A file that cannot be
read is set aside, never deleted. Only one emulator may use a directory: it holds a
lock on it for as long as it lives.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from emulator.engine.records import VERSION, Kind, Row
from emulator.errors import AlreadyRunningError, LocalStateError

logger = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE accounts (name TEXT PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    account TEXT NOT NULL, kind TEXT NOT NULL, parent TEXT NOT NULL, key TEXT NOT NULL,
    body BLOB NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (account, kind, parent, key)
);
"""
_APPLICATIONS = """
CREATE TABLE IF NOT EXISTS applications (
    account TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (account, key)
) WITHOUT ROWID;
"""
"""Beside the versioned schema: a file of an emulator without applications only lacks it."""
_FILE = "batch.sqlite3"
_LOCK = "lock"
_PUT = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM records WHERE account = ? AND kind = ? AND parent = ? AND key = ?"
_DELETE_TASKS = "DELETE FROM records WHERE account = ? AND kind = 'task' AND parent = ?"


class Store:
    """The file, open.

    Args:
        directory: Where it is, made if it is not there; None for one in memory.

    Raises:
        AlreadyRunningError: Another emulator uses the directory.
        LocalStateError: The file is damaged (it was set aside), or of a newer emulator.
    """

    def __init__(self, directory: Path | None) -> None:
        self._lock: IO[str] | None = None
        if directory is None:
            self._connection = sqlite3.connect(":memory:", isolation_level=None)
            self._connection.executescript(_SCHEMA + _APPLICATIONS)
            return
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(directory)
        try:
            self._connection = _open(directory / _FILE)
            self._connection.executescript(_APPLICATIONS)
        except BaseException:
            self._lock.close()
            raise

    def accounts(self) -> dict[str, bytes]:
        """Account name → key."""
        return dict(self._connection.execute("SELECT name, key FROM accounts"))

    def put_account(self, name: str, key: bytes) -> None:
        """Adds an account or changes its key."""
        self._connection.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", (name, key))

    def delete_account(self, name: str) -> None:
        """Removes an account with all its records."""
        with self._transaction():
            self._connection.execute("DELETE FROM accounts WHERE name = ?", (name,))
            self._connection.execute("DELETE FROM records WHERE account = ?", (name,))
            self._connection.execute("DELETE FROM applications WHERE account = ?", (name,))

    def applications(self, account: str) -> list[str]:
        """The applications of an account, each as it was kept."""
        query = "SELECT body FROM applications WHERE account = ? ORDER BY key"
        return [body for (body,) in self._connection.execute(query, (account,))]

    def put_application(self, account: str, key: str, body: str | None) -> None:
        """Keeps an application, or forgets it when `body` is None."""
        if body is None:
            delete = "DELETE FROM applications WHERE account = ? AND key = ?"
            self._connection.execute(delete, (account, key))
        else:
            put = "INSERT OR REPLACE INTO applications VALUES (?, ?, ?)"
            self._connection.execute(put, (account, key, body))

    def rows(self, account: str) -> Iterator[Row]:
        """The records of an account."""
        query = "SELECT kind, parent, key, body, state FROM records WHERE account = ?"
        for kind, parent, key, body, state in self._connection.execute(query, (account,)):
            yield Row(kind, parent, key, body, state)

    def write(
        self,
        changes: Iterable[tuple[str, list[Row], list[tuple[Kind, str, str]]]],
    ) -> None:
        """Stores what changed, all of it or nothing.

        Args:
            changes: Account, records to put, and keys of those to delete; deleting a job
                deletes its tasks.
        """
        with self._transaction():
            execute = self._connection.executemany
            for account, rows, removed in changes:
                execute(_DELETE, [(account, *key) for key in removed])
                jobs = [(account, key) for kind, _, key in removed if kind == "job"]
                execute(_DELETE_TASKS, jobs)
                execute(_PUT, [(account, r.kind, r.parent, r.key, r.body, r.state) for r in rows])

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection)

    def close(self) -> None:
        """Closes the file and lets others have the directory."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()


class _Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _lock(directory: Path) -> IO[str]:
    stream = (directory / _LOCK).open("w", encoding="utf-8")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise AlreadyRunningError(
            f"another emulator uses {directory}.\n"
            "Stop it, or start this one with another directory: --data DIR"
        ) from None
    return stream


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise set_aside(path, str(error)) from error
    if verdict != "ok":
        connection.close()
        raise set_aside(path, verdict)
    if 0 < version < VERSION:  # rows of before are read as they are (`emulator.engine.records`)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    if version > VERSION:
        connection.close()
        raise LocalStateError(
            f"{path} was written by a newer emulator (version {version}, not {VERSION}).\n"
            "Start that one, or this one with another directory: --data DIR"
        )
    return connection


def set_aside(path: Path, why: str) -> LocalStateError:
    """Moves a damaged file out of the way and says so."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    kept = path.with_name(f"{path.name}.damaged-{stamp}")
    path.rename(kept)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(kept.with_name(kept.name + suffix))
    return LocalStateError(
        f"{path} is damaged: {why}.\n"
        f"It was kept as {kept.name}; start the emulator again to begin with an empty state."
    )
