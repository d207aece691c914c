"""Jobs that a schedule made: found by their ids, and given a result tree when they are.

Nobody was there when Batch made them. What every verb needs to know of a job (its workload,
its stack, what gave its tasks their values) was noted when the schedule was submitted, in
`results/.schedules/SCHEDULE/`: what was submitted last, and each plan under its digest,
because an update leaves the jobs before it what they are. The rest is in the job itself. The
first verb that names such a job writes its manifest, and from then on it is a job like any
other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jobs.errors import InputError, NotFoundError, shown
from jobs.job_ids import JOB_ID, schedule_of, scheduled_id
from jobs.looks import moment_of
from jobs.plan import META_PLAN, META_STAGES, META_TASKS, tags_of
from jobs.reasons import write_parts
from jobs.results import Manifest, ResultTree, read_json, tree_of, write_json
from jobs.results import find_tree as _find_tree
from jobs.results import find_trees as _find_trees
from jobs.service import BatchService, segment
from jobs.session import Session, Target
from jobs.stages import read_stages
from jobs.submit import metadata_of

DIRECTORY = ".schedules"
_FILE = "schedule.json"
_PLAN = re.compile(r"[0-9a-f]{64}")
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was submitted as a schedule.

    Attributes:
        schedule_id: The schedule.
        workload: Absolute path of the workload file.
        overrides: `NAME=VALUE` texts of `--set`.
        stack: Name given by `--stack`, or None.
        outputs: Absolute path given by `--outputs`, or None.
        created: When, UTC, ISO 8601.
        plan: Digest of the plan of its jobs; empty in records of before that was noted.
        parts: What that was made from (`jobs.plan.JobPlan.parts`).
        version: Of this file.
    """

    schedule_id: str
    workload: str
    overrides: tuple[str, ...]
    stack: str | None
    outputs: str | None
    created: str
    plan: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    version: int = _VERSION

    @property
    def target(self) -> Target:
        """The stack that it was submitted to."""
        outputs = None if self.outputs is None else Path(self.outputs)
        return Target(stack=self.stack, outputs=outputs)


def write_record(
    schedule_id: str,
    workload: Path,
    overrides: tuple[str, ...],
    target: Target,
    root: Path,
    *,
    plan: str,
    parts: Mapping[str, str],
) -> None:
    """Notes a schedule that was submitted; what was noted of its other plans stays.

    Args:
        schedule_id: The schedule.
        workload: Its file.
        overrides: `NAME=VALUE` texts of `--set`.
        target: Its stack.
        root: Where result trees are.
        plan: Digest of the plan of its next jobs, which each of them has in its metadata.
        parts: What that was made from.

    Raises:
        InputError: It cannot be written.
    """
    record = Record(
        schedule_id=schedule_id,
        workload=str(workload.absolute()),
        overrides=overrides,
        stack=target.stack,
        outputs=target.outputs_noted,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        plan=plan,
        parts=dict(parts),
    )
    for path in (_place(schedule_id, root, plan), _place(schedule_id, root)):
        write_json(path, asdict(record))


def read_record(schedule_id: str, root: Path, plan: str | None = None) -> Record | None:
    """What was noted of a schedule; None if it was not submitted from here.

    Args:
        schedule_id: The schedule.
        root: Where result trees are.
        plan: Digest of the plan of one of its jobs; None: what was submitted last.

    Raises:
        InputError: The file is damaged, or of another version.
    """
    if JOB_ID.fullmatch(schedule_id) is None:
        return None
    if plan is not None and _PLAN.fullmatch(plan) is None:
        return None
    path = _place(schedule_id, root, plan)
    if not path.exists():
        return None
    values = read_json(path)
    if values.get("version") != _VERSION:
        raise InputError(f"{shown(path)} is not of version {_VERSION}, which this checkout reads")
    try:
        parts = dict(values.get("parts", {}))
        return Record(**{**values, "overrides": tuple(values["overrides"]), "parts": parts})
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{shown(path)} is damaged: {error}") from error


def forget_record(schedule_id: str, root: Path) -> None:
    """Removes what was noted of a schedule that is gone."""
    directory = _place(schedule_id, root).parent
    if not directory.is_dir():
        return
    for path in list(directory.iterdir()):
        if path.name == _FILE or (path.suffix == ".json" and _PLAN.fullmatch(path.stem)):
            path.unlink(missing_ok=True)
    if not any(directory.iterdir()):
        directory.rmdir()


def find_tree(job: str, root: Path) -> ResultTree:
    """As `jobs.results.find_tree`; also a schedule's job, and a schedule: its latest job.

    Raises:
        InputError: Nothing or more than one job fits, or the schedule has made none yet.
        ServiceError: Batch has to be asked, and refuses.
    """
    return _find_tree(_located(job, root), root)


def find_trees(jobs: str, root: Path) -> list[ResultTree]:
    """As `jobs.results.find_trees`, with jobs of schedules.

    Raises:
        InputError: As `find_tree`.
        ServiceError: As `find_tree`.
    """
    return _find_trees(",".join(_located(part, root) for part in jobs.split(",")), root)


def adopt(record: Record, job_id: str, service: BatchService, root: Path) -> None:
    """Gives a schedule's job a result tree, if it has none.

    It is of the submission that it was made from, before or after an update. Where that was
    not noted here (another machine's update) it is of `record`, without `plan.json`: the verbs
    then do not claim to know what its tasks were given.

    Raises:
        NotFoundError: There is no such job.
        InputError: The job is not of a workload, or the tree cannot be written.
    """
    tree = tree_of(job_id, root)
    if tree.manifest_file.exists():
        return
    try:
        job = service.get(f"/jobs/{segment(job_id)}", f"looking for job {job_id}")
    except NotFoundError as error:
        raise NotFoundError(
            f"schedule {record.schedule_id} has no job {job_id}, or it is deleted: "
            f"python -m jobs schedule show {record.schedule_id}",
            code=error.code,
            status=error.status,
        ) from error
    metadata = metadata_of(job)
    if META_PLAN not in metadata:
        raise InputError(f"job {job_id} was not made from a workload file")
    made = read_record(record.schedule_id, root, metadata[META_PLAN])
    if made is not None:
        record = made
        write_parts(tree, made.parts)
    tree.write_manifest(
        Manifest(
            job_id=job_id,
            workload=record.workload,
            stack=record.stack,
            outputs=record.outputs,
            plan=metadata[META_PLAN],
            tasks=int(metadata[META_TASKS]),
            created=moment_of(job["creationTime"]).isoformat(timespec="seconds"),
            overrides=record.overrides,
            stages=read_stages(metadata.get(META_STAGES, "")),
            tags=tags_of(metadata),
        )
    )


def _located(job: str, root: Path) -> str:
    """The same job, with a result tree if a schedule made it; anything else as it is."""
    wanted = scheduled_id(job)
    schedule_id = schedule_of(job) or job
    if JOB_ID.fullmatch(schedule_id) is None or tree_of(job, root).manifest_file.exists():
        return job
    record = read_record(schedule_id, root)
    if record is None:
        return job
    service = Session(stack=record.target.load()).service
    if wanted is None:
        wanted = _latest(schedule_id, service)
    adopt(record, wanted, service, root)
    return wanted


def _latest(schedule_id: str, service: BatchService) -> str:
    path = f"/jobschedules/{segment(schedule_id)}"
    schedule = service.get(path, f"looking for the latest job of schedule {schedule_id}")
    info = schedule.get("executionInfo") or {}
    if "recentJob" not in info:
        when = f": its first comes at {info['nextRunTime']}" if info.get("nextRunTime") else ""
        raise InputError(f"schedule {schedule_id} has made no job yet{when}")
    return str(info["recentJob"]["id"])


def known_records(root: Path) -> Iterator[str]:
    """Schedules that were submitted from here, by id."""
    yield from sorted(path.parent.name for path in (root / DIRECTORY).glob(f"*/{_FILE}"))


def _place(schedule_id: str, root: Path, plan: str | None = None) -> Path:
    return root / DIRECTORY / schedule_id / (_FILE if plan is None else f"{plan}.json")
