"""Which tasks of one job a selection means: positions and stages as the numbers of its tasks.

`jobs.selection` reads the words alone. Here they meet the job: what it does not have is
refused, so that a slip of the pen never selects nothing, or something else, in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jobs.errors import InputError
from jobs.selection import Selection, position
from jobs.stages import FIRST_STAGE, STAGE_SPAN, stage_number

_ID_DIGITS = 9
_LEAST_BEGINNING = 3


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
        raise InputError(
            f"there is no stage {name!r}: the job has no stages, so write positions, such as 0"
        )
    named = [*(_last(span) for span in selection.ranges), *map(position, selection.prefixes)]
    for number in named:
        if number >= total:
            raise InputError(f"there is no task {number}: the job has {_has(total)}")
    return selection


def _of_stages(selection: Selection, counts: Mapping[str, int]) -> Iterator[range]:
    numbers = {name: FIRST_STAGE + at for at, name in enumerate(counts)}
    for name, span in selection.stages:
        if name not in counts:
            raise InputError(f"there is no stage {name!r}: the job has {', '.join(counts)}")
        asked = range(counts[name]) if span is None else span
        if asked and _last(asked) >= counts[name]:
            raise InputError(
                f"there is no task {name}/{_last(asked)}: the stage has {_has(counts[name])}"
            )
        first = numbers[name] * STAGE_SPAN
        yield range(asked.start + first, asked.stop + first, asked.step)


def _numbers(selection: Selection, counts: Mapping[str, int]) -> Iterator[range]:
    """Ids of nine digits, and their beginnings."""
    sizes = dict(enumerate(counts.values(), FIRST_STAGE))
    first = next(iter(counts))
    stages = f"the job has stages: write STAGE or STAGE/POSITION, such as {first}/0"
    for prefix in selection.prefixes:
        raise InputError(f"there is no task {prefix}: {stages}")
    for span in selection.ranges or ():
        digits = len(str(span.start))
        if digits == _ID_DIGITS:
            for number in (span.start, _last(span)):
                if number % STAGE_SPAN >= sizes.get(stage_number(number), 0):
                    raise InputError(f"there is no task {number}: {stages}")
            yield span
            continue
        scale: int = 10 ** (_ID_DIGITS - digits)
        begun = range(span.start * scale, (span.start + 1) * scale)
        number, at = stage_number(begun.start), begun.start % STAGE_SPAN
        if len(span) > 1 or digits < _LEAST_BEGINNING or at >= sizes.get(number, 0):
            text = str(span.start) if len(span) == 1 else f"{span.start}-{_last(span)}"
            raise InputError(f"there is no task {text}: {stages}")
        yield range(begun.start, min(begun.stop, number * STAGE_SPAN + sizes[number]))


def _last(span: range) -> int:
    return span[-1]


def _has(total: int) -> str:
    return "1 task, 0" if total == 1 else f"{total:,} tasks, 0 to {total - 1}"
