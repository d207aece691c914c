"""Which tasks run again and why, with those that wait for them.

A task that waits for another was made from what that one left. When the one runs again, so
must the other, or its answer is of outputs that nobody has any more: it is stale, and
`jobs.stale` knows it.

Which tasks run again for reasons of their own is `jobs.rerun`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.selection import written_positions
from jobs.stages import STAGE_SPAN, shown_position, stage_names, stage_number
from jobs.stale import NOTHING_STALE, Stale
from jobs.waiting import Waiting, behind

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
        stale: Those whose answer is stale after this: they ought to run and do not, or run and
            wait for one that does not. With the stages of the job.
        mended: Those that run again and are given something else now than before.
        never: Those that have never ended, and do not run now either.
    """

    own: Mapping[int, str]
    behind: Mapping[int, int] = field(default_factory=dict)
    stale: Stale = NOTHING_STALE
    mended: frozenset[int] = frozenset()
    never: frozenset[int] = frozenset()

    @property
    def numbers(self) -> frozenset[int]:
        """All that run again."""
        return frozenset((*self.own, *self.behind))

    def reasons(self) -> Iterator[tuple[str, str]]:
        """Each task, as a person names it, and why it runs again; in order."""
        names = stage_names(self.stale.counts)
        for number in sorted(self.numbers):
            why = self.own.get(number)
            yield (
                shown_position(number, names),
                f"waits for {shown_position(self.behind[number], names)}" if why is None else why,
            )

    def mended_names(self) -> list[str]:
        """Those that are given something else than before, as a person names them."""
        names = stage_names(self.stale.counts)
        return [shown_position(number, names) for number in sorted(self.mended)]

    def groups(self) -> list[Group]:
        """The same in few words, in the order of the stages, the largest group first.

        Tasks that each wait for another one are one group, by the stage that they wait for.
        """
        names = stage_names(self.stale.counts)
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
            "stale": self.stale.as_json(),
        }


def taken_along(
    own: Mapping[int, str],
    stages: Sequence[Waiting],
    old: Stale,
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
        stages: Of the workload as it is now; none where no task waits.
        old: What is stale already.
        ran: Tasks that have ended, of all attempts.
        dependents: Whether to take any along.
        mend: Whether also those that an earlier attempt left stale.
    """
    left = {number: source for number, source in old.tasks.items() if number in ran}
    along = dict(left) if dependents and mend else {}
    along = {number: source for number, source in along.items() if number not in own}
    reached = {
        number: source
        for number, source in behind(stages, own.keys() | along.keys()).items()
        if number in ran
    }
    if dependents:
        along |= reached
    runs = own.keys() | along.keys()
    stale = {n: source for n, source in {**left, **reached}.items() if n not in runs}
    made = behind(stages, stale)
    stale |= {n: source for n, source in made.items() if n in ran or n in runs}
    return Again(
        own=own, behind=along, stale=Stale(tasks=dict(sorted(stale.items())), counts=old.counts)
    )
