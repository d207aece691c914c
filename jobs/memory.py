"""Small databases of what is remembered between commands, and could be found out again.

None of them is needed: where one cannot be used, the command works without it and says so in
the log; a damaged one is made anew, when it is opened or later.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_SOUND = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""Results that tell of no room, or of somebody else's lock: what is in the database is still good
(https://www.sqlite.org/rescode.html)."""


class Memory:
    """A database with one table, or nothing where there can be none."""

    def __init__(self, path: Path | None, table: str, what: str) -> None:
        """Opens it.

        Args:
            path: Its file, made with its directories when needed; None: nothing is remembered.
            table: What follows `CREATE TABLE IF NOT EXISTS`.
            what: That is remembered in it, for the log: `hashes`.
        """
        self._path = path
        self._table = table
        self._what = what
        self._database = self._opened()

    def close(self) -> None:
        """Closes it."""
        if self._database is not None:
            self._database.close()

    def use(self, act: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `act` gives, in one transaction; None where nothing can be remembered."""
        if self._database is None:
            return None
        try:
            with self._database:
                return act(self._database)
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            self._database.close()
            self._database = self._opened() if self._taken_away(error) else None
            return None

    def _opened(self) -> sqlite3.Connection | None:
        if self._path is None:
            return None
        for _ in range(2):
            try:
                return _connected(self._path, self._table)
            except (OSError, sqlite3.Error) as error:
                if not self._taken_away(error):
                    break
        return None

    def _taken_away(self, error: OSError | sqlite3.Error) -> bool:
        """Says what happened; whether that was damage, and the database is gone for it."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if isinstance(error, OSError) or code & 0xFF in _SOUND:
            _LOG.warning("%s are not remembered: %s", self._what, error)
            return False
        _LOG.warning("%s is damaged (%s): it is made anew", self._path, error)
        for suffix in ("-wal", "-shm", ""):  # what the old one's log says is not for the new one
            with suppress(OSError):
                Path(f"{self._path}{suffix}").unlink()
        return True


def _connected(path: Path, table: str) -> sqlite3.Connection:
    """The database with its table.

    Raises:
        OSError: Its directory cannot be made.
        sqlite3.Error: It cannot be opened, or is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=10)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        database.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    except BaseException:
        database.close()
        raise
    return database
