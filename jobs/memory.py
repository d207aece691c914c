"""Small databases of what is remembered between commands, and could be found out again.

None of them is needed: where one cannot be opened, the command works without it and says so in
the log; a damaged one is made anew.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

_LOG = logging.getLogger(__name__)


def open_memory(path: Path, table: str, what: str) -> sqlite3.Connection | None:
    """A database with one table; None where there can be none.

    Args:
        path: Its file, made with its directories when needed.
        table: What follows `CREATE TABLE IF NOT EXISTS`.
        what: That is remembered in it, for the log: `hashes`.
    """
    for attempt in range(2):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(path, timeout=10)
        except (OSError, sqlite3.Error) as error:
            _LOG.warning("%s are not remembered: %s", what, error)
            return None
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=OFF")
            database.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        except sqlite3.OperationalError as error:
            # no room, or somebody else's lock: what is in it is still good
            with closing(database):
                _LOG.warning("%s are not remembered: %s", what, error)
            return None
        except sqlite3.DatabaseError as error:
            with closing(database):
                _LOG.warning("%s is damaged (%s): it is made anew", path, error)
            if attempt == 0:
                path.unlink(missing_ok=True)
        else:
            return database
    return None
