"""Lines that tasks print, cut out of the bytes of a log as these come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


def unsteering(text: str) -> str:
    """A line without what would steer a terminal: of characters that are not printable, tabs."""
    return text if text.isprintable() else "".join(c for c in text if c.isprintable() or c == "\t")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line that a task printed, without its end.

    Attributes:
        task: The task.
        source: `stdout` or `stderr`.
        text: The line.
        instance: Of a line of the coordination command, on which of the task's nodes it was
            printed: 0 is the primary; None for the task's own command.
    """

    task: str
    source: str
    text: str
    instance: int | None = None


@dataclass(slots=True)
class Lines:
    """Cuts the bytes of one log into lines as they come.

    Attributes:
        task: The task.
        source: `stdout` or `stderr`.
        instance: As of a line.
        size: Bytes so far.
        over: Whether no more come.
        attempt: The run of the task whose log it is.
    """

    task: str
    source: str
    instance: int | None = None
    size: int = 0
    over: bool = False
    attempt: str = ""
    _rest: bytes = field(default=b"")

    def add(self, piece: bytes) -> Iterator[LogLine]:
        """The lines that are whole with this piece."""
        self.size += len(piece)
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            yield self._line(line)

    def end(self) -> Iterator[LogLine]:
        """What was printed after the last whole line."""
        self.over = True
        if self._rest:
            yield self._line(self._rest)
            self._rest = b""

    def _line(self, line: bytes) -> LogLine:
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        return LogLine(task=self.task, source=self.source, text=text, instance=self.instance)
