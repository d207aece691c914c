"""What was read once, kept as it was then, so that reading it again gives the same.

A table of tasks is read several times: to check and count it, for a trial, for all the others,
to note what each task was given. In between somebody may edit it, and a job must not be half of
one table and half of another. A copy that nobody else can open stays what it was; it goes with
the process. Large ones are in a file without a name, because a job may have ten million tasks.
"""

from __future__ import annotations

import io
import os
import tempfile
import weakref
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

IN_MEMORY = 1 << 20
"""Bytes up to which no file is made."""


class Snapshot:
    """Bytes that stay what they were; any number of readers, each at its own place."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Takes the bytes, one chunk after the other.

        Raises:
            ValueError: There is no room for a copy.
        """
        self._content = bytearray()
        self._handle = -1
        self.size = 0
        for chunk in chunks:
            self._content += chunk
            self.size += len(chunk)
            if len(self._content) > IN_MEMORY:
                self._to_file()
        if self._handle >= 0:
            self._to_file()

    def open(self) -> IO[bytes]:
        """A reader of all of it, from its beginning."""
        if self._handle < 0:
            return io.BytesIO(self._content)
        return io.BufferedReader(_Reader(self, self._handle))

    def _to_file(self) -> None:
        try:
            if self._handle < 0:
                self._handle, name = tempfile.mkstemp(prefix="jobs-")
                weakref.finalize(self, os.close, self._handle)
                os.unlink(name)  # noqa: PTH108 - what mkstemp gives is no Path
            left = memoryview(self._content)
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError as error:
            raise ValueError(
                f"there is no room for a copy of it in {tempfile.gettempdir()} (TMPDIR): "
                f"{error.strerror}"
            ) from error
        self._content = bytearray()


class _Reader(io.RawIOBase):
    """A place in the file; the snapshot, and with it the file, lives as long as its readers."""

    def __init__(self, snapshot: Snapshot, handle: int) -> None:
        self._snapshot = snapshot
        self._handle = handle
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        content = os.pread(self._handle, len(view), self._at)
        view[: len(content)] = content
        self._at += len(content)
        return len(content)
