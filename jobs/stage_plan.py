"""Of each stage of a job that is not sent yet: how many tasks are new, kept, or others by now.

Why is `jobs.again`'s (a task runs again) and `jobs.reasons`'s (the workload file is another one
than at its last job). No service is asked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jobs.again import Again
from jobs.checking import CheckedStage
from jobs.plan import ROW_PARTS, JobPlan
from jobs.reasons import WHOLE_JOB, Before, Change, stage_changes
from jobs.row_digests import differing_rows
from jobs.terminal import counted

_GIVES_VALUES = "variables"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """What would become of a stage.

    Attributes:
        stage: Its name; empty in a file without stages.
        total: Its tasks.
        new: Those that would be sent for the first time.
        again: Those that would run again.
        cached: Those that stay as they are: a rerun keeps them, or they are in the job already.
        changed: Those that are not what the job before had in their place; None where that is
            not known.
        reasons: In words: why tasks run again, and what changed.
    """

    stage: str
    total: int
    new: int
    again: int
    cached: int
    changed: int | None
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """For a person."""
        numbers = [
            f"{number:,} {word}"
            for number, word in (
                (self.new, "new"),
                (self.again, "again"),
                (self.cached, "cached"),
                (self.changed, "changed"),
            )
            if number
        ]
        name = f"{self.stage}: " if self.stage else ""
        yield f"{name}{counted(self.total, 'task')}: {', '.join(numbers)}"
        yield from (f"  {reason}" for reason in self.reasons)


def stage_plans(
    job: JobPlan,
    *,
    again: Again | None = None,
    there: Mapping[int, int] | None = None,
    before: Before | None = None,
) -> list[StagePlan]:
    """What would become of each stage, in their order.

    Args:
        job: What would be sent.
        again: Why tasks run again, if these do.
        there: Tasks that the job has already, by the number of their stage.
        before: What the same file was submitted as before.
    """
    changes = {} if before is None else stage_changes(before, job)
    groups = () if again is None else tuple(again.groups())
    plans = []
    for stage in job.checked.stages:
        name, total, sent = stage.view.name, stage.rows.count, job.count_of(stage)
        mine = changes.get(name, ())
        had = min((there or {}).get(stage.view.number, 0), sent)
        changed = None
        if before is not None:
            changed = _changed(total, mine, changes.get(WHOLE_JOB, ()))
        if changed is None and before is not None and mine:
            changed = _others(before, stage)
        plans.append(
            StagePlan(
                stage=name,
                total=total,
                new=sent - had if job.only is None else 0,
                again=0 if job.only is None else sent - had,
                cached=total - sent + had,
                changed=changed,
                reasons=(
                    *(group.reason_text for group in groups if group.stage == name),
                    *(f"{change}{_since(before)}" for change in mine),
                ),
            )
        )
    return plans


def whole_job_reasons(job: JobPlan, before: Before | None) -> tuple[str, ...]:
    """What changed that no single stage has, in words."""
    if before is None:
        return ()
    return tuple(
        f"{change}{_since(before)}" for change in stage_changes(before, job).get(WHOLE_JOB, ())
    )


def _since(before: Before | None) -> str:
    return "" if before is None else f" since {before.job_id}"


def _changed(total: int, mine: tuple[Change, ...], whole: tuple[Change, ...]) -> int | None:
    """How many tasks of a stage are others now; None where only what each is given decides."""
    if any(change.part not in ROW_PARTS for change in mine):
        return total
    return None if mine or any(change.part == _GIVES_VALUES for change in whole) else 0


def _others(before: Before, stage: CheckedStage) -> int | None:
    """How many tasks of a stage are given something else, or were not there."""
    positions = differing_rows(before.tree, before.manifest, stage)
    return None if positions is None else sum(1 for _ in positions)
