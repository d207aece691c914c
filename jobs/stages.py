"""The stages of a workload, and the numbers that its tasks have in the service.

A file without stages is one nameless stage. Its tasks' ids are their position and a hash
of what they do. In a file with stages an id is a number alone, because dependencies on
ranges only know ids that are integers (BatchTaskIdRange of the Batch API); what the task
does is hashed into its display name instead. Numbers have nine digits, the first two of
them the stage's, so that

* all tasks of a stage are one range, and one range is one dependency, however long;
* what a stage leaves in storage has a prefix of its own (`JOBID/10`), because a task's
  outputs are stored under its id;
* the order of ids is the order in which stages can run.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from jobs.document import Location
from jobs.errors import Finding, WorkloadError
from jobs.loading import LoadedWorkload
from jobs.spec import INHERITED, Stage, Tasks
from jobs.spec_tasks import AfterWay

FIRST_STAGE = 10
STAGE_SPAN = 10_000_000
"""Task numbers that a stage has: position 0 to 9,999,999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """A stage with what it takes from the top of the file.

    Attributes:
        name: As the file calls it; empty in a file without stages.
        number: 0 in a file without stages, else 10 and up, in an order in which they can run.
        spec: Its keys, inherited ones filled in.
        after: What it waits for, by the name of the other stage.
        places: Where in the file each key stands, if it does.
    """

    name: str
    number: int
    spec: Tasks
    after: Mapping[str, AfterWay]
    places: Mapping[str, Location]

    def place(self, key: str, *rest: str | int) -> Location:
        """Where a member of the stage stands in the file."""
        return (*self.places[key], *rest)

    @property
    def title(self) -> str:
        """For messages: `stage sim`, or nothing where there is but one."""
        return f"stage {self.name}" if self.name else ""

    def task_number(self, position: int) -> int:
        """The number of the task at a position of the stage."""
        return position + self.number * STAGE_SPAN


def stages_of(workload: LoadedWorkload) -> tuple[StageView, ...]:
    """The stages, each after those that it waits for.

    Raises:
        WorkloadError: One waits for a stage that is not there, or in a circle.
    """
    spec = workload.spec
    if not spec.stages:
        places: dict[str, Location] = {key: (key,) for key in Tasks.model_fields}
        return (StageView(name="", number=0, spec=spec, after={}, places=places),)
    findings = list(_unknown(workload))
    if findings:
        raise WorkloadError(findings)
    return tuple(
        _view(workload, name, FIRST_STAGE + number)
        for number, name in enumerate(_ordered(workload))
    )


def stage_number(number: int) -> int:
    """The number of the stage that a task's number belongs to; 0 in a file without stages."""
    return number // STAGE_SPAN


def shown_position(number: int, names: Mapping[int, str]) -> str:
    """A task as a person names it: `sim/412`, or `412` in a file without stages."""
    name = names.get(stage_number(number))
    return str(number) if name is None else f"{name}/{number % STAGE_SPAN}"


def shown_task(task_id: str, counts: Mapping[str, int]) -> str:
    """A task as a person names it: `sim/412`, or `412` in a job without stages.

    An id that is not ours stays as it is.
    """
    digits = task_id.partition("-")[0]
    if not digits.isdecimal() or (counts and digits != task_id):
        return task_id
    return shown_position(int(digits), stage_names(counts))


def written_stages(counts: Mapping[str, int]) -> str:
    """Names and numbers of tasks, in order, as the job's metadata keeps them: `sim=4 sum=1`."""
    return " ".join(f"{name}={count}" for name, count in counts.items())


def read_stages(text: str) -> dict[str, int]:
    """What `written_stages` wrote; of anything else, nothing."""
    pairs = [part.partition("=") for part in text.split()]
    return {name: int(count) for name, _, count in pairs if count.isdecimal()}


def stage_names(counts: Mapping[str, int]) -> dict[int, str]:
    """Names by number, for counts in order."""
    return {FIRST_STAGE + at: name for at, name in enumerate(counts)}


def stage_of(counts: Mapping[str, int]) -> Callable[[str], str]:
    """The stage that a task is of, by its id; empty for a job without stages."""
    names = stage_names(counts)

    def name(task_id: str) -> str:
        return names.get(stage_number(int(task_id)), "") if task_id.isdecimal() else ""

    return name


def task_numbers(counts: Mapping[str, int], total: int) -> Iterator[int]:
    """The numbers of all tasks of a job; `counts` is empty for one without stages."""
    if not counts:
        yield from range(total)
    for at, count in enumerate(counts.values()):
        first = (FIRST_STAGE + at) * STAGE_SPAN
        yield from range(first, first + count)


def _view(workload: LoadedWorkload, name: str, number: int) -> StageView:
    spec = workload.spec
    stage: Stage = spec.stages[name]
    taken = [key for key in INHERITED if key not in stage.model_fields_set]
    places: dict[str, Location] = {
        key: (key,) if key in taken else ("stages", name, key) for key in Stage.model_fields
    }
    return StageView(
        name=name,
        number=number,
        spec=stage.model_copy(update={key: getattr(spec, key) for key in taken}),
        after=stage.after,
        places=places,
    )


def _unknown(workload: LoadedWorkload) -> Iterator[Finding]:
    stages = workload.spec.stages
    for name, stage in stages.items():
        for other, way in stage.after.items():
            here = ("stages", name, "after", other)
            if other not in stages:
                close = difflib.get_close_matches(other, stages, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else f": {', '.join(stages)}"
                yield workload.finding(f"there is no stage {other!r}{hint}", *here)
            elif (other == name) != (way == "previous"):
                yield workload.finding(
                    "a stage waits for itself by `previous`, one task after the other, and for "
                    "others by all, each, {groups: N} or {tasks: POSITIONS}",
                    *here,
                )


def _ordered(workload: LoadedWorkload) -> list[str]:
    """Names so that each comes after those it waits for, else as in the file."""
    left = {name: set(stage.after) - {name} for name, stage in workload.spec.stages.items()}
    ordered: list[str] = []
    while left:
        ready = next((name for name, waits in left.items() if waits <= set(ordered)), None)
        if ready is None:
            raise WorkloadError(
                [
                    workload.finding(
                        f"{', '.join(left)} wait for each other in a circle: none can begin",
                        "stages",
                        next(iter(left)),
                        "after",
                    )
                ]
            )
        ordered.append(ready)
        del left[ready]
    return ordered
