"""Which tasks of one job a selection means: positions and stages as the numbers of its tasks.

`jobs.selection` reads the words alone. Here they meet the job: what it does not have is
refused, so that a slip of the pen never selects nothing, or something else, in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from jobs.errors import InputError
from jobs.selection import WORDS, Selection, position
from jobs.stages import FIRST_STAGE, STAGE_SPAN, stage_number

_ID_DIGITS = 9
_LEAST_BEGINNING = 3
_FEW = 3


def resolved(selection: Selection, counts: Mapping[str, int], total: int) -> Selection:
    """The selection by numbers of tasks, for a job of `total` tasks.

    Args:
        selection: As a person wrote it.
        counts: Tasks of each stage, in order; empty for a job without stages.
        total: Tasks of the job.

    Raises:
        InputError: It names a stage, a position or an id that the job does not have.
    """
    if selection.ranges is None:
        return selection
    if counts:
        found = [*_of_stages(selection, counts), *_numbers(selection, counts)]
        return Selection(ranges=tuple(found))
    for name, _ in selection.stages:
        none = "" if name in WORDS else ": the job has no stages, so write positions, such as 0"
        raise InputError(f"there is no stage {name!r}{none}{_meant(name, {})}")
    named = [*(_last(span) for span in selection.ranges), *map(position, selection.prefixes)]
    for number in named:
        if number >= total:
            raise InputError(f"there is no task {number}: the job has {_has(total)}")
    return selection


def _of_stages(selection: Selection, counts: Mapping[str, int]) -> Iterator[range]:
    for name, span in selection.stages:
        if name not in counts:
            meant = _meant(name, counts) or f": the job has {', '.join(counts)}"
            raise InputError(f"there is no stage {name!r}{meant}")
        asked = range(counts[name]) if span is None else span
        if asked and _last(asked) >= counts[name]:
            raise InputError(
                f"there is no task {name}/{_last(asked)}: the stage has {_has(counts[name])}"
            )
        yield _shifted(asked, name, counts)


def _meant(name: str, counts: Mapping[str, int]) -> str:
    """What somebody may have meant by the name of a stage that is not there."""
    if name in WORDS:
        return f": {name} stands alone, without others and without commas"
    close = difflib.get_close_matches(name, [*counts, *WORDS], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _shifted(span: range, name: str, counts: Mapping[str, int]) -> range:
    """Positions of a stage as numbers of tasks."""
    first = (FIRST_STAGE + list(counts).index(name)) * STAGE_SPAN
    return range(span.start + first, span.stop + first, span.step)


def _numbers(selection: Selection, counts: Mapping[str, int]) -> Iterator[range]:
    """Positions that only one stage has; ids of nine digits, and their beginnings."""
    first = next(iter(counts))
    stages = f"the job has stages: write STAGE or STAGE/POSITION, such as {first}/0"
    for prefix in selection.prefixes:
        raise InputError(f"there is no task {prefix}: {stages}")
    for span in selection.ranges or ():
        text = str(span.start) if len(span) == 1 else f"{span.start}-{_last(span)}"
        having = [name for name, count in counts.items() if _last(span) < count]
        if len(having) > 1:
            several = " or ".join(f"{name}/{text}" for name in having[:_FEW])
            more = f", or of {len(having) - _FEW} other stages" if len(having) > _FEW else ""
            raise InputError(f"{text} may be {several}{more}: the job has stages, so write which")
        if having:
            yield _shifted(span, having[0], counts)
        elif len(str(span.start)) == _ID_DIGITS:
            yield _ids(span, counts, stages)
        elif (begun := _begun(span, counts)) is not None:
            yield begun
        else:
            sizes = ", ".join(f"{name} {_range_text(count)}" for name, count in counts.items())
            raise InputError(f"there is no task {text}: the job has {sizes}")


def _ids(span: range, counts: Mapping[str, int], stages: str) -> range:
    sizes = dict(enumerate(counts.values(), FIRST_STAGE))
    for number in (span.start, _last(span)):
        if number % STAGE_SPAN >= sizes.get(stage_number(number), 0):
            raise InputError(f"there is no task {number}: {stages}")
    return span


def _begun(span: range, counts: Mapping[str, int]) -> range | None:
    """The tasks whose ids begin with a number."""
    sizes = dict(enumerate(counts.values(), FIRST_STAGE))
    digits = len(str(span.start))
    scale: int = 10 ** max(0, _ID_DIGITS - digits)
    number, at = stage_number(span.start * scale), span.start * scale % STAGE_SPAN
    if len(span) > 1 or digits < _LEAST_BEGINNING or at >= sizes.get(number, 0):
        return None
    last = min((span.start + 1) * scale, number * STAGE_SPAN + sizes[number])
    return range(span.start * scale, last)


def _last(span: range) -> int:
    return span[-1]


def _has(total: int) -> str:
    return "1 task, 0" if total == 1 else f"{total:,} tasks, 0 to {total - 1}"


def _range_text(total: int) -> str:
    return "0" if total == 1 else f"0 to {total - 1}"
