"""Jobs that a schedule made: found by their ids, and given a result tree when they are.

What every verb needs to know of a job (its workload, its stack and account, what its tasks
were given) was noted when the schedule was submitted (`jobs.schedule_notes`). The rest is in the
job itself. The first verb that names such a job begins its tree, and from then on it is a job
like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jobs.elsewhere import require_account
from jobs.errors import InputError, NotFoundError, shown
from jobs.job_ids import JOB_ID, schedule_of, scheduled_id
from jobs.looks import moment_of
from jobs.plan import META_PLAN, META_STAGES, META_TASKS, tags_of
from jobs.results import ResultTree, tree_of
from jobs.results import find_tree as _find_tree
from jobs.results import find_trees as _find_trees
from jobs.schedule_notes import Note, read_note
from jobs.service import BatchService, segment
from jobs.session import Session, Target
from jobs.stack import Stack
from jobs.stages import read_stages
from jobs.submit import metadata_of

ADOPTED = "id,creationTime,metadata"


def find_tree(job: str, root: Path, target: Target | None = None) -> ResultTree:
    """As `jobs.results.find_tree`; also a schedule's job, and a schedule: its latest job.

    Args:
        job: What a user calls it.
        root: Where result trees are.
        target: Where to ask for a job that has no tree yet, in place of its schedule's own
            stack.

    Raises:
        InputError: Nothing or more than one job fits, or the schedule has made none yet.
        StackError: `target` is not where the schedule is.
        ServiceError: Batch has to be asked, and refuses.
    """
    return _find_tree(_located(job, root, target), root)


def find_trees(jobs: str, root: Path, target: Target | None = None) -> list[ResultTree]:
    """As `jobs.results.find_trees`, with jobs of schedules.

    Raises:
        InputError: As `find_tree`.
        StackError: As `find_tree`.
        ServiceError: As `find_tree`.
    """
    parts = (_located(part, root, target) for part in jobs.split(","))
    return _find_trees(",".join(parts), root)


def adopt(note: Note, job: Mapping[str, Any], root: Path) -> None:
    """Gives a schedule's job a result tree, if it has none.

    It is of the plan that it was made from, before or after an update. Where that was not noted
    here (another machine's update) it is of `note`'s workload alone, without what its tasks
    were made from and given: the verbs then do not claim to know that.

    Args:
        note: Of its schedule.
        job: As the service has it; `ADOPTED` names the members that are needed.
        root: Where result trees are.

    Raises:
        InputError: The job is not of a workload, or the tree cannot be written.
    """
    job_id = job["id"]
    tree = tree_of(job_id, root)
    if tree.manifest_file.exists():
        return
    metadata = metadata_of(job)
    if META_PLAN not in metadata:
        raise InputError(f"job {job_id} was not made from a workload file")
    made = read_note(note.schedule_id, root, metadata[META_PLAN])
    manifest = replace(
        (made or note).manifest,
        job_id=job_id,
        plan=metadata[META_PLAN],
        tasks=int(metadata[META_TASKS]),
        created=moment_of(job["creationTime"]).isoformat(timespec="seconds"),
        stages=read_stages(metadata.get(META_STAGES, "")),
        tags=tags_of(metadata),
    )
    if made is None:
        tree.write_manifest(manifest)
    else:
        made.begin(tree, manifest)


def require_own_place(schedule_id: str, stack: Stack, root: Path) -> None:
    """Refuses to submit where the results of another account's schedule of this id belong.

    Raises:
        InputError: One was submitted from here.
    """
    try:
        note = read_note(schedule_id, root)
    except InputError:
        return  # a submission replaces what cannot be read
    account = "" if note is None else note.manifest.account
    if account and account.lower() != stack.batch_account_id.lower():
        raise InputError(
            f"schedule {schedule_id} was submitted from here to another Batch account, too "
            f"({account}), and the results of both would be in {shown(root)} under the same "
            "names: name another place (--out DIR) or another id (--job-id ID)"
        )


def _read_job(note: Note, job_id: str, service: BatchService) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = service.get(
            f"/jobs/{segment(job_id)}", f"looking for job {job_id}", **{"$select": ADOPTED}
        )
    except NotFoundError as error:
        raise NotFoundError(
            f"schedule {note.schedule_id} has no job {job_id}, or it is deleted: "
            f"python -m jobs schedule show {note.schedule_id}",
            code=error.code,
            status=error.status,
        ) from error
    return found


def _located(job: str, root: Path, target: Target | None) -> str:
    """The same job, with a result tree if a schedule made it; anything else as it is."""
    wanted = scheduled_id(job)
    schedule_id = schedule_of(job) or job
    if JOB_ID.fullmatch(schedule_id) is None or tree_of(job, root).manifest_file.exists():
        return job
    note = read_note(schedule_id, root)
    if note is None:
        return job
    asked = note.target if target is None or not target.is_given else target
    stack = asked.load()
    require_account("schedule", schedule_id, note.manifest.account, stack, asked)
    service = Session(stack=stack).service
    if wanted is None:
        wanted = _latest(schedule_id, service, root)
    if not tree_of(wanted, root).manifest_file.exists():
        adopt(note, _read_job(note, wanted, service), root)
    return wanted


def _latest(schedule_id: str, service: BatchService, root: Path) -> str:
    path = f"/jobschedules/{segment(schedule_id)}"
    schedule = service.get(path, f"looking for the latest job of schedule {schedule_id}")
    info = schedule.get("executionInfo") or {}
    if "recentJob" not in info:
        when = f": its first comes at {info['nextRunTime']}" if info.get("nextRunTime") else ""
        raise InputError(
            f"schedule {schedule_id} has made no job yet{when} "
            f"(python -m jobs schedule show {schedule_id})"
        )
    found = str(info["recentJob"]["id"])
    _require_own(found, schedule, root)
    return found


def _require_own(job_id: str, schedule: dict[str, Any], root: Path) -> None:
    """Refuses a tree of a job of the same id that an earlier schedule of this id made.

    Raises:
        InputError: There is such a one.
    """
    tree = tree_of(job_id, root)
    if not tree.manifest_file.exists():
        return
    begun = moment_of(schedule["creationTime"]).replace(microsecond=0)
    if datetime.fromisoformat(tree.read_manifest().created) < begun:
        raise InputError(
            f"{shown(tree.root)} has the results of an earlier job {job_id}, of a schedule that "
            f"was deleted: move it away, or name another place of results (--out DIR)"
        )
