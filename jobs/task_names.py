"""What people call the tasks of a job: by stage and position, and by what they gave each of them.

Ids are the service's business: a position and a hash, or nine digits. A person wrote
stages and parameters, so that is what reports, messages and tables show beside them. The
parameters are made anew from the workload, in one pass over its rows, because nobody keeps
those of a million tasks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from jobs.errors import InputError
from jobs.factories import Row, Rows
from jobs.selection import position
from jobs.stages import STAGE_SPAN, shown_task, stage_names, stage_number
from jobs.templates import Scalar, shown_value

_LOG = logging.getLogger(__name__)
Values = Mapping[str, Scalar]
Texts = Mapping[str, str]
Given = frozenset[tuple[str, str]]
"""Some parameters with their texts."""
_LOOK = 10_000
_FEW = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNames:
    """The names of a job's tasks.

    Attributes:
        counts: Tasks of each stage, in order; empty for a job without stages.
        rows: What tasks were given, by stage (or by an empty name); empty where that is not
            known, such as after a change of the workload.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, Rows] = field(default_factory=dict)

    def name(self, task_id: str) -> str:
        """`sim/412`; `412` in a job without stages; an id that is not ours stays as it is."""
        return shown_task(task_id, self.counts)

    def stage(self, task_id: str) -> str:
        """The stage that a task is of; empty in a job without stages."""
        number = int(task_id) if task_id.isdecimal() else 0
        return stage_names(self.counts).get(stage_number(number), "")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Every parameter that tasks of the job may have, once."""
        return tuple(dict.fromkeys(name for rows in self.rows.values() for name in rows.names))

    def each(self, task_ids: Iterable[str]) -> Iterator[Values]:
        """The parameters of tasks whose ids come in order: one pass over the rows."""
        at: dict[str, tuple[int, Iterator[Row]]] = {}
        for task_id in task_ids:
            stage = self.stage(task_id)
            wanted = position(task_id) % STAGE_SPAN if self.counts else position(task_id)
            rows = self.rows.get(stage)
            if rows is None or not 0 <= wanted < rows.count:
                yield {}
                continue
            began, iterator = at.get(stage) or (0, rows.each())
            row = _skipped_to(iterator, wanted - began)
            at[stage] = (wanted + 1, iterator)
            yield {} if row is None else dict(zip(rows.names, row, strict=True))

    def given(self, wanted: Iterable[Texts]) -> dict[Given, list[int]]:
        """The numbers of the tasks that were given all of some texts: one pass over the rows.

        Args:
            wanted: Texts by parameter; any number of these.

        Returns:
            Of each that a task was given, which tasks.
        """
        asked = {frozenset(texts.items()) for texts in wanted}
        together = {frozenset(name for name, _ in texts) for texts in asked}
        found: dict[Given, list[int]] = {}
        stages = {name: number for number, name in stage_names(self.counts).items()}
        for stage, rows in self.rows.items():
            there = [
                [(name, rows.names.index(name)) for name in names]
                for names in together
                if names <= set(rows.names)
            ]
            first = stages.get(stage, 0) * STAGE_SPAN
            for number, row in enumerate(rows.each() if there else (), first):
                for columns in there:
                    texts = frozenset((name, shown_value(row[at])) for name, at in columns)
                    if texts in asked:
                        found.setdefault(texts, []).append(number)
        return found

    def not_given(self, wanted: Values) -> InputError:
        """The refusal of what no task was given, with what tasks were given."""
        return InputError(f"no task was given {written_values(wanted)}{self._near(wanted)}")

    def _near(self, wanted: Values) -> str:
        """What tasks were given instead, in a few words."""
        if not self.rows:
            return ": tasks were given nothing, or the workload file has other tasks by now"
        if unknown := [name for name in wanted if name not in self.parameters]:
            return f": there is no {unknown[0]!r}, there are {', '.join(self.parameters)}"
        told = []
        for name in wanted:
            seen: dict[str, None] = {}
            for rows in self.rows.values():
                if name in rows.names:
                    at = rows.names.index(name)
                    seen |= dict.fromkeys(
                        shown_value(row[at]) for row in islice(rows.each(), _LOOK)
                    )
            few = list(seen)[:_FEW]
            told.append(f"{name} is {', '.join(few)}{', …' if len(seen) > _FEW else ''}")
        return f": {'; '.join(told)}"

    def of(self, task_ids: Iterable[str]) -> dict[str, Values]:
        """The parameters of some tasks, by id."""
        ordered = sorted(set(task_ids))
        return dict(zip(ordered, self.each(ordered), strict=True))


def written_values(values: Values) -> str:
    """Parameters in a line: `x=1 y=b`."""
    return " ".join(f"{name}={shown_value(value)}" for name, value in values.items())


def _skipped_to(rows: Iterator[Row], skip: int) -> Row | None:
    """The row after so many; None if there is none, or a generator no longer gives it."""
    try:
        for _ in range(skip):
            next(rows, None)
        return next(rows, None)
    except (InputError, ValueError) as error:
        _LOG.warning("parameters of tasks are left out: %s", error)
        return None
