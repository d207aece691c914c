"""Which tasks run again and why, and which answers are older than what they were made from.

A task that waits for another was made from what that one left. When the one runs again, so
must the other, or its answer is of outputs that nobody has any more: it is stale. Who ran
last is in the manifest, so that this is known of any result tree, whoever left it so.

Which tasks run again for reasons of their own is `jobs.rerun`'s.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.checking import CheckedStage
from jobs.dependencies import Span
from jobs.results import Attempt
from jobs.selection import positions_of, written_positions
from jobs.stages import STAGE_SPAN, shown_position, stage_names, stage_number
from jobs.terminal import counted

NEVER_RAN = "never ran"
CHOSEN = "chosen"
_SHOWN = 40
"""Characters of positions that a person is shown in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tasks of a stage that run again for the same reason.

    Attributes:
        stage: Theirs; empty in a job without stages.
        reason: In words, such as `exit code 137` or `waits for sim/3`.
        tasks: How many they are.
        positions: In their stage, as `jobs.selection` writes them.
    """

    stage: str
    reason: str
    tasks: int
    positions: str

    def __str__(self) -> str:
        """For a person, in a line."""
        return f"{self.stage}: {self.reason_text}" if self.stage else self.reason_text

    @property
    def reason_text(self) -> str:
        """How many, why, and which."""
        places = self.positions
        if len(places) > _SHOWN:
            places = f"{places[: places.rindex(',', 0, _SHOWN)]}, …"
        return f"{self.tasks:,} {self.reason} ({places})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Tasks that are to run again.

    Attributes:
        own: The reasons of those that have one of their own, by number.
        behind: The others, each with a task that it waits for and that runs again or has since.
        stale: Those that ought to, and do not: as `behind`.
        stages: Tasks of each stage of the job; empty for one without stages.
        mended: Those that run again and are given something else now than before.
    """

    own: Mapping[int, str]
    behind: Mapping[int, int] = field(default_factory=dict)
    stale: Mapping[int, int] = field(default_factory=dict)
    stages: Mapping[str, int] = field(default_factory=dict)
    mended: frozenset[int] = frozenset()

    @property
    def numbers(self) -> frozenset[int]:
        """All that run again."""
        return frozenset((*self.own, *self.behind))

    def reasons(self) -> Iterator[tuple[str, str]]:
        """Each task, as a person names it, and why it runs again; in order."""
        names = stage_names(self.stages)
        for number in sorted(self.numbers):
            why = self.own.get(number)
            yield (
                shown_position(number, names),
                f"waits for {shown_position(self.behind[number], names)}" if why is None else why,
            )

    def mended_names(self) -> list[str]:
        """Those that are given something else than before, as a person names them."""
        names = stage_names(self.stages)
        return [shown_position(number, names) for number in sorted(self.mended)]

    def groups(self) -> list[Group]:
        """The same in few words, in the order of the stages, the largest group first.

        Tasks that each wait for another one are one group, by the stage that they wait for.
        """
        names = stage_names(self.stages)
        waited: dict[tuple[int, int], set[int]] = defaultdict(set)
        for number, source in self.behind.items():
            waited[stage_number(number), stage_number(source)].add(source)
        found: dict[tuple[int, str], list[int]] = defaultdict(list)
        for number, reason in self.own.items():
            found[stage_number(number), reason].append(number)
        for number, source in self.behind.items():
            at = (stage_number(number), stage_number(source))
            what = shown_position(source, names) if len(waited[at]) == 1 else names[at[1]]
            found[at[0], f"waits for {what}"].append(number)
        return [
            Group(
                stage=names.get(stage, ""),
                reason=reason,
                tasks=len(numbers),
                positions=written_positions(number % STAGE_SPAN for number in numbers),
            )
            for (stage, reason), numbers in sorted(
                found.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][1])
            )
        ]

    def as_json(self) -> dict[str, Any]:
        """For `--json`: every task with its reason, and what stays stale."""
        return {
            "reasons": [asdict(group) for group in self.groups()],
            "tasks": dict(self.reasons()),
            "mended": self.mended_names(),
            "stale": stale_json(self.stale, self.stages),
        }


def behind(stages: Sequence[CheckedStage], numbers: Collection[int]) -> dict[int, int]:
    """Other tasks that wait for any of these, directly or through others.

    Args:
        stages: Of the workload, each after those that it waits for.
        numbers: Of tasks.

    Returns:
        Their numbers, each with the first task that it waits for and that is among them.
    """
    found: dict[int, int] = {}
    reached: list[int] = []  # ascending, because stages are numbered in their order
    for stage in stages:
        whole = [one.numbers(0) for one in stage.dependencies if one.same_for_all]
        single = [one for one in stage.dependencies if not one.same_for_all]
        for_all = next((n for spans in whole if (n := _first(reached, spans)) is not None), None)
        for number in range(first := stage.view.task_number(0), first + stage.rows.count):
            source = for_all
            for one in single if source is None else ():
                source = _first(reached, one.numbers(number - first)) if source is None else source
            if number in numbers:
                reached.append(number)
            elif source is not None:
                found[number] = source
                reached.append(number)
    return found


def _first(numbers: Sequence[int], spans: Iterable[Span]) -> int | None:
    """The first of numbers in order that is in one of the spans."""
    for first, last in spans:
        at = bisect_left(numbers, first)
        if at < len(numbers) and numbers[at] <= last:
            return numbers[at]
    return None


def stale_tasks(
    stages: Sequence[CheckedStage], attempts: Sequence[Attempt], ran: Collection[int]
) -> dict[int, int]:
    """Tasks that ran before one that they wait for ran last, or wait for such a one.

    Args:
        stages: Of the workload.
        attempts: Of the result tree.
        ran: Tasks that have an answer.

    Returns:
        Their numbers, each with a task that it waits for and that ran since or is stale.
    """
    last = {
        number: at
        for at, attempt in enumerate(attempts, 1)
        for number in positions_of(attempt.tasks)
    }
    found: dict[int, int] = {}
    for at in sorted(set(last.values())):
        again = {number for number, latest in last.items() if latest == at}
        found |= {n: s for n, s in behind(stages, again).items() if last.get(n, 0) < at}
    if found and len(set(last.values())) > 1:
        found |= behind(stages, found)
    return {number: source for number, source in sorted(found.items()) if number in ran}


def taken_along(
    own: Mapping[int, str],
    stages: Sequence[CheckedStage],
    attempts: Sequence[Attempt],
    ran: Collection[int],
    *,
    dependents: bool,
    mend: bool,
) -> Again:
    """The tasks that run again for reasons of their own, and those that must with them.

    One that never ran has no answer that could be stale: it is not taken along, because what
    it waits for may still be missing.

    Args:
        own: Reasons, by number.
        stages: Of the workload; none where no task waits.
        attempts: Of the result tree.
        ran: Tasks that have ended, of all attempts.
        dependents: Whether to take any along.
        mend: Whether also those that an earlier attempt left stale.
    """
    old = stale_tasks(stages, attempts, ran)
    along = dict(old) if dependents and mend else {}
    along = {number: source for number, source in along.items() if number not in own}
    reached = {
        number: source
        for number, source in behind(stages, own.keys() | along.keys()).items()
        if number in ran
    }
    if dependents:
        along |= reached
    return Again(
        own=own,
        behind=along,
        stale={
            number: source
            for number, source in sorted({**old, **reached}.items())
            if number not in own and number not in along
        },
        stages={stage.view.name: stage.rows.count for stage in stages if stage.view.name},
    )


def stale_json(stale: Collection[int], counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Stale tasks by stage, for `--json`."""
    names = stage_names(counts)
    by_stage: dict[str, list[int]] = defaultdict(list)
    for number in sorted(stale):
        by_stage[names.get(stage_number(number), "")].append(number % STAGE_SPAN)
    return [
        {"stage": name, "tasks": len(positions), "positions": written_positions(positions)}
        for name, positions in by_stage.items()
    ]


def stale_failure(stale: Mapping[int, int], counts: Mapping[str, int]) -> str:
    """Why a run whose tasks all succeeded has no answer."""
    names = stage_names(counts)
    number, source = next(iter(stale.items()))
    return (
        f"stale: {stale_text(stale, counts)}, such as {shown_position(number, names)}, made from "
        f"what {shown_position(source, names)} left before that ran again"
    )


def stale_text(stale: Collection[int], counts: Mapping[str, int]) -> str:
    """Stages with stale tasks, for a person: `total (1 task), plot (3 tasks)`."""
    names = stage_names(counts)
    found = Counter(names.get(stage_number(number), "") for number in sorted(stale))
    return ", ".join(f"{name} ({counted(number, 'task')})" for name, number in found.items())
