"""Jobs that a schedule made: found by their ids, and given a result tree when they are.

Nobody was there when Batch made them. What every verb needs to know of a job (its workload,
its stack) was noted when the schedule was submitted, in `results/.schedules/SCHEDULE/`; the
rest is in the job itself. The first verb that names such a job writes its manifest, and
from then on it is a job like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobs.errors import InputError, NotFoundError, shown
from jobs.job_ids import JOB_ID, schedule_of, scheduled_id
from jobs.looks import moment_of
from jobs.plan import META_PLAN, META_STAGES, META_TASKS
from jobs.results import Manifest, ResultTree, read_json, tree_of, write_json
from jobs.results import find_tree as _find_tree
from jobs.results import find_trees as _find_trees
from jobs.service import BatchService, segment
from jobs.session import Session, Target
from jobs.stages import read_stages
from jobs.submit import metadata_of

DIRECTORY = ".schedules"
_FILE = "schedule.json"
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
        version: Of this file.
    """

    schedule_id: str
    workload: str
    overrides: tuple[str, ...]
    stack: str | None
    outputs: str | None
    created: str
    version: int = _VERSION

    @property
    def target(self) -> Target:
        """The stack that it was submitted to."""
        outputs = None if self.outputs is None else Path(self.outputs)
        return Target(stack=self.stack, outputs=outputs)


def write_record(
    schedule_id: str, workload: Path, overrides: tuple[str, ...], target: Target, root: Path
) -> None:
    """Notes a schedule that is about to be submitted.

    Raises:
        InputError: It cannot be written.
    """
    record = Record(
        schedule_id=schedule_id,
        workload=str(workload.absolute()),
        overrides=overrides,
        stack=target.stack,
        outputs=None if target.outputs is None else str(target.outputs.absolute()),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_json(_place(schedule_id, root), asdict(record))


def read_record(schedule_id: str, root: Path) -> Record | None:
    """What was noted of a schedule; None if it was not submitted from here.

    Raises:
        InputError: The file is damaged, or of another version.
    """
    if JOB_ID.fullmatch(schedule_id) is None:
        return None
    path = _place(schedule_id, root)
    if not path.exists():
        return None
    values = read_json(path)
    if values.get("version") != _VERSION:
        raise InputError(f"{shown(path)} is not of version {_VERSION}, which this checkout reads")
    try:
        return Record(**{**values, "overrides": tuple(values["overrides"])})
    except (KeyError, TypeError) as error:
        raise InputError(f"{shown(path)} is damaged: {error}") from error


def forget_record(schedule_id: str, root: Path) -> None:
    """Removes what was noted of a schedule that is gone."""
    path = _place(schedule_id, root)
    path.unlink(missing_ok=True)
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


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


def _place(schedule_id: str, root: Path) -> Path:
    return root / DIRECTORY / schedule_id / _FILE
