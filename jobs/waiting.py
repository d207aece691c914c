"""Which tasks wait for which, directly or through others: told by a few words a stage.

What a stage waits for is noted with every attempt, in the words of its file's `after`, so that
it is known of a result tree without its file, without the service and for any number of tasks.
How one task's own dependencies are written is `jobs.dependencies`'.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from jobs.dependencies import Dependency, Span
from jobs.errors import InputError
from jobs.spec_tasks import AfterTasks, AfterWay
from jobs.stages import FIRST_STAGE, STAGE_SPAN

After = Mapping[str, Mapping[str, Any]]
"""What each stage that waits for any waits for, as JSON: `{"sum": {"sim": "all"}}`."""
_AFTER = TypeAdapter(dict[str, dict[str, AfterWay]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What the tasks of a stage wait for.

    Attributes:
        number: The stage's.
        count: How many tasks it has.
        dependencies: What they wait for; empty: nothing.
    """

    number: int
    count: int
    dependencies: tuple[Dependency, ...]


def noted(after: Mapping[str, Mapping[str, AfterWay]]) -> After:
    """What stages wait for, as JSON; without those that wait for none."""
    return {
        name: {
            other: way.model_dump(exclude_none=True) if isinstance(way, AfterTasks) else way
            for other, way in ways.items()
        }
        for name, ways in after.items()
        if ways
    }


def waiting(after: After, counts: Mapping[str, int]) -> tuple[Waiting, ...]:
    """The stages with what they wait for, each after those.

    Args:
        after: As `noted` wrote it.
        counts: Tasks of each stage, in an order in which they can run.

    Raises:
        InputError: It is nothing that `noted` wrote, or of other stages.
    """
    numbers = {name: FIRST_STAGE + at for at, name in enumerate(counts)}
    try:
        read = _AFTER.validate_python(after)
        return tuple(
            Waiting(
                number=numbers[name],
                count=count,
                dependencies=tuple(
                    Dependency.of(other, numbers[other], way, counts[other])
                    for other, way in read.get(name, {}).items()
                ),
            )
            for name, count in counts.items()
        )
    except (ValidationError, KeyError) as error:
        raise InputError(f"what the stages wait for is noted in a damaged way: {error}") from error


def behind(stages: Sequence[Waiting], numbers: Collection[int]) -> dict[int, int]:
    """Other tasks that wait for any of these, directly or through others.

    Args:
        stages: Each after those that it waits for.
        numbers: Of tasks.

    Returns:
        Their numbers, each with the first task that it waits for and that is among them.
    """
    found: dict[int, int] = {}
    ordered = sorted(numbers)
    reached: list[int] = []  # ascending, because stages are numbered in their order
    for stage in stages:
        first = stage.number * STAGE_SPAN
        mine = _between(ordered, first, first + stage.count)
        sources = _sources(stage, reached, mine)
        found |= {n: source for n, source in sources.items() if n not in numbers}
        reached += sorted({*mine, *sources})
    return found


def _sources(stage: Waiting, reached: Sequence[int], mine: Sequence[int]) -> dict[int, int]:
    """Tasks of a stage that wait for any of those, each with one that it waits for.

    It takes as long as there are such tasks, however many do not.

    Args:
        stage: Which.
        reached: Tasks of stages before it, ascending.
        mine: Its own tasks that are among those whose followers are looked for, ascending.
    """
    found: dict[int, int] = {}
    first, end = stage.number * STAGE_SPAN, stage.number * STAGE_SPAN + stage.count
    for one in stage.dependencies:
        if one.way == "previous":
            continue
        if one.same_for_all:
            if (source := first_within(reached, one.numbers(0))) is not None:
                for number in range(first, end):
                    found.setdefault(number, source)
            continue
        start = one.number * STAGE_SPAN
        for source in _between(reached, start, start + one.count):
            number = first + one.waited_by(source - start)
            if number < end:
                found.setdefault(number, source)
    if (mine or found) and any(one.way == "previous" for one in stage.dependencies):
        for number in range(min((*mine[:1], *found)) + 1, end):
            found.setdefault(number, number - 1)
    return found


def _between(numbers: Sequence[int], first: int, end: int) -> Sequence[int]:
    """Those of numbers in order from one on and before another."""
    return numbers[bisect_left(numbers, first) : bisect_left(numbers, end)]


def first_within(numbers: Sequence[int], spans: Iterable[Span]) -> int | None:
    """The first of numbers in order that is in one of the spans."""
    for first, last in spans:
        at = bisect_left(numbers, first)
        if at < len(numbers) and numbers[at] <= last:
            return numbers[at]
    return None
