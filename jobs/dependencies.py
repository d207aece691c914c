"""What a task waits for, in positions and as the service takes it.

The service knows single ids, 64,000 characters of them in all, and ranges of ids that are
integers (BatchTaskDependencies of the Batch API). Positions that follow on each other
become a range; the others are named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.errors import Finding
from jobs.loading import LoadedWorkload
from jobs.selection import parse_selection
from jobs.spec_tasks import AfterTasks, AfterWay
from jobs.stages import STAGE_SPAN, StageView

MAX_ID_CHARACTERS = 64_000

Span = tuple[int, int]
"""First and last of positions or task numbers that follow on each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """What tasks of a stage wait for in another, or in their own.

    Attributes:
        stage: Name of the stage that is waited for.
        number: Its number.
        way: Which of its tasks.
        count: How many it has.
        named: Positions of these tasks, if they are named.
    """

    stage: str
    number: int
    way: AfterWay
    count: int
    named: tuple[Span, ...] = ()

    @classmethod
    def of(cls, stage: str, number: int, way: AfterWay, count: int) -> Dependency:
        """On a stage with so many tasks."""
        named: tuple[Span, ...] = ()
        if isinstance(way, AfterTasks) and way.tasks is not None:
            ranges = parse_selection(way.tasks).ranges or ()
            named = tuple(spans(position for part in ranges for position in part))
        return cls(stage=stage, number=number, way=way, count=count, named=named)

    @property
    def same_for_all(self) -> bool:
        """Whether every task waits for the same ones."""
        return self.way == "all" or bool(self.named)

    def positions(self, position: int) -> tuple[Span, ...]:
        """The positions that the task at a position waits for."""
        if self.way == "all":
            return ((0, self.count - 1),)
        if self.way == "each":
            return ((position, position),)
        if self.way == "previous":
            return ((position - 1, position - 1),) if position else ()
        if self.named:
            return self.named
        assert isinstance(self.way, AfterTasks)  # noqa: S101 - the last of its forms
        size = self.way.groups or 1
        return ((position * size, min((position + 1) * size, self.count) - 1),)

    def waited_by(self, position: int) -> int:
        """The position that waits for one of these, if each is waited for by one at most."""
        if isinstance(self.way, AfterTasks) and self.way.groups is not None:
            return position // self.way.groups
        return position

    def numbers(self, position: int) -> tuple[Span, ...]:
        """The same, as numbers of tasks."""
        start = self.number * STAGE_SPAN
        return tuple((start + first, start + last) for first, last in self.positions(position))


def dependencies(
    workload: LoadedWorkload, stage: StageView, counts: Mapping[str, tuple[StageView, int]]
) -> tuple[list[Dependency], list[Finding]]:
    """What a stage waits for, and what cannot be.

    Args:
        workload: For findings.
        stage: Which.
        counts: The stages and their numbers of tasks, by name.
    """
    found: list[Dependency] = []
    findings: list[Finding] = []
    own = counts[stage.name][1] if stage.name in counts else 0
    for name, way in stage.after.items():
        other, count = counts[name]
        waits = Dependency.of(name, other.number, way, count)
        problem = _problem(waits, own)
        if problem:
            findings.append(workload.finding(problem, "stages", stage.name, "after", name))
        found.append(waits)
    return found, findings


def spans(positions: Iterable[int]) -> Iterator[Span]:
    """Positions as spans, in order."""
    first = last = None
    for number in sorted(set(positions)):
        if first is not None and last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


def within(these: Iterable[Span], chosen: Collection[int]) -> tuple[Span, ...]:
    """The parts of spans that are among the chosen numbers."""
    return tuple(
        spans(
            number
            for first, last in these
            for number in (chosen if last - first > len(chosen) else range(first, last + 1))
            if first <= number <= last and number in chosen
        )
    )


def depends_on(these: Iterable[Span]) -> dict[str, Any]:
    """`dependsOn` of a task that waits for the tasks of these numbers."""
    ids: list[str] = []
    ranges: list[dict[str, int]] = []
    for first, last in these:
        if first == last:
            ids.append(str(first))
        else:
            ranges.append({"start": first, "end": last})
    return {
        **({"taskIds": ids} if ids else {}),
        **({"taskIdRanges": ranges} if ranges else {}),
    }


def _problem(waits: Dependency, own: int) -> str:
    """Why tasks of a stage that has `own` cannot wait so; empty where they can."""
    name, way, count, named = waits.stage, waits.way, waits.count, waits.named
    if way == "each" and count != own:
        return f"each waits for one: {name} has {count} tasks and this stage {own}"
    if named:
        last = named[-1][1]
        if last >= count:
            return f"{name} has no task {last}: it has {count}, counted from 0"
        alone = sum(first == final for first, final in named) * 9
        if alone > MAX_ID_CHARACTERS:
            return (
                f"names {alone // 9:,} single tasks: the service takes {MAX_ID_CHARACTERS:,} "
                "characters of ids. Tasks that follow on each other are one range"
            )
    if isinstance(way, AfterTasks) and way.groups is not None:
        needed = -(-count // way.groups)
        if needed != own:
            return (
                f"{name} has {count} tasks, which are {needed} groups of {way.groups}, and this "
                f"stage has {own} tasks"
            )
    return ""
