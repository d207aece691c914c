"""Which tasks a person means: `all`, `failed`, `12`, `1-9:2,12`, `sim/3`, or how an id begins.

A task's position is the number that its id begins with, counted from 0. What stands here
is what was written; `jobs.named_tasks` finds it in a job.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobs.errors import InputError

ALL = "all"
FAILED = "failed"
WORDS = (ALL, FAILED)
"""What stands alone."""
_RANGE = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9})(?::(?P<step>\d{1,9}))?)?")
_ID = re.compile(r"\d{7}-[0-9a-f]{0,12}")
_GIVEN = re.compile(r"[A-Za-z_]\w*=")
_STAGE = re.compile(r"(?P<stage>[A-Za-z_][A-Za-z0-9_]{0,63})(?:/(?P<span>.*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Tasks by position or by the beginning of their ids.

    Attributes:
        ranges: Positions; None for every one.
        prefixes: Beginnings of ids.
        failed: Whether only those that failed are meant.
        stages: Names of stages, with positions in the stage or None for all of it.
        given: From the first that says what tasks were given on, what stands between commas:
            `jobs.given_tasks` reads them, because a value may have commas, too.
    """

    ranges: tuple[range, ...] | None = None
    prefixes: tuple[str, ...] = ()
    failed: bool = False
    stages: tuple[tuple[str, range | None], ...] = ()
    given: tuple[str, ...] = ()

    def has(self, task_id: str) -> bool:
        """Whether a task is meant; whether it failed is for the caller to ask."""
        return (
            self.ranges is None
            or task_id.startswith(self.prefixes)
            or any(position(task_id) in span for span in self.ranges)
        )

    def has_number(self, number: int) -> bool:
        """Whether a task is meant of which nothing but its position is known."""
        return (
            self.ranges is None
            or number in {position(prefix) for prefix in self.prefixes}
            or any(number in span for span in self.ranges)
        )


def parse_selection(text: str) -> Selection:
    """Reads `all`, `failed`, or positions, ranges `FIRST-LAST[:STEP]` and ids with commas.

    In a job with stages, `STAGE` and `STAGE/` before a position or a range, too. And what tasks
    were given, `x=7` or, with blanks between, `x=7 word=a`: that and what follows stays unread.

    Raises:
        InputError: It is none of these.
    """
    if text in WORDS:
        return Selection(failed=text == FAILED)
    return parse_parts(text.split(","))


def parse_parts(parts: Sequence[str]) -> Selection:
    """What stands between commas, of which `all` and `failed` can be no part but a stage's name.

    Raises:
        InputError: As `parse_selection`.
    """
    ranges: list[range] = []
    prefixes: list[str] = []
    stages: list[tuple[str, range | None]] = []
    first = next((n for n, part in enumerate(parts) if is_given(part)), len(parts))
    for part in parts[:first]:
        if _ID.fullmatch(part):
            prefixes.append(part)
        elif named := _STAGE.fullmatch(part):
            span = named["span"]
            stages.append((named["stage"], None if span is None else _range(span, part)))
        else:
            ranges.append(_range(part, part))
    return Selection(
        ranges=tuple(ranges),
        prefixes=tuple(prefixes),
        stages=tuple(stages),
        given=tuple(parts[first:]),
    )


def is_given(part: str) -> bool:
    """Whether something tells tasks by what they were given."""
    return _GIVEN.match(part) is not None


def _range(text: str, part: str) -> range:
    match = _RANGE.fullmatch(text)
    first, last = (int((match and match[name]) or -1) for name in ("first", "last"))
    step = int((match and match["step"]) or 1)
    if match is None or step == 0 or (match["last"] is not None and last < first):
        raise InputError(
            f"{part!r} selects no tasks: write positions counted from 0 like 12, 1-9 or "
            "1-9:2, of a stage like sim/12 or sim, ids, what they were given like x=7, several of "
            "these with commas, `all` or `failed`"
        )
    return range(first, (first if match["last"] is None else last) + 1, step)


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
    """The positions that `written_positions` wrote; of no text none."""
    if not text:
        return frozenset()
    return frozenset(n for span in parse_selection(text).ranges or () for n in span)
