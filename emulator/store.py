"""What survives a restart: accounts and records, in one SQLite file.

WAL, one transaction for all that changed since the last: a change is in the file (and
so survives `kill -9`) before the client hears that it was made. A damaged file is set aside,
never deleted; one that is only locked, or for which there is no room, is left alone. Only one
emulator may use a directory: it holds a lock on it for as long as it lives.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
_WAIT_S = 1.0
"""So long a lock of another program is waited for; nothing else happens meanwhile."""
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "Another program has it open: end that one, then try again.",
    sqlite3.SQLITE_FULL: "Make room, then try again.",
    sqlite3.SQLITE_IOERR: "See that the disk has room and is whole, then try again.",
    sqlite3.SQLITE_READONLY: "Make it writable, or use another directory: --data DIR",
    sqlite3.SQLITE_CANTOPEN: "See that you may read and write it, or use another directory: "
    "--data DIR",
}
_REMEDY = "It was left as it is; use another directory: --data DIR"


class Store:
    """The file, open.

    Args:
        directory: Where it is, made if it is not there; None for one in memory.

    Raises:
        AlreadyRunningError: Another emulator uses the directory.
        LocalStateError: The file is damaged (it was set aside), of a newer emulator, or cannot
            be opened now. So do all methods when the file cannot be read or written.
    """

    def __init__(self, directory: Path | None) -> None:
        self._lock: IO[str] | None = None
        self._path: Path | None = None
        if directory is None:
            self._connection = sqlite3.connect(":memory:", isolation_level=None)
            self._connection.executescript(_SCHEMA + _APPLICATIONS)
            return
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(directory)
        except OSError as error:
            raise LocalStateError(
                f"{directory} cannot hold the state: {error.strerror}.\n"
                "Make it a directory that you may write to, or use another: --data DIR"
            ) from error
        self._path = directory / _FILE
        try:
            self._connection = _open(self._path)
            with _translated(self._path):
                self._connection.executescript(_APPLICATIONS)
        except BaseException:
            self._lock.close()
            raise

    def accounts(self) -> dict[str, bytes]:
        """Account name → key."""
        with _translated(self._path):
            return dict(self._connection.execute("SELECT name, key FROM accounts"))

    def put_account(self, name: str, key: bytes) -> None:
        """Adds an account or changes its key."""
        with _translated(self._path):
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
        with _translated(self._path):
            return [body for (body,) in self._connection.execute(query, (account,))]

    def put_application(self, account: str, key: str, body: str | None) -> None:
        """Keeps an application, or forgets it when `body` is None."""
        with _translated(self._path):
            if body is None:
                delete = "DELETE FROM applications WHERE account = ? AND key = ?"
                self._connection.execute(delete, (account, key))
            else:
                put = "INSERT OR REPLACE INTO applications VALUES (?, ?, ?)"
                self._connection.execute(put, (account, key, body))

    def rows(self, account: str) -> Iterator[Row]:
        """The records of an account."""
        query = "SELECT kind, parent, key, body, state FROM records WHERE account = ?"
        with _translated(self._path):
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

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite itself rolls back on some errors, and on others leaves it to us.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def set_aside(self, why: str) -> LocalStateError:
        """Closes the file and moves it out of the way: what is in it makes no sense."""
        self.close()
        if self._path is None:
            return LocalStateError(f"the state in memory is damaged: {why}.")
        return set_aside(self._path, why)

    def close(self) -> None:
        """Closes the file and lets others have the directory."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()


@contextmanager
def _translated(path: Path | None) -> Iterator[None]:
    """What keeps the file from being read or written, as a person can mend it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = _code(error)
        if code not in _REMEDIES and code not in _DAMAGE:
            raise
        raise _unusable(path, error) from error


def _code(error: sqlite3.Error) -> int:
    """The primary result code (https://www.sqlite.org/rescode.html); 0 where SQLite gave none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _unusable(path: Path | None, error: sqlite3.Error) -> LocalStateError:
    what = path or "the state in memory"
    return LocalStateError(
        f"{what} cannot be used: {error}.\n{_REMEDIES.get(_code(error), _REMEDY)}"
    )


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
    with _translated(path):
        connection = sqlite3.connect(path, isolation_level=None, timeout=_WAIT_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        if _code(error) in _DAMAGE:
            raise set_aside(path, str(error)) from error
        raise _unusable(path, error) from error
    if verdict != "ok":
        connection.close()
        raise set_aside(path, verdict)
    if 0 < version < VERSION:  # rows of before are read as they are (`emulator.engine.records`)
        with _translated(path):
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
