"""What is in a file, by SHA-256, read once as long as it does not change.

A file that kept its size, times and inode since it was last hashed is not read again.
A file changed within the last moments is not remembered: within a clock tick its times
could stay the same while its contents change (git calls this "racily clean").
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from jobs.errors import InputError, shown
from jobs.memory import Memory
from jobs.threads import StoppedError, in_threads, stopping

_SETTLED_NS = 2_000_000_000
_BLOCK = 1 << 20
_TABLE = (
    "contents (path BLOB PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What was in a file when it was looked at.

    Attributes:
        sha256: Lower-case hexadecimal.
        size: Bytes.
        stamp: Size, times and inode; a file with another stamp may have changed.
    """

    sha256: str
    size: int
    stamp: str


class ContentCache:
    """Remembers hashes in a small database; without one it works, and reads each time."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the database, made with its directories when needed; None: no memory."""
        self._memory = Memory(path, _TABLE, "hashes")
        self.files_read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.close()

    def look(self, paths: Iterable[Path], *, threads: int = 4) -> dict[Path, Contents]:
        """The contents of files, by path.

        Raises:
            InputError: A file cannot be read; all of them are named.
        """
        wanted = list(dict.fromkeys(paths))
        known: dict[Path, Contents] = {}
        unread: list[Path] = []
        problems: list[str] = []
        for path in wanted:
            try:
                stamp, size = _stamp(path)
            except OSError as error:
                problems.append(f"{shown(path)} cannot be read: {error.strerror}")
                continue
            remembered = self._remembered(path, stamp)
            if remembered is None:
                unread.append(path)
            else:
                known[path] = Contents(sha256=remembered, size=size, stamp=stamp)
        read = dict(in_threads(_read, unread, at_once=threads, name="hash"))
        for path in unread:
            result = read[path]
            if isinstance(result, str):
                problems.append(f"{shown(path)} cannot be read: {result}")
            else:
                known[path] = result
        self.files_read += len(unread)
        if problems:
            raise InputError("\n".join(problems))
        self._remember({path: known[path] for path in unread})
        return known

    def _remembered(self, path: Path, stamp: str) -> str | None:
        row = self._memory.use(
            lambda database: database.execute(
                "SELECT sha256 FROM contents WHERE path = ? AND stamp = ?",
                (os.fsencode(path), stamp),
            ).fetchone()
        )
        return None if row is None else str(row[0])

    def _remember(self, contents: dict[Path, Contents]) -> None:
        settled = time.time_ns() - _SETTLED_NS
        rows = [
            (os.fsencode(path), item.stamp, item.sha256)
            for path, item in contents.items()
            if int(item.stamp.split("-")[1]) < settled
        ]
        self._memory.use(
            lambda database: database.executemany(
                "INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", rows
            )
        )


def unchanged(path: Path, contents: Contents) -> bool:
    """Whether a file still has the stamp with which it was hashed."""
    try:
        return _stamp(path)[0] == contents.stamp
    except OSError:
        return False


def changed(path: Path) -> InputError:
    """What is wrong with a file that is not, or not yet, what it was when files were looked at."""
    return InputError(
        f"{shown(path)} changed while it was being staged: run again when it is complete"
    )


def _stamp(path: Path) -> tuple[str, int]:
    stat = path.stat()
    latest = max(stat.st_mtime_ns, stat.st_ctime_ns)
    return f"{stat.st_size}-{latest}-{stat.st_mtime_ns}-{stat.st_dev}-{stat.st_ino}", stat.st_size


def _read(path: Path) -> tuple[Path, Contents | str]:
    """A file's contents, or why they cannot be had.

    Raises:
        StoppedError: Nobody wants them any more.
    """
    digest = hashlib.sha256()
    try:
        stamp, _ = _stamp(path)
        size = 0
        with path.open("rb", buffering=0) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
                if stopping():
                    raise StoppedError
        after, _ = _stamp(path)
    except OSError as error:
        return path, error.strerror or str(error)
    if after != stamp:
        return path, "it changes while it is being read"
    return path, Contents(sha256=digest.hexdigest(), size=size, stamp=stamp)
