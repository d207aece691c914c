"""Which tasks to run again, and what a result tree holds when some were.

Tasks that run again do so in a job of their own (`JOBID-r2`), because a job that is over
takes no more. They keep their positions, so that of each task the latest attempt counts.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from jobs.again import CHOSEN, NEVER_RAN
from jobs.errors import InputError, shown
from jobs.job_ids import again_id
from jobs.looks import Look, TaskEnd
from jobs.results import DEFAULT_ROOT, Attempt, Manifest, ResultTree, tree_of
from jobs.selection import Selection, position, positions_of
from jobs.service import BatchService
from jobs.stages import task_numbers
from jobs.task_bodies import Ran
from jobs.watch import Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """How the tasks of a result tree ended.

    Attributes:
        latest: Of each task, its latest attempt, if that is over.
        earlier: The attempts before.
    """

    latest: tuple[TaskEnd, ...]
    earlier: tuple[TaskEnd, ...]


def superseded(attempts: Iterable[Attempt]) -> frozenset[int]:
    """Positions of the tasks that these attempts ran again."""
    return frozenset().union(*(positions_of(attempt.tasks) for attempt in attempts))


def earlier_jobs(manifest: Manifest) -> Iterator[tuple[str, frozenset[int]]]:
    """Every job of a tree but the current one, with the positions that no longer count."""
    for number, job_id in enumerate(manifest.job_ids[:-1]):
        yield job_id, superseded(manifest.attempts[number:])


def ran_before(tree: ResultTree, job_id: str | None = None) -> Ran:
    """The jobs of a result tree but `job_id`, with the numbers that each ran; the first: all."""
    manifest = tree.read_manifest()
    return (
        (manifest.job_id, None),
        *(
            (attempt.job_id, positions_of(attempt.tasks))
            for attempt in manifest.attempts
            if attempt.job_id != job_id
        ),
    )


def all_ends(manifest: Manifest, current: Collection[TaskEnd], service: BatchService) -> Ends:
    """How the tasks ended, over all attempts; `current` are those of the current job.

    Raises:
        ServiceError: The job of an earlier attempt is gone, or the service refuses.
    """
    latest = list(current)
    earlier: list[TaskEnd] = []
    for job_id, gone in earlier_jobs(manifest):
        watcher = Watcher(service=service, job_id=job_id)
        watcher.look()
        for end in watcher.ends.values():
            (earlier if position(end.id) in gone else latest).append(end)
    return Ends(latest=tuple(latest), earlier=tuple(earlier))


def chosen(
    manifest: Manifest,
    look: Look,
    ends: Ends,
    selection: Selection,
    exit_codes: Collection[int] = (),
    *,
    canceled: bool = False,
) -> dict[int, str]:
    """Positions of the tasks that are to run again, each with its reason.

    Without exit codes those that never ended are chosen like those that failed: of a job
    that is over. Those that wait for any of them are `jobs.again`'s.

    Raises:
        InputError: The current job is not over, or the beginning of an id is no task's.
    """
    if not look.over:
        raise InputError(
            f"job {manifest.current} is not over: wait for it, or end it "
            f"(python -m jobs cancel {manifest.job_id})"
        )
    found = {
        position(end.id): _reason(end) if selection.failed else CHOSEN
        for end in ends.latest
        if selection.has(end.id)
        and (not selection.failed or not end.succeeded)
        and (
            not (exit_codes or canceled)
            or end.exit_code in exit_codes
            or (canceled and was_canceled(end))
        )
    }
    known = {position(end.id) for end in ends.latest}
    for prefix in selection.prefixes:
        if position(prefix) in known and not any(e.id.startswith(prefix) for e in ends.latest):
            raise InputError(f"there is no task {prefix} in job {manifest.job_id}")
    if canceled or not exit_codes:
        never = (n for n in task_numbers(manifest.stages, manifest.tasks) if n not in known)
        found |= {n: NEVER_RAN for n in never if selection.has_number(n)}
    found.pop(-1, None)
    return found


def was_canceled(end: TaskEnd) -> bool:
    """Whether a task was ended from outside, and not by itself or one of its own limits.

    The service says `TaskEnded` of those that run when their job or they are terminated
    (TaskFailureInformation of the Batch API).
    """
    return not end.succeeded and end.failure.startswith("TaskEnded")


def _reason(end: TaskEnd) -> str:
    """Why a task that failed runs again."""
    if end.exit_code:
        return f"exit code {end.exit_code}"
    if was_canceled(end):
        return "canceled"
    code = end.failure.partition(":")[0]
    return f"failed: {code}" if code else "failed"


def next_job_id(manifest: Manifest) -> str:
    """The id of the next attempt's job.

    Raises:
        InputError: It would be too long for a job's id.
    """
    job_id = again_id(manifest.job_id, len(manifest.attempts) + 2)
    try:
        tree_of(job_id, DEFAULT_ROOT)
    except InputError as error:
        raise InputError(
            f"job {manifest.job_id} has an id too long to append `-r2` to: submit it again "
            "under a shorter one"
        ) from error
    return job_id


def set_aside(tree: ResultTree, number: int, positions: Collection[int]) -> int:
    """Moves what tasks have left to attempt `number`; how many directories.

    What is there already is of the same attempt, from a time before (a crash, a rerun that was
    refused): what was collected since takes its place.

    Raises:
        InputError: It cannot be moved.
    """
    moved = 0
    with _moving("set aside"):
        for directory in (tree.outputs, tree.logs):
            for path in _inside(directory):
                if position(path.name) in positions:
                    _move(path, tree.attempt(number) / directory.name / path.name)
                    moved += 1
    return moved


def bring_back(tree: ResultTree, number: int) -> None:
    """Undoes `set_aside`, but for what is in its place again.

    Raises:
        InputError: It cannot be moved.
    """
    aside = tree.attempt(number)
    with _moving("brought back"):
        for directory in (tree.outputs, tree.logs):
            for path in _inside(aside / directory.name):
                if not (directory / path.name).exists():
                    _move(path, directory / path.name)
    for place in (*_inside(aside), aside, aside.parent):
        with suppress(OSError):  # of what is not empty
            place.rmdir()


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    path.rename(target)


def _inside(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


@contextmanager
def _moving(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"what tasks left cannot be {what}: {shown(Path(error.filename or '.'))}: "
            f"{error.strerror}"
        ) from error
