"""Places in a formula's text: spans, lines and columns, and the caret under them.

Lines and columns start at 1 and columns count characters, as the service counts them
("Line 9, Col 43"). A line ends at a line feed, a carriage return, or both together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")
_WIDTH = 76


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Characters `start` to `end` (exclusive) of a text, counted from 0."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place as people and the service say it, both numbers from 1."""

    line: int
    column: int


def position(text: str, offset: int) -> Position:
    """The line and column of the character at `offset`; the end of the text is a place too."""
    before = text[:offset]
    if "\r" not in before:
        start = before.rfind("\n") + 1
        return Position(line=before.count("\n") + 1, column=offset - start + 1)
    line, start = 1, 0
    for match in _LINE_END.finditer(text, 0, min(len(text), offset + 1)):
        if match.end() <= offset:
            line, start = line + 1, match.end()
    return Position(line=line, column=offset - start + 1)


def printable(text: str) -> str:
    """The text with everything that a terminal could act upon made harmless.

    Tabs become one blank each, so that a caret under the text stays in its column.
    """
    return "".join(
        character
        if character.isprintable()
        else " "
        if character == "\t"
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def quoted(text: str, *, limit: int = 32) -> str:
    """A piece of a formula as it stands in a sentence: short, harmless, in quotes."""
    shown = text if len(text) <= limit else f"{text[: limit - 3]}..."
    return f"'{printable(shown)}'"


def excerpt(text: str, span: Span) -> str:
    """The line of a span with carets under it, cut to the width of a terminal."""
    begin = max(text.rfind("\n", 0, span.start), text.rfind("\r", 0, span.start)) + 1
    match = _LINE_END.search(text, span.start)
    end = match.start() if match else len(text)
    line = text[begin:end]
    first = span.start - begin
    count = max(1, min(span.end, end) - span.start)
    if len(line) > _WIDTH:
        cut = max(0, min(first - _WIDTH // 3, len(line) - _WIDTH))
        head, tail = "..." * (cut > 0), "..." * (cut + _WIDTH < len(line))
        line = head + line[cut + len(head) : cut + _WIDTH - len(tail)] + tail
        first -= cut
        count = max(1, min(count, _WIDTH - first))
    return f"  {printable(line)}\n  {' ' * first}{'^' * count}"
