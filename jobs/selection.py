"""Which tasks a person means: `all`, `failed`, `12`, `1-9:2,12`, or the beginning of an id.

A task's position is the number that its id begins with, counted from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.errors import InputError

ALL = "all"
FAILED = "failed"
_RANGE = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9})(?::(?P<step>\d{1,9}))?)?")
_ID = re.compile(r"\d{7}-[0-9a-f]{0,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Tasks by position or by the beginning of their ids.

    Attributes:
        ranges: Positions; None for every one.
        prefixes: Beginnings of ids.
        failed: Whether only those that failed are meant.
    """

    ranges: tuple[range, ...] | None = None
    prefixes: tuple[str, ...] = ()
    failed: bool = False

    def has(self, task_id: str) -> bool:
        """Whether a task is meant; whether it failed is for the caller to ask."""
        return (
            self.ranges is None
            or task_id.startswith(self.prefixes)
            or any(position(task_id) in span for span in self.ranges)
        )


def parse_selection(text: str) -> Selection:
    """Reads `all`, `failed`, or positions, ranges `FIRST-LAST[:STEP]` and ids with commas.

    Raises:
        InputError: It is none of these.
    """
    if text in {ALL, FAILED}:
        return Selection(failed=text == FAILED)
    ranges: list[range] = []
    prefixes: list[str] = []
    for part in text.split(","):
        if _ID.fullmatch(part):
            prefixes.append(part)
            continue
        match = _RANGE.fullmatch(part)
        first, last = (int((match and match[name]) or -1) for name in ("first", "last"))
        step = int((match and match["step"]) or 1)
        if match is None or step == 0 or (match["last"] is not None and last < first):
            raise InputError(
                f"{part!r} selects no tasks: write positions counted from 0 like 12, 1-9 or "
                "1-9:2, ids, several of these with commas, `all` or `failed`"
            )
        ranges.append(range(first, (first if match["last"] is None else last) + 1, step))
    return Selection(ranges=tuple(ranges), prefixes=tuple(prefixes))


def position(task_id: str) -> int:
    """The position that a task's id begins with; -1 for an id that is not ours."""
    digits = task_id.partition("-")[0]
    return int(digits) if digits.isdecimal() else -1


def written_positions(positions: Iterable[int]) -> str:
    """Positions as a selection that means just them: `0-3,7`."""
    spans: list[tuple[int, int]] = []
    for number in sorted(set(positions)):
        if spans and number == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def positions_of(text: str) -> frozenset[int]:
    """The positions that `written_positions` wrote."""
    return frozenset(n for span in parse_selection(text).ranges or () for n in span)
