"""What several jobs took and cost, together, and by what they have in common.

Of a job whose last report is of its end, that report is taken as it is in the result tree,
so that years of jobs cost no request; on any other a report is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.errors import InputError, JobsError, NotFoundError, shown
from jobs.listing import TAG
from jobs.results import Manifest, ResultTree, read_json

BY = ("job", "stage", "pool", "workload")
"""What costs are told by, besides `tag.NAME`."""
COLUMNS = ("jobs", "tasks", "failed", "task_s", "cost", "unpriced", "currency")
"""Columns of a table, after the one that says what a row is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What some jobs, or parts of them, took.

    Attributes:
        of: What they have in common; empty for jobs without that tag or stage.
        jobs: How many.
        tasks: Tasks that have ended.
        failed: Of them, those that failed.
        task_s: Run times together, seconds.
        cost: In `currency`, of those whose price is known.
        unpriced: Jobs whose cost is not known.
        currency: Such as `USD`; there is one object for each.
    """

    of: str
    jobs: int
    tasks: int
    failed: int
    task_s: float
    cost: float
    unpriced: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What jobs took.

    Attributes:
        by: What `rows` are of.
        rows: The most expensive first.
        total: All of them, one for each currency.
        stale: Jobs that are gone, as they were last reported, before their end.
        left_out: Jobs on which there is no report, each with the reason.
    """

    by: str
    rows: tuple[Cost, ...]
    total: tuple[Cost, ...]
    stale: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def checked_by(text: str) -> str:
    """What costs are told by.

    Raises:
        InputError: They cannot be told by that.
    """
    if text in BY or (text.startswith(TAG) and text != TAG):
        return text
    raise InputError(f"--by {text!r} is none of {', '.join(BY)} and {TAG}NAME")


def costs_of(
    trees: Iterable[ResultTree], by: str, report: Callable[[ResultTree], Mapping[str, Any]]
) -> Costs:
    """What the jobs of result trees took.

    Args:
        trees: Of the jobs.
        by: As `checked_by` takes it.
        report: Makes a report of a job, as `jobs.report.Report.as_json` has it.

    Raises:
        InputError: `by` is nothing that costs are told by.
        ServiceError: A service refuses.
    """
    checked_by(by)
    parts: list[Cost] = []
    whole: list[Cost] = []
    stale: list[str] = []
    left_out: dict[str, str] = {}
    for tree in trees:
        try:
            manifest = tree.read_manifest()
            found, old = _report(tree, report)
        except (NotFoundError, InputError) as error:
            left_out[tree.root.name] = str(error).splitlines()[0]
            continue
        if old:
            stale.append(tree.root.name)
        whole.append(_part("", found, found))
        parts += _parts(by, manifest, found)
    return Costs(
        by=by,
        rows=tuple(sorted(_summed(parts), key=lambda row: (-row.cost, row.of))),
        total=tuple(_summed(whole)),
        stale=tuple(stale),
        left_out=left_out,
    )


def _report(
    tree: ResultTree, report: Callable[[ResultTree], Mapping[str, Any]]
) -> tuple[Mapping[str, Any], bool]:
    """A job's report, and whether it is the last one of a job that cannot be reported on."""
    kept = kept_report(tree)
    if kept is not None:
        return kept, False
    try:
        return report(tree), False
    except (NotFoundError, InputError):
        last = kept_report(tree, unfinished=True)
        if last is None:
            raise
        return last, True


def kept_report(tree: ResultTree, *, unfinished: bool = False) -> Mapping[str, Any] | None:
    """The report in a result tree; None unless it is of the job's end, after its last attempt."""
    try:
        found = read_json(tree.report_file)
        late = tree.report_file.stat().st_mtime_ns >= tree.manifest_file.stat().st_mtime_ns
        _part("", found, found)
        over = found.get("over", found["unfinished"] == 0) and late
    except (JobsError, OSError, LookupError, TypeError, ValueError):
        return None
    return found if over or unfinished else None


def _parts(by: str, manifest: Manifest, report: Mapping[str, Any]) -> Iterator[Cost]:
    """A job's costs, or those of its stages."""
    match by:
        case "stage":
            for stage in report["stages"]:
                yield _part(stage["name"], stage, report)
        case "job":
            yield _part(manifest.job_id, report, report)
        case "pool":
            yield _part(report["pool"], report, report)
        case "workload":
            yield _part(shown(Path(manifest.workload)), report, report)
        case _:
            yield _part(manifest.tags.get(by.removeprefix(TAG), ""), report, report)


def _part(of: str, part: Mapping[str, Any], report: Mapping[str, Any]) -> Cost:
    """A row of one job, or of one of its stages."""
    cost = part["cost"]
    of_stage = "ended" in part
    ended = part.get("tasks", part["ended"]) if of_stage else part["succeeded"] + part["failed"]
    failed = part.get("tasks_failed", part["failed"]) if of_stage else part["failed"]
    return Cost(
        of=of,
        jobs=1,
        tasks=int(ended),
        failed=int(failed),
        task_s=float(part["task_s"]),
        cost=0.0 if cost is None else float(cost),
        unpriced=int(cost is None),
        currency=str(report["currency"]),
    )


def _summed(parts: Iterable[Cost]) -> Iterator[Cost]:
    """One for all that are of the same, in each currency, in the order in which they came."""
    groups: dict[tuple[str, str], list[Cost]] = {}
    for part in parts:
        groups.setdefault((part.of, part.currency), []).append(part)
    for (of, currency), group in groups.items():
        yield Cost(
            of=of,
            jobs=sum(part.jobs for part in group),
            tasks=sum(part.tasks for part in group),
            failed=sum(part.failed for part in group),
            task_s=sum(part.task_s for part in group),
            cost=sum(part.cost for part in group),
            unpriced=sum(part.unpriced for part in group),
            currency=currency,
        )
