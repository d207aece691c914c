"""Which answers are stale: made from what a task had left before that ran again.

The one place that knows. The manifest of a result tree tells it: which tasks ran in which
attempt, what they wait for, and which have never ended. So every verb that tells an outcome
can say it, without a request, without the workload file and whoever left the tree so.

Which tasks run again because of it is `jobs.again`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.results import Manifest
from jobs.selection import position, positions_of, written_positions
from jobs.stages import STAGE_SPAN, shown_position, stage_names, stage_number
from jobs.waiting import behind, waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """Tasks whose answer is stale; false if there are none.

    Attributes:
        tasks: Their numbers, in order, each with a task that it waits for and that ran since or
            is stale itself.
        counts: Tasks of each stage of the job, in order.
    """

    tasks: Mapping[int, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many they are."""
        return len(self.tasks)

    def source(self, task_id: str) -> str:
        """What ran since of all that a task waits for, as a person names it; empty if none did."""
        found = self.tasks.get(position(task_id))
        return "" if found is None else self._name(found)

    @property
    def names(self) -> dict[str, str]:
        """The tasks, as a person names them: `{"sum/0": "sim/3"}`."""
        return {self._name(number): self._name(source) for number, source in self.tasks.items()}

    @property
    def by_stage(self) -> dict[str, int]:
        """How many they are of each stage that has any."""
        return {name: len(positions) for name, positions in self._positions().items()}

    def as_json(self) -> list[dict[str, Any]]:
        """The tasks by stage, for `--json`."""
        return [
            {"stage": name, "tasks": len(positions), "positions": written_positions(positions)}
            for name, positions in self._positions().items()
        ]

    @property
    def stages_text(self) -> str:
        """Stages with such tasks, for a person: `total (1 task), plot (3 tasks)`."""
        return ", ".join(
            f"{name} ({number:,} task{'' if number == 1 else 's'})"
            for name, number in self.by_stage.items()
        )

    @property
    def text(self) -> str:
        """Why there is no answer though all tasks succeeded; empty if there is one."""
        if not self.tasks:
            return ""
        number, source = next(iter(self.tasks.items()))
        return (
            f"stale: {self.stages_text}, such as {self._name(number)}, made from what "
            f"{self._name(source)} left before that ran again"
        )

    def _name(self, number: int) -> str:
        return shown_position(number, stage_names(self.counts))

    def _positions(self) -> dict[str, list[int]]:
        names = stage_names(self.counts)
        found: dict[str, list[int]] = defaultdict(list)
        for number in self.tasks:
            found[names.get(stage_number(number), "")].append(number % STAGE_SPAN)
        return found


NOTHING_STALE = Stale()


def stale_of(manifest: Manifest) -> Stale:
    """The tasks that ran before one that they wait for ran last, or that wait for such a one.

    Raises:
        InputError: The manifest is damaged.
    """
    if not manifest.attempts or not manifest.stages:
        return Stale(counts=manifest.stages)
    stages = waiting(manifest.attempts[-1].after, manifest.stages)
    last = {
        number: at
        for at, attempt in enumerate(manifest.attempts, 1)
        for number in positions_of(attempt.tasks)
    }
    found: dict[int, int] = {}
    for at in sorted(set(last.values())):
        again = {number for number, latest in last.items() if latest == at}
        found |= {n: s for n, s in behind(stages, again).items() if last.get(n, 0) < at}
    found |= behind(stages, found)  # also what ran with these or after them
    never = positions_of(manifest.attempts[-1].never)
    return Stale(
        tasks={number: source for number, source in sorted(found.items()) if number not in never},
        counts=manifest.stages,
    )
