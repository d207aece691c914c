"""The resources that exist, in SQLite: a file, or memory.

A document holds what was asked for, not what is answered: outputs are computed when
they are read, so that an endpoint that moved since shows its new place. Secrets are
taken out before a document comes here.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS documents (
    key TEXT PRIMARY KEY,  -- the id, folded: ids are equal whatever their case
    id TEXT NOT NULL,
    token TEXT NOT NULL,
    owner TEXT NOT NULL,
    inputs TEXT NOT NULL,
    created TEXT NOT NULL,
    modified TEXT NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A resource that exists.

    Attributes:
        id: Resource id.
        token: Pulumi's type token.
        owner: URN of the Pulumi resource that put it there.
        inputs: Its properties as they were put, without secrets.
        created: When it was first put, ISO 8601.
        modified: When it was last put, ISO 8601.
    """

    id: str
    token: str
    owner: str
    inputs: dict[str, Any]
    created: str
    modified: str


class Store:
    """Documents by resource id. Safe to use from several threads."""

    def __init__(self, path: Path | None) -> None:
        """Opens the file, making it and its directory; memory if there is none.

        Raises:
            sqlite3.DatabaseError: The file is no database.
        """
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None
        )
        try:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_TABLE)
        except sqlite3.Error:
            self._database.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def get(self, resource_id: str) -> Document | None:
        """The document of an id, or None."""
        with self._cursor() as cursor:
            row = cursor.execute(
                "SELECT id, token, owner, inputs, created, modified FROM documents WHERE key = ?",
                (resource_id.casefold(),),
            ).fetchone()
        return _document(row) if row else None

    def put(self, document: Document) -> None:
        """Adds or replaces a document."""
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    document.id.casefold(),
                    document.id,
                    document.token,
                    document.owner,
                    json.dumps(document.inputs),
                    document.created,
                    document.modified,
                ),
            )

    def delete(self, resource_id: str, *, with_content: bool = True) -> None:
        """Removes a document and what is below it; no error if there is none."""
        key = resource_id.casefold()
        with self._cursor() as cursor:
            cursor.execute(
                "DELETE FROM documents WHERE key = ? OR (? AND substr(key, 1, ?) = ?)",
                (key, with_content, len(key) + 1, f"{key}/"),
            )

    def below(self, resource_id: str) -> list[Document]:
        """The documents below a resource, by id."""
        prefix = f"{resource_id.casefold()}/"
        return [one for one in self.all() if one.id.casefold().startswith(prefix)]

    def owned(self, owner: str) -> list[Document]:
        """The documents that a Pulumi resource put there, by id."""
        return [one for one in self.all() if one.owner == owner]

    def all(self) -> list[Document]:
        """Every document, by id."""
        with self._cursor() as cursor:
            rows = cursor.execute(
                "SELECT id, token, owner, inputs, created, modified FROM documents ORDER BY key"
            ).fetchall()
        return [_document(row) for row in rows]

    @contextmanager
    def _cursor(self) -> Iterator[sqlite3.Cursor]:
        with self._lock:
            cursor = self._database.cursor()
            try:
                yield cursor
            finally:
                cursor.close()


def _document(row: tuple[str, str, str, str, str, str]) -> Document:
    resource_id, token, owner, inputs, created, modified = row
    return Document(
        id=resource_id,
        token=token,
        owner=owner,
        inputs=json.loads(inputs),
        created=created,
        modified=modified,
    )
