"""Job schedules as Batch has them: listed, looked at, paused, deleted.

Those alone that were submitted from workload files: what else an account has is not ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from jobs.durations import parse_seconds, spoken
from jobs.elsewhere import require_account
from jobs.errors import InputError, NotFoundError, ServiceError
from jobs.listing import JobRow, jobs_of
from jobs.outcomes import JobList
from jobs.plan import META_WORKLOAD
from jobs.results import DEFAULT_ROOT
from jobs.schedule_jobs import ADOPTED, adopt
from jobs.schedule_notes import forget_notes, read_note
from jobs.service import BatchService, segment
from jobs.session import Session, Target
from jobs.submit import metadata_of
from jobs.terminal import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """A schedule in a list.

    Attributes:
        schedule_id: The schedule.
        workload: Name in its workload file.
        state: As the service calls it: `active`, `disabled` while it is paused, `completed`.
        every: From one job to the next, such as `1d00h`; empty for one job.
        next_run: When the next job is due, UTC, ISO 8601; empty if none is.
        last_job: The latest job; empty if there was none.
        created: When it was submitted, UTC, ISO 8601.
    """

    schedule_id: str
    workload: str
    state: str
    every: str
    next_run: str
    last_job: str
    created: str


FIELDS = tuple(item.name for item in fields(ScheduleRow))
OVER = {
    "JobScheduleCompleted": "completed",
    "JobScheduleBeingTerminated": "terminating",
    "JobScheduleBeingDeleted": "deleting",
}
"""States in which a schedule makes no more jobs and takes no change, by the service's refusal."""
_GOING = frozenset({"JobScheduleNotFound", "JobScheduleBeingDeleted"})
"""What the service says of a schedule that was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class JobSchedule:
    """A schedule that was submitted.

    Attributes:
        id: Its id.
        session: The services of its stack.
        out: Where result trees are.
    """

    id: str
    session: Session
    out: Path = DEFAULT_ROOT

    def __repr__(self) -> str:
        """The schedule in a line: which, and on which stack."""
        return f"<JobSchedule {self.id} of stack {self.session.stack.stack}>"

    def status(self) -> ScheduleRow:
        """How it stands.

        Raises:
            NotFoundError: There is no such schedule.
        """
        return _row(self._read())

    def jobs(self) -> list[JobRow]:
        """The jobs that it has made and that are still there, the oldest first.

        Raises:
            NotFoundError: There is no such schedule.
        """
        found = JobList(session=self.session, target=None, out=self.out)
        path = f"{self._path}/jobs"
        return found.told(jobs_of(self.session.service, path, found.pools), path)

    def pause(self) -> bool:
        """Lets it make no more jobs; the job that runs goes on. False if it was paused.

        Raises:
            InputError: It is over.
            ServiceError: There is no such schedule, or the service refuses.
        """
        return self._switch("disable", "JobScheduleDisabled")

    def resume(self) -> bool:
        """Lets it make jobs again; false if it was not paused.

        Raises:
            InputError: It is over.
            ServiceError: There is no such schedule, or the service refuses.
        """
        return self._switch("enable", "JobScheduleNotDisabled")

    def delete(self) -> None:
        """Removes it, with the jobs that Batch has of it, and their tasks.

        What these left in storage stays, and can be collected: their result trees are
        begun before, where the schedule was submitted from here.

        Raises:
            ServiceError: There is no such schedule, or the service refuses.
        """
        note = read_note(self.id, self.out)
        if note is not None:
            for job in self._listed():
                adopt(note, job, self.out)
        try:
            self.session.service.call("DELETE", self._path, f"deleting schedule {self.id}")
        except ServiceError as error:
            if not (error.unclear and error.code in _GOING):
                raise  # else it is this call that removed it, and its answer was lost
        forget_notes(self.id, self.out)

    def states(self) -> dict[str, str]:
        """The jobs that it has made and that are still there, by id, with their states.

        Raises:
            NotFoundError: There is no such schedule.
        """
        return {job["id"]: job["state"] for job in self._listed()}

    def _listed(self) -> list[dict[str, Any]]:
        selected = {"$select": f"{ADOPTED},state"}
        listed = self.session.service.pages(f"{self._path}/jobs", "listing jobs", **selected)
        ours = (job for job in listed if META_WORKLOAD in metadata_of(job))
        return sorted(ours, key=lambda job: str(job["creationTime"]))

    @property
    def _path(self) -> str:
        return f"/jobschedules/{segment(self.id)}"

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.session.service.get(
                self._path, f"looking for schedule {self.id}"
            )
        except NotFoundError as error:
            stack = self.session.stack.stack
            raise NotFoundError(
                f"there is no schedule {self.id} on stack {stack}: python -m jobs schedule list",
                code=error.code,
                status=error.status,
            ) from error
        if META_WORKLOAD not in metadata_of(found):
            raise InputError(f"schedule {self.id} was not submitted from a workload file")
        return found

    def _switch(self, verb: str, already: str) -> bool:
        self._read()
        doing = f"{'pausing' if verb == 'disable' else 'resuming'} schedule {self.id}"
        try:
            self.session.service.call("POST", f"{self._path}/{verb}", doing)
        except ServiceError as error:
            if error.code in OVER:
                raise InputError(over_text(self.id, OVER[error.code])) from error
            if error.code != already:
                raise
            return error.unclear
        return True


def schedules_of(service: BatchService) -> list[ScheduleRow]:
    """All schedules, the oldest first.

    Raises:
        ServiceError: The service refuses.
    """
    listed = service.pages(
        "/jobschedules",
        "listing schedules",
        **{"$select": "id,state,creationTime,metadata,executionInfo,schedule"},
    )
    rows = [_row(item) for item in listed if META_WORKLOAD in metadata_of(item)]
    return sorted(rows, key=lambda row: row.created)


def open_schedule(
    schedule_id: str,
    target: Target | None = None,
    out: Path = DEFAULT_ROOT,
    *,
    usual: Target | None = None,
) -> JobSchedule:
    """A schedule, on the stack that is named, else on the one that it was submitted to.

    Args:
        schedule_id: The schedule.
        target: Its stack, by any name of that.
        out: Where result trees are.
        usual: Where to look for one that was not submitted from here and has no `target`.

    Raises:
        InputError: No stack is named, and it was not submitted from here.
        StackError: It was submitted from here to another Batch account than that of `target`.
    """
    note = read_note(schedule_id, out)
    if target is None or not target.is_given:
        target = usual if note is None else note.target
    if target is None or not target.is_given:
        raise InputError(
            f"schedule {schedule_id!r} was not submitted from here: name its stack "
            "(--stack NAME), or another place of results (--out DIR)"
        )
    stack = target.load()
    if note is not None:
        require_account("schedule", schedule_id, note.manifest.account, stack, target)
    return JobSchedule(id=schedule_id, session=Session(stack=stack), out=out)


def over_text(schedule_id: str, state: str) -> str:
    """That a schedule makes no more jobs, and what to do, for a person."""
    if state == "deleting":
        return (
            f"schedule {schedule_id} is being deleted: once it is gone, python -m jobs run "
            "WORKLOAD adds it again; with --job-id ID, under another id at once"
        )
    return (
        f"schedule {schedule_id} is {state}: it makes no more jobs and cannot be changed. Remove "
        f"it (python -m jobs schedule delete {schedule_id}) and what its jobs left (python -m "
        "jobs clean), and python -m jobs run WORKLOAD adds it again; or take another id "
        "(run --job-id ID)"
    )


def deletion_lines(row: ScheduleRow, jobs: Mapping[str, str]) -> Iterator[str]:
    """What goes with a schedule, for a person; `jobs` are its jobs' states."""
    yield f"schedule {row.schedule_id} ({row.state})"
    running = sum(state != "completed" for state in jobs.values())
    if jobs:
        ended = f", {running} of them not over" if running else ""
        yield f"{counted(len(jobs), 'job')} of it with their tasks{ended}"


def as_json(row: ScheduleRow) -> dict[str, Any]:
    """A row as a JSON object."""
    return asdict(row)


def _row(item: Mapping[str, Any]) -> ScheduleRow:
    info = item.get("executionInfo") or {}
    timing = item.get("schedule") or {}
    every = timing.get("recurrenceInterval")
    paused = item["state"] == "disabled"
    return ScheduleRow(
        schedule_id=item["id"],
        workload=metadata_of(item)[META_WORKLOAD],
        state=item["state"],
        every="" if every is None else spoken(parse_seconds(every)),
        next_run="" if paused else info.get("nextRunTime") or "",
        last_job=(info.get("recentJob") or {}).get("id", ""),
        created=item["creationTime"],
    )
