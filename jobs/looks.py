"""What the service says of tasks, pools and jobs, read into values; nothing is asked here.

Asking is in `jobs.watch`, what it means in `jobs.report`, `jobs.progress`, `jobs.explain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from jobs.durations import parse_seconds
from jobs.stale import NOTHING_STALE, Stale

_ALIKE_S = 1.0
"""By how much two measures of one attempt may differ."""
JOB_OVER = frozenset({"completed", "terminating", "deleting"})
"""States of a job that runs no more tasks."""
JOB_PAUSED = frozenset({"disabled", "disabling"})
"""States of a job that starts no task until somebody enables it."""


_PROGRAM_FAILED = "FailureExitCode"
"""The service's word for a program that ended with a code other than 0."""


def ended_how(exit_code: int | None, failure: str, *, code_is: str = "exit code") -> str:
    """How a task that failed ended, in a few words.

    Where it was not its program that failed, such as an output that was not taken or a limit
    that was reached, it is that, and the program's code beside it if that is not 0.

    Args:
        exit_code: Of its program, or None.
        failure: The service's code and message, or empty.
        code_is: What the code is called.
    """
    code = "" if exit_code is None else f"{code_is} {exit_code}"
    if not failure or failure.startswith(_PROGRAM_FAILED):
        return code or failure or "no reason given"
    return f"{failure} ({code})" if exit_code else failure


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnd:
    """A task that has ended, as the service tells it.

    Attributes:
        id: The task.
        succeeded: Whether the service calls its result a success.
        exit_code: Of the command; None when it never ran or was ended.
        failure: `code: message` of the service; empty for a success.
        retries: How often it was run again.
        requeues: How often it was put back, such as after a preemption.
        node_id: Where it ran last; empty when it never ran.
        created: When it was submitted, seconds since the epoch.
        started: When its last attempt started, or None.
        ended: When that was over.
        completed: When its outputs were uploaded, too; None if that is not known.
        slots: Task slots that it took.
        cpu_s: Processor time that it used, where the service has counted it.
        instances: Nodes that it took at once; `node_id` is the first of them.
        attempts_s: Run time of all its attempts, where the service has counted it.
        beside: Its other nodes, where somebody asked for them.
    """

    id: str
    succeeded: bool
    exit_code: int | None
    failure: str
    retries: int
    requeues: int
    node_id: str
    created: float
    started: float | None
    ended: float
    completed: float | None = None
    slots: int = 1
    cpu_s: float | None = None
    instances: int = 1
    attempts_s: float | None = None
    beside: tuple[str, ...] = ()

    @property
    def earlier_s(self) -> float:
        """Seconds that the attempts before the last one took, within the task's life.

        The service keeps only the last attempt's times. Until it has counted those of all
        together, each is taken to have been as long as the last: an estimate.
        """
        if not (self.retries or self.requeues) or self.started is None:
            return 0.0
        taken = (self.retries + self.requeues) * self.run_s
        if self.attempts_s is not None and self._is_counted:
            taken = self.attempts_s - self.run_s
        return min(max(0.0, taken), max(0.0, self.started - self.created))

    @property
    def estimated(self) -> bool:
        """Whether what is said of its earlier attempts is an estimate."""
        return not self._is_counted and self.earlier_s > 0

    @property
    def _is_counted(self) -> bool:
        """Whether what the service counted is of all attempts.

        It says so of retries (`wallClockTime` of `BatchTaskStatistics`); what is no more than the
        last attempt leaves out those that ended with their nodes.
        """
        if self.attempts_s is None:
            return False
        return not self.requeues or self.attempts_s > self.run_s + _ALIKE_S

    @property
    def begun(self) -> float | None:
        """When its first attempt started, if the others followed at once; None: it never ran."""
        return None if self.started is None else self.started - self.earlier_s

    @property
    def wait_s(self) -> float:
        """Seconds from submission to the start of the first attempt, as far as that is known."""
        return 0.0 if self.begun is None else max(0.0, self.begun - self.created)

    @property
    def upload_s(self) -> float:
        """Seconds from the end of the command to the end of the task: what it left goes up."""
        return 0.0 if self.completed is None else max(0.0, self.completed - self.ended)

    @property
    def run_s(self) -> float:
        """Seconds from start to end of the last attempt."""
        return 0.0 if self.started is None else max(0.0, self.ended - self.started)

    @property
    def on_spot(self) -> bool:
        """Whether its node was a spot node."""
        return self.node_id.endswith("_p")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """What the pool is doing.

    Attributes:
        nodes: How many nodes are in each state that has any.
        target: Nodes that it wants, dedicated and spot.
        allocation: `steady`, `resizing` or `stopping`.
        reasons: Why it may not give what is wanted, for a person.
        broken: Whether somebody must do something about that.
        spot_running: Of the nodes that run tasks, those that are spot nodes.
        evaluated: When the autoscale formula was evaluated last, seconds since the epoch.
        missing: In a few words, why it has fewer nodes than it wants; empty if nobody said.
        slots: Task slots of each node; 0 if that is not known.
    """

    nodes: Mapping[str, int]
    target: int
    allocation: str
    reasons: tuple[str, ...]
    broken: bool = False
    spot_running: int = 0
    evaluated: float | None = None
    missing: str = ""
    slots: int = 0


class Cause(StrEnum):
    """Why nothing of a job will move any more, although it has not ended."""

    BLOCKED = "blocked"
    """All tasks that wait do so for one that failed."""
    UNPREPARED = "unprepared"
    """The job's preparation failed on every node that its pool has."""
    UNSENT = "unsent"
    """Its submission was not finished, and of the tasks that are in none is left to run."""
    DISABLED = "disabled"
    """It is disabled, by `on_failure: pause` or a person, and none of its tasks runs."""


LEFT = frozenset({Cause.UNSENT, Cause.DISABLED})
"""With these a job is left as it is, because somebody may go on with it (`resume`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """A job that would be waited for in vain. `jobs.standstill` finds it.

    Attributes:
        cause: Why.
        number: Of tasks that are blocked, of nodes, of tasks that were not submitted, or of
            tasks that a disabled job has to go.
    """

    cause: Cause
    number: int

    @property
    def is_left(self) -> bool:
        """Whether the job goes on once somebody resumes it."""
        return self.cause in LEFT

    def text(self, job_id: str, total: int) -> str:
        """What is to be said to who waited for a job that is left."""
        if self.cause == Cause.DISABLED:
            return (
                f"job {job_id} is disabled, with {self.number:,} of {total:,} tasks to go: none "
                "of them runs until it is enabled again"
            )
        return (
            f"job {job_id} has {self.number:,} of {total:,} tasks that were not submitted, and of "
            "the others none is left to run"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLook:
    """How far one stage of a job is.

    Attributes:
        name: The stage.
        total: Its tasks.
        succeeded: Those that ended well.
        failed: Those that did not.
        running: Those that run, or prepare to; None if that is not known.
        retried: Times that those that ended had been run again or put back.
    """

    name: str
    total: int
    succeeded: int
    failed: int
    running: int | None = None
    retried: int = 0

    @property
    def ended(self) -> int:
        """Tasks that are over."""
        return self.succeeded + self.failed

    @property
    def waiting(self) -> int | None:
        """Tasks that have not begun; None if that is not known."""
        return None if self.running is None else max(0, self.total - self.ended - self.running)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """The service cannot be reached.

    Attributes:
        since: From when on, by this machine's clock, seconds since the epoch.
        why: In a few words.
    """

    since: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A job at a moment.

    Attributes:
        total: Tasks that it has, or will have when submission is complete.
        waiting: Tasks that have not begun.
        running: Tasks that run, or prepare to.
        succeeded: Tasks that ended well.
        failed: Tasks that did not.
        job_state: Such as `active`.
        pool: The pool, as it last was.
        first_failure: The earliest known task that failed.
        reasons: Why nothing moves, if nothing does.
        over: Whether nothing will change any more, but for ending the job.
        retried: Times that ended tasks had been run again or put back.
        stages: How far each stage is; empty for a job without stages.
        cost: Of the job so far, as `jobs.meter` estimates it; None where that is not known.
        at: When this was, by the service's clock, seconds since the epoch; 0: unknown.
        standstill: Why nothing will move any more, if nothing will. It is over then, unless
            somebody may still submit the rest of its tasks, or enable it.
        end_reason: Why the job ended, in the service's word or that of who ended it, such as
            `CanceledByUser`; empty while it goes on.
        resumable: Whether its submission was not finished and may be gone on with.
        arriving: Whether it is being submitted: not all its tasks are in, and some came just now.
        stale: Tasks whose answer is of outputs that were replaced since, whatever job they ran in.
        outage: Why this is how it last stood, and not how it stands; None: it is seen.
    """

    total: int
    waiting: int
    running: int
    succeeded: int
    failed: int
    job_state: str
    pool: PoolView | None
    first_failure: TaskEnd | None
    reasons: tuple[str, ...]
    over: bool
    retried: int = 0
    stages: tuple[StageLook, ...] = ()
    cost: float | None = None
    at: float = 0.0
    standstill: Standstill | None = None
    end_reason: str = ""
    resumable: bool = False
    arriving: bool = False
    stale: Stale = NOTHING_STALE
    outage: Outage | None = None

    @property
    def ended(self) -> int:
        """Tasks that are over."""
        return self.succeeded + self.failed

    @property
    def blocked(self) -> int:
        """Tasks that wait for one that failed, if no other waits."""
        return self._stopped_by(Cause.BLOCKED)

    @property
    def unprepared(self) -> int:
        """Nodes on which the job's preparation failed, if its pool has no others."""
        return self._stopped_by(Cause.UNPREPARED)

    def _stopped_by(self, cause: Cause) -> int:
        found = self.standstill
        return found.number if found is not None and found.cause == cause else 0

    @property
    def _others(self) -> int:
        """Tasks that are in no count of the service's."""
        return max(0, self.total - self.waiting - self.running - self.ended)

    @property
    def unsubmitted(self) -> int:
        """Tasks that are not in the job yet."""
        return 0 if self.over or self.job_over else self._others

    @property
    def never_ran(self) -> int:
        """Of a job that is over, tasks that waited or were not even submitted."""
        return self._others if self.over or self.job_over else 0

    @property
    def paused(self) -> bool:
        """Whether it starts no task until somebody enables it."""
        return self.job_state in JOB_PAUSED

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What keeps tasks waiting: why nothing moves, or else what the pool cannot give."""
        if self.reasons or self.pool is None or not self.waiting or self.over or self.job_over:
            return self.reasons
        return self.pool.reasons if self.pool.broken else ()

    @property
    def job_over(self) -> bool:
        """Whether the job runs no more tasks, even if some wait: it has ended, or is ending."""
        return self.job_state in JOB_OVER


def task_end(task: Mapping[str, Any]) -> TaskEnd:
    """Reads a completed task of the service."""
    info = task.get("executionInfo", {})
    failure = info.get("failureInfo") or {}
    exit_code = info.get("exitCode")
    result = str(info.get("result", "")).lower()
    succeeded = result == "success" if result else exit_code == 0 and not failure
    completed = moment_of(task["stateTransitionTime"]).timestamp()
    ended = moment_of(info["endTime"]).timestamp() if info.get("endTime") else completed
    started = info.get("startTime")
    statistics = task.get("stats") or {}
    words = ": ".join(str(failure[k]) for k in ("code", "message") if failure.get(k))
    return TaskEnd(
        id=task["id"],
        succeeded=succeeded,
        exit_code=exit_code,
        failure="" if succeeded else words,
        retries=info.get("retryCount", 0),
        requeues=info.get("requeueCount", 0),
        node_id=(task.get("nodeInfo") or {}).get("nodeId", ""),
        created=moment_of(task["creationTime"]).timestamp() if "creationTime" in task else ended,
        started=None if started is None else moment_of(started).timestamp(),
        ended=ended,
        completed=completed,
        slots=task.get("requiredSlots", 1),
        cpu_s=(
            parse_seconds(statistics["userCPUTime"]) + parse_seconds(statistics["kernelCPUTime"])
            if {"userCPUTime", "kernelCPUTime"} <= statistics.keys()
            else None
        ),
        instances=(task.get("multiInstanceSettings") or {}).get("numberOfInstances", 1),
        attempts_s=(
            parse_seconds(statistics["wallClockTime"]) if "wallClockTime" in statistics else None
        ),
    )


def pool_view(pool: Mapping[str, Any], counts: Any) -> PoolView:
    """Reads a pool of the service, and its node counts."""
    nodes: dict[str, int] = {}
    spot_running = 0
    for item in counts:
        spot_running += item.get("lowPriority", {}).get("running", 0)
        for kind in ("dedicated", "lowPriority"):
            for state, number in item.get(kind, {}).items():
                if state != "total" and number:
                    nodes[state] = nodes.get(state, 0) + number
    target = pool.get("targetDedicatedNodes", 0) + pool.get("targetLowPriorityNodes", 0)
    reasons = [
        f"resize: {error.get('code')}: {error.get('message')}"
        for error in pool.get("resizeErrors", ())
    ]
    run = pool.get("autoScaleRun") or {}
    if formula_error := run.get("error"):
        said = ": ".join(
            str(formula_error[k]) for k in ("code", "message") if formula_error.get(k)
        )
        reasons.append(f"the autoscale formula fails: {said}")
    if nodes.get("startTaskFailed"):
        reasons.append(f"the start task failed on {nodes['startTaskFailed']} nodes")
    if nodes.get("unusable"):
        reasons.append(f"{nodes['unusable']} nodes are unusable")
    broken = bool(reasons)
    if not nodes and target == 0:
        automatic = pool.get("enableAutoScale")
        reasons.append(
            "the pool has no nodes yet: its formula decides at its next evaluation"
            if automatic
            else "the pool has no nodes and is not to get any: resize it"
        )
    elif not reasons and not nodes.get("running") and not nodes.get("idle"):
        reasons.append(f"nodes are coming: {target} wanted, none is ready")
    return PoolView(
        nodes=nodes,
        target=target,
        allocation=str(pool.get("allocationState", "")),
        reasons=tuple(reasons),
        broken=broken,
        spot_running=spot_running,
        evaluated=moment_of(run["timestamp"]).timestamp() if run.get("timestamp") else None,
        slots=pool.get("taskSlotsPerNode", 1),
        missing=next((str(e.get("code")) for e in pool.get("resizeErrors", ())), ""),
    )


def moment_of(text: str) -> datetime:
    """A time of the service, which may have seven digits of a second."""
    whole, point, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(f"{whole}+00:00").astimezone(UTC)
    return moment + timedelta(microseconds=int(fraction[:6].ljust(6, "0"))) if point else moment
