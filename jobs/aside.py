"""What a workload's own Python prints goes to stderr: stdout has results, and JSON nothing else.

Only the thread that runs such code is meant: what others print meanwhile, as the program that
imports `jobs` may, goes where it always does. A process that such code starts has this one's
stdout.
"""

from __future__ import annotations

import io
import sys
import threading
from typing import Any


class _Split(io.TextIOBase):
    """In place of `sys.stdout` while at least one thread prints aside."""

    def __init__(self, plain: Any) -> None:
        self.plain = plain
        self.threads: set[int] = set()

    @property
    def stream(self) -> Any:
        """Where this thread prints; None, as `sys.stdout` may be, where nobody reads it."""
        return sys.stderr if threading.get_ident() in self.threads else self.plain

    def write(self, text: str) -> int:
        stream = self.stream
        return len(text) if stream is None else int(stream.write(text))

    def flush(self) -> None:
        if (stream := self.stream) is not None:
            stream.flush()

    def fileno(self) -> int:
        return int(self.stream.fileno())

    def isatty(self) -> bool:
        return bool(self.stream is not None and self.stream.isatty())

    @property
    def encoding(self) -> str:  # type: ignore[override] # of the stream, which may change
        return str(getattr(self.stream, "encoding", "utf-8"))

    @property
    def buffer(self) -> Any:
        """Where bytes are written."""
        return self.stream.buffer


_lock = threading.Lock()


class printing_aside:  # noqa: N801 - used as a function; a generator's would cost more a task
    """Has this thread print to stderr; within itself it does nothing more."""

    __slots__ = ("_nested",)
    _split = _Split(None)

    def __enter__(self) -> None:
        """Puts the split in place, where it is not."""
        me, split = threading.get_ident(), self._split
        with _lock:
            self._nested = me in split.threads
            # It is there already where another thread put back what it had found.
            if not split.threads and sys.stdout is not split:
                split.plain, sys.stdout = sys.stdout, split
            split.threads.add(me)

    def __exit__(self, *_: object) -> None:
        """Takes it away again after the last."""
        split = self._split
        with _lock:
            if not self._nested:
                split.threads.discard(threading.get_ident())
            if not split.threads and sys.stdout is split:
                sys.stdout = split.plain
